import {
  loraBackwardA,
  loraBackwardB,
  loraBackwardInput,
  loraForward,
  loraForwardAdd,
  matmulBackwardInput,
  matmulForward,
  matmulForwardAdd,
  type OutputMode,
} from "../../kernels/matmul/kernel.ts";
import type { Tile } from "../../kernels/matmul/generate.ts";
import * as reference from "../../kernels/matmul/reference.ts";
import type { OperandSource } from "../../src/gpu/kernel.ts";
import { narrowed, VARIANTS } from "../../src/nn/variants.ts";
import { matrixShape, type Tensor } from "../../src/tensor.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

interface Size {
  readonly rows: number;
  readonly cols: number;
  readonly inner: number;
  readonly rank: number;
}
interface Setting {
  readonly source: OperandSource;
  readonly tile: Tile;
}

const SOURCES: readonly OperandSource[] = ["texture", "vec4", "scalar"];
const SMALL: Tile = { TILE_ROWS: 2, TILE_COLS: 2, LANES: 4 };
/** One element, primes, sizes that no tile divides, and sizes divisible by 4. */
const SIZES: readonly Size[] = [
  { rows: 1, cols: 1, inner: 1, rank: 1 },
  { rows: 5, cols: 13, inner: 7, rank: 3 },
  { rows: 19, cols: 76, inner: 20, rank: 4 },
];

const add = (...parts: Float64Array[]) =>
  parts[0]!.map((_, i) => parts.reduce((sum, part) => sum + part[i]!, 0));

/** A tensor as an operand from a source, or from the nearest that its width allows. */
function bound(run: TestProgram, tensor: Tensor, source: OperandSource) {
  const fits = source !== "vec4" || matrixShape(tensor).cols % 4 === 0;
  return run.operand(tensor, fits ? source : "scalar");
}

async function checkForward(adapter: TestAdapter, size: Size, { source, tile }: Setting, only?: "lora") {
  const { rows, cols, inner, rank } = size;
  const x = ramp(rows * inner), w = ramp(cols * inner, { phase: 1 });
  const u = ramp(rows * rank, { phase: 2 }), b = ramp(cols * rank, { phase: 3 });
  const addend = ramp(rows * cols, { phase: 4 });
  using run = new TestProgram(adapter);
  const base = {
    x: bound(run, run.holding(x, [rows, inner]), source),
    w: bound(run, run.holding(w, [cols, inner]), source),
  };
  const low = {
    u: bound(run, run.holding(u, [rows, rank]), source),
    b: bound(run, run.holding(b, [cols, rank]), source),
  };
  const plus = { addend: run.holding(addend, [rows, cols]) };
  const sizes = { rows, cols, x_cols: inner, w_cols: inner, scale: 0.75 };
  const lowSizes = { ...sizes, u_cols: rank, b_cols: rank, scale: 1 };
  const [product, productAdd, lora, loraAdd] = ["product", "+ addend", "lora", "lora + addend"]
    .map((label) => run.output([rows, cols], label));
  run.recorder.dispatch(loraForwardAdd, { y: loraAdd!, ...base, ...low, ...plus }, lowSizes, tile);
  if (!only) {
    run.recorder.dispatch(matmulForward, { y: product!, ...base }, sizes, tile);
    run.recorder.dispatch(matmulForwardAdd, { y: productAdd!, ...base, ...plus }, sizes, tile);
    run.recorder.dispatch(loraForward, { y: lora!, ...base, ...low }, lowSizes, tile);
  }
  await run.run();
  const main = reference.matmulForward(wide(x), wide(w), { rows, cols, inner });
  const update = reference.matmulForward(wide(u), wide(b), { rows, cols, inner: rank });
  const tolerance = arithmetic("f32", "f32", inner + rank + 1);
  assertClose(await run.read(loraAdd!), add(main, update, wide(addend)), tolerance);
  if (only) return;
  const scaled = main.map((value) => 0.75 * value);
  assertClose(await run.read(product!), scaled, tolerance);
  assertClose(await run.read(productAdd!), add(scaled, wide(addend)), tolerance);
  assertClose(await run.read(lora!), add(main, update), tolerance);
}

async function checkBackwardInput(
  adapter: TestAdapter,
  { rows, cols, inner, rank }: Size,
  { source, tile }: Setting,
  only?: "lora",
) {
  const x = ramp(rows * inner), w = ramp(inner * cols, { phase: 1 });
  const v = ramp(rows * rank, { phase: 2 }), a = ramp(rank * cols, { phase: 3 });
  const before = ramp(rows * cols, { phase: 4 });
  const main = reference.matmulBackwardInput(wide(x), wide(w), { rows, cols, inner });
  const both = add(main, reference.matmulBackwardInput(wide(v), wide(a), { rows, cols, inner: rank }));
  const tolerance = arithmetic("f32", "f32", inner + rank + 1);
  using run = new TestProgram(adapter);
  const base = {
    x: bound(run, run.holding(x, [rows, inner]), source),
    w: bound(run, run.holding(w, [inner, cols]), source),
  };
  const low = {
    v: bound(run, run.holding(v, [rows, rank]), source),
    a: bound(run, run.holding(a, [rank, cols]), source),
  };
  const sizes = { rows, cols, x_cols: inner, w_cols: cols };
  const modes: readonly OutputMode[] = only ? ["accumulate"] : ["set", "accumulate"];
  const outputs = modes.map((mode) => {
    const make = () => mode === "set" ? run.output([rows, cols]) : run.holding(before, [rows, cols]);
    const plain = only ? null : make(), lora = make();
    if (plain) run.recorder.dispatch(matmulBackwardInput(mode, cols), { y: plain, ...base }, sizes, tile);
    const lowSizes = { ...sizes, v_cols: rank, a_cols: cols };
    run.recorder.dispatch(loraBackwardInput(mode, cols), { y: lora, ...base, ...low }, lowSizes, tile);
    return { mode, plain, lora };
  });
  await run.run();
  for (const { mode, plain, lora } of outputs) {
    const want = (value: Float64Array) => mode === "set" ? value : add(value, wide(before));
    if (plain) assertClose(await run.read(plain), want(main), tolerance);
    assertClose(await run.read(lora), want(both), tolerance);
  }
}

async function checkBackwardFactor(
  adapter: TestAdapter,
  { rows, cols, rank }: Size,
  { source, tile }: Setting,
) {
  const left = ramp(rows * rank), right = ramp(rows * cols, { phase: 1 });
  const before = ramp(rank * cols, { phase: 2 });
  using run = new TestProgram(adapter);
  const operands = {
    left: bound(run, run.holding(left, [rows, rank]), source),
    right: bound(run, run.holding(right, [rows, cols]), source),
  };
  const sizes = { rows, left_cols: rank, right_cols: cols };
  const da = run.holding(before, [rank, cols]), db = run.holding(before, [cols, rank]);
  run.recorder.dispatch(loraBackwardA, { out: da, ...operands }, sizes, tile);
  run.recorder.dispatch(loraBackwardB, { out: db, ...operands }, sizes, tile);
  await run.run();
  const outer = reference.matmulBackwardFactor(wide(left), wide(right), {
    rows,
    leftCols: rank,
    rightCols: cols,
  });
  const transposed = outer.map((_, i) => outer[(i % rank) * cols + Math.floor(i / rank)]!);
  const tolerance = arithmetic("f32", "f32", rows + 1);
  assertClose(await run.read(da), add(outer, wide(before)), tolerance);
  assertClose(await run.read(db), add(transposed, wide(before)), tolerance);
}

Deno.test("the matmul references agree with central differences", () => {
  const rows = 3, cols = 5, inner = 4;
  const x = wide(ramp(rows * inner)), w = wide(ramp(cols * inner, { phase: 1 }));
  const dy = wide(ramp(rows * cols, { phase: 2 }));
  const loss = (x: Float64Array, w: Float64Array) =>
    dot(dy, reference.matmulForward(x, w, { rows, cols, inner }));
  assertGradient(
    (x) => loss(x, w),
    x,
    reference.matmulBackwardInput(dy, w, { rows, cols: inner, inner: cols }),
  );
  assertGradient(
    (w) => loss(x, w),
    w,
    reference.matmulBackwardFactor(dy, x, { rows, leftCols: cols, rightCols: inner }),
  );
});

for (const source of SOURCES) {
  const setting = { source, tile: SMALL };
  onEachCompiler(`products forward match the f64 reference, operands from ${source}`, async (adapter) => {
    for (const size of SIZES) await checkForward(adapter, size, setting);
  });
  onEachCompiler(`products backward match the f64 reference, operands from ${source}`, async (adapter) => {
    for (const size of SIZES) await checkBackwardInput(adapter, size, setting);
  });
  onEachCompiler(`factor gradients match the f64 reference, operands from ${source}`, async (adapter) => {
    for (const size of SIZES) {
      await checkBackwardFactor(adapter, size, { source, tile: { TILE_ROWS: 1, TILE_COLS: 1, LANES: 4 } });
    }
  });
}

for (const [name, variants] of Object.entries(VARIANTS)) {
  onEachCompiler(
    `every tile of the ${name} variant matches the reference from every source`,
    async (adapter) => {
      const sizes = [{ rows: 37, cols: 132, inner: 12, rank: 8 }, { rows: 17, cols: 71, inner: 9, rank: 3 }];
      for (const source of SOURCES) {
        for (const size of sizes) {
          await checkForward(adapter, size, { source, tile: variants.forward }, "lora");
          await checkBackwardInput(adapter, size, { source, tile: variants.backwardInput }, "lora");
          await checkBackwardFactor(adapter, size, { source, tile: variants.backwardFactor });
        }
      }
    },
  );

  onEachCompiler(`the narrowed tile of the ${name} variant covers every rank`, async (adapter) => {
    for (const rank of [1, 3, 8, 16, 67]) {
      const x = ramp(5 * 12), w = ramp(rank * 12, { phase: 1 });
      using run = new TestProgram(adapter);
      const y = run.output([5, rank]);
      const bindings = {
        y,
        x: run.operand(run.holding(x, [5, 12]), "vec4"),
        w: run.operand(run.holding(w, [rank, 12]), "vec4"),
      };
      const sizes = { rows: 5, cols: rank, x_cols: 12, w_cols: 12, scale: 1 };
      const tile = { ...narrowed(variants.forward, rank), TILE_ROWS: 2 };
      run.recorder.dispatch(matmulForward, bindings, sizes, tile);
      await run.run();
      const want = reference.matmulForward(wide(x), wide(w), { rows: 5, cols: rank, inner: 12 });
      assertClose(await run.read(y), want, arithmetic("f32", "f32", 12));
    }
  });
}

onEachCompiler("products read operands from a mixture of sources", async (adapter) => {
  const size = { rows: 5, cols: 12, inner: 8 };
  const x = ramp(40), w = ramp(96, { phase: 1 });
  using run = new TestProgram(adapter);
  const xs = run.holding(x, [5, 8]), ws = run.holding(w, [12, 8]);
  const outputs = SOURCES.map((source, i) => {
    const y = run.output([5, 12]);
    const operands = { x: run.operand(xs, source), w: run.operand(ws, SOURCES[(i + 1) % 3]!) };
    const sizes = { rows: 5, cols: 12, x_cols: 8, w_cols: 8, scale: 1 };
    run.recorder.dispatch(matmulForward, { y, ...operands }, sizes, SMALL);
    return y;
  });
  await run.run();
  const want = reference.matmulForward(wide(x), wide(w), size);
  for (const y of outputs) assertClose(await run.read(y), want, arithmetic("f32", "f32", 8));
});

onEachCompiler("products cover 65,539 rows", async (adapter) => {
  const rows = 65_539, x = ramp(rows), w = ramp(3, { phase: 1 });
  using run = new TestProgram(adapter);
  const y = run.output([rows, 3]);
  const operands = {
    x: run.operand(run.holding(x, [rows, 1]), "scalar"),
    w: run.operand(run.holding(w, [3, 1]), "scalar"),
  };
  const sizes = { rows, cols: 3, x_cols: 1, w_cols: 1, scale: 1 };
  run.recorder.dispatch(matmulForward, { y, ...operands }, sizes, SMALL);
  await run.run();
  const want = reference.matmulForward(wide(x), wide(w), { rows, cols: 3, inner: 1 });
  assertClose(await run.read(y), want, arithmetic("f32", "f32", 1));
});
