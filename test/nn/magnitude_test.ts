/** DoRA as a layer: norms from the parameters as they are, forward, backward and what is computed again. */
import * as dora from "../../kernels/dora/reference.ts";
import { registerTile } from "../../kernels/matmul/kernel.ts";
import { matmulForward } from "../../kernels/matmul/reference.ts";
import { FrozenMatrix } from "../../src/nn/frozen_matrix.ts";
import { LoraLinear } from "../../src/nn/lora_linear.ts";
import { Magnitude } from "../../src/nn/magnitude.ts";
import { VARIANTS, type Variants } from "../../src/nn/variants.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { loraBackward, loraForward, plus } from "../helpers/decoder_reference.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

const SMALL = { forward: registerTile(2, 2, 4), backwardInput: registerTile(2, 2, 4) };
const CHOICES: readonly Variants[] = [
  { ...VARIANTS.software, ...SMALL, operands: "texture" },
  { ...VARIANTS.software, ...SMALL },
];

/** A map [cols, inner] with an update of this rank and a magnitude, and the program that it is recorded on. */
async function mapOf(adapter: TestAdapter, variants: Variants, [cols, inner, rank]: readonly number[]) {
  const w = ramp(cols! * inner!, { phase: 1 }), a = ramp(rank! * inner!, { phase: 5 });
  const b = ramp(cols! * rank!, { phase: 6 }),
    m = ramp(cols!, { phase: 7 }),
    bias = ramp(cols!, { phase: 8 });
  const run = new TestProgram(adapter, variants);
  const matrix = new FrozenMatrix("w", cols!, inner!, adapter.gpu, variants);
  await matrix.load((first, count) => Promise.resolve(w.slice(first * inner!, (first + count) * inner!)));
  const parameter = (name: string, values: Float32Array<ArrayBuffer>, shape: number[]) => {
    const grad = run.holding(new Float32Array(values.length), shape);
    return { name, value: run.holding(values, shape), grad };
  };
  const magnitude = new Magnitude(parameter("m", m, [cols!]));
  for (const kept of magnitude.kept) {
    kept.buffer = run.output(kept.shape).buffer;
    kept.offset = 256; // after the guard
  }
  const low = {
    a: parameter("a", a, [rank!, inner!]),
    b: parameter("b", b, [cols!, rank!]),
    rank: rank!,
    scaling: 1.5,
    magnitude,
  };
  const layer = new LoraLinear(matrix, low, run.holding(bias));
  return { run, matrix, layer, low, magnitude, values: { w, a, b, m, bias } };
}

for (const variants of CHOICES) {
  const { operands } = variants;

  onEachCompiler(`LoraLinear with a magnitude matches the f64 reference, ${operands}`, async (adapter) => {
    for (const [rows, cols, inner, rank] of [[1, 5, 3, 1], [5, 13, 7, 3], [8, 12, 64, 4]] as const) {
      const made = await mapOf(adapter, variants, [cols, inner, rank]);
      using run = made.run;
      const { layer, low, magnitude, matrix, values: { w, a, b, m, bias } } = made, r = run.recorder;
      const x = ramp(rows * inner), dy = ramp(rows * cols, { phase: 2 });
      const addend = ramp(rows * cols, { phase: 3 }), before = ramp(rows * inner, { phase: 4 });
      magnitude.recordSquares(r, matrix);
      magnitude.recordNorms(r, matrix, low);
      const xs = run.holding(x, [rows, inner]), dys = run.holding(dy, [rows, cols]);
      const y = run.output([rows, cols]), yAdd = run.output([rows, cols]), z = run.output([rows, cols]);
      const dx = run.output([rows, inner]), dxAdd = run.holding(before, [rows, inner]);
      const forward = layer.forward(r, xs);
      r.copy(forward.y, y);
      r.copy(layer.forward(r, xs, run.holding(addend, [rows, cols])).y, yAdd);
      const again = layer.recompute(r, xs);
      r.copy(again.z!, z);
      layer.backward(r, dys, forward.saved, dx, "set");
      layer.backward(r, dys, again, dxAdd, "accumulate");
      layer.backward(r, dys, forward.saved, null, "set");
      await run.run();

      const low64 = { a: wide(a), b: wide(b), rank, scaling: 1.5 };
      const sizes = { rows, cols, inner }, whole = { rows: cols, cols: inner, rank, scaling: 1.5 };
      const norms = dora.rowNorms(dora.direction(wide(w), low64.a, low64.b, whole), inner);
      const wantZ = loraForward(wide(x), wide(w), sizes, low64);
      const wantY = dora.gain(wantZ, wide(m), norms).map((value, i) => value + bias[i % cols]!);
      const want = loraBackward(dora.gain(wide(dy), wide(m), norms), wide(x), wide(w), sizes, low64);
      const tolerance = arithmetic("f32", "f32", inner + cols + rank * inner);
      assertClose(await run.read(y), wantY, tolerance);
      assertClose(await run.read(yAdd), plus(wantY, wide(addend)), tolerance);
      assertClose(await run.read(z), wantZ, tolerance);
      assertClose(await run.read(dx), want.dx, tolerance);
      assertClose(await run.read(dxAdd), plus(want.dx, wide(before)), tolerance);
      const thrice = (value: number) => 3 * value; // three backwards
      assertClose(await run.read(low.a.grad), want.da!.map(thrice), tolerance);
      assertClose(await run.read(low.b.grad), want.db!.map(thrice), tolerance);
      const wantM = dora.backwardMagnitude(wide(dy), wantZ, norms).map(thrice);
      assertClose(await run.read(magnitude.parameter.grad), wantM, tolerance);
      matrix.destroy();
    }
  });
}

onEachCompiler(
  "a magnitude that starts as the row's norm leaves the map as it was without",
  async (adapter) => {
    const rows = 3, cols = 13, inner = 20, rank = 3;
    const made = await mapOf(adapter, CHOICES[1]!, [cols, inner, rank]);
    using run = made.run;
    const { layer, low, magnitude, matrix, values: { w, a, b, bias } } = made, r = run.recorder;
    const x = ramp(rows * inner), xs = run.holding(x, [rows, inner]);
    const [yStart, yLater] = [run.output([rows, cols]), run.output([rows, cols])];
    const start = run.output([cols]);
    magnitude.recordSquares(r, matrix);
    magnitude.recordNorms(r, matrix, low);
    magnitude.recordStart(r);
    r.copy(magnitude.parameter.value, start);
    magnitude.recordNorms(r, matrix, low);
    r.copy(layer.forward(r, xs).y, yStart);
    // B grows: the norms follow, the magnitude stays
    r.copy(run.holding(b.map((value) => 2 * value), [cols, rank]), low.b.value);
    magnitude.recordNorms(r, matrix, low);
    r.copy(layer.forward(r, xs).y, yLater);
    await run.run();
    const sizes = { rows, cols, inner }, whole = { rows: cols, cols: inner, rank, scaling: 1.5 };
    const low64 = { a: wide(a), b: wide(b), rank, scaling: 1.5 };
    const tolerance = arithmetic("f32", "f32", inner + cols + rank * inner);
    const plain = loraForward(wide(x), wide(w), sizes, low64).map((value, i) => value + bias[i % cols]!);
    assertClose(await run.read(yStart), plain, tolerance);
    const norms = dora.rowNorms(dora.direction(wide(w), low64.a, low64.b, whole), inner);
    assertClose(await run.read(start), norms, tolerance);
    const later = { ...low64, b: low64.b.map((value) => 2 * value) };
    const turned = dora.direction(wide(w), later.a, later.b, whole);
    const wantLater = dora.gain(matmulForward(wide(x), turned, sizes), norms, dora.rowNorms(turned, inner))
      .map((value, i) => value + bias[i % cols]!);
    assertClose(await run.read(yLater), wantLater, tolerance);
    matrix.destroy();
  },
);
