import assert from "node:assert/strict";
import * as attentionReference from "../../kernels/attention/reference.ts";
import { crossEntropy } from "../../kernels/cross_entropy/reference.ts";
import { matmulBackwardInput, matmulForward } from "../../kernels/matmul/reference.ts";
import * as rmsReference from "../../kernels/rms_norm/reference.ts";
import { ropeRotate } from "../../kernels/rope/reference.ts";
import { gatherRows, scatterRows } from "../../kernels/rows/reference.ts";
import * as swigluReference from "../../kernels/swiglu/reference.ts";
import { ropeTables } from "../../src/models/rope.ts";
import { Attention } from "../../src/nn/attention.ts";
import { attentionSpans } from "../../src/nn/attention_spans.ts";
import { embed } from "../../src/nn/embedding.ts";
import { FrozenMatrix } from "../../src/nn/frozen_matrix.ts";
import { LmHead } from "../../src/nn/lm_head.ts";
import { LoraLinear } from "../../src/nn/lora_linear.ts";
import { RmsNorm } from "../../src/nn/rms_norm.ts";
import { rotate } from "../../src/nn/rope.ts";
import * as swiglu from "../../src/nn/swiglu.ts";
import { VARIANTS, type Variants } from "../../src/nn/variants.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { loraBackward, loraForward, plus } from "../helpers/decoder_reference.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram, withLimits } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

/** Small tiles for both sources of operands: that every tile is right is shown by the kernels' tests. */
const SMALL = { forward: { TILE_ROWS: 2, TILE_COLS: 2, LANES: 4 }, rowLanes: 16 };
const CHOICES: readonly Variants[] = [
  {
    ...VARIANTS.software,
    ...SMALL,
    operands: "texture",
    backwardInput: { TILE_ROWS: 2, TILE_COLS: 2, LANES: 4 },
  },
  { ...VARIANTS.software, ...SMALL, backwardInput: { TILE_ROWS: 2, TILE_COLS: 2, LANES: 4 } },
];

async function frozen(
  { gpu }: TestAdapter,
  values: Float32Array<ArrayBuffer>,
  rows: number,
  cols: number,
  variants: Variants,
  limits: Readonly<Record<string, number>> = {},
): Promise<FrozenMatrix> {
  const matrix = new FrozenMatrix("w", rows, cols, withLimits(gpu, limits), variants);
  await matrix.load((first, count) => Promise.resolve(values.slice(first * cols, (first + count) * cols)));
  return matrix;
}

for (const variants of CHOICES) {
  const { operands } = variants;

  for (const rank of [0, 3, 4]) {
    onEachCompiler(`LoraLinear of rank ${rank} matches the f64 reference, ${operands}`, async (adapter) => {
      for (const [rows, cols, inner] of [[5, 13, 7], [8, 12, 64]] as const) {
        const x = ramp(rows * inner), w = ramp(cols * inner, { phase: 1 });
        const dy = ramp(rows * cols, { phase: 2 }), addend = ramp(rows * cols, { phase: 3 });
        const before = ramp(rows * inner, { phase: 4 });
        const a = ramp(rank * inner, { phase: 5 }), b = ramp(cols * rank, { phase: 6 });
        using run = new TestProgram(adapter, variants);
        const matrix = await frozen(adapter, w, cols, inner, variants);
        const parameter = (name: string, values: Float32Array<ArrayBuffer>, shape: number[]) => ({
          name,
          value: run.holding(values, shape),
          grad: run.holding(new Float32Array(values.length), shape),
        });
        const low = rank === 0 ? null : {
          a: parameter("a", a, [rank, inner]),
          b: parameter("b", b, [cols, rank]),
          rank,
          scaling: 1.5,
        };
        const layer = new LoraLinear(matrix, low), r = run.recorder;
        const xs = run.holding(x, [rows, inner]), dys = run.holding(dy, [rows, cols]);
        const y = run.output([rows, cols]), yAdd = run.output([rows, cols]);
        const dx = run.output([rows, inner]), dxAdd = run.holding(before, [rows, inner]);
        const forward = layer.forward(r, xs);
        r.copy(forward.y, y);
        r.copy(layer.forward(r, xs, run.holding(addend, [rows, cols])).y, yAdd);
        layer.backward(r, dys, forward.saved, dx, "set");
        layer.backward(r, dys, forward.saved, dxAdd, "accumulate");
        layer.backward(r, dys, forward.saved, null, "set");
        await run.run();
        const reference = rank === 0 ? null : { a: wide(a), b: wide(b), rank, scaling: 1.5 };
        const sizes = { rows, cols, inner };
        const wantY = loraForward(wide(x), wide(w), sizes, reference);
        const want = loraBackward(wide(dy), wide(x), wide(w), sizes, reference);
        const tolerance = arithmetic("f32", "f32", inner + cols + rank);
        assertClose(await run.read(y), wantY, tolerance);
        assertClose(await run.read(yAdd), plus(wantY, wide(addend)), tolerance);
        assertClose(await run.read(dx), want.dx, tolerance);
        assertClose(await run.read(dxAdd), plus(want.dx, wide(before)), tolerance);
        if (low) {
          assertClose(await run.read(low.a.grad), want.da!.map((value) => 3 * value), tolerance); // three backwards
          assertClose(await run.read(low.b.grad), want.db!.map((value) => 3 * value), tolerance);
        }
        matrix.destroy();
      }
    });
  }

  onEachCompiler(
    `RmsNorm, rope, Attention and SwiGLU match the composed f64 references, ${operands}`,
    async (adapter) => {
      const batch = 2, rowLength = 5, heads = 4, kvHeads = 2, headDim = 8, rows = batch * rowLength;
      const width = heads * headDim, kvWidth = kvHeads * headDim;
      const seen = attentionSpans({ lengths: [5, 3], rowLength });
      const sizes = { batch, rowLength, heads, kvHeads, headDim, scale: headDim ** -0.5, spans: seen };
      const tables = ropeTables({ rotaryDim: headDim, theta: 100, scaling: { type: "default" } }, rowLength);
      const [x, k, v, weight, dy, up] = [width, kvWidth, kvWidth, width / rows, width, width]
        .map((cols, phase) => ramp(rows * cols, { phase }));
      using run = new TestProgram(adapter, variants);
      const r = run.recorder,
        hold = (values: Float32Array<ArrayBuffer>) => run.holding(values, [rows, values.length / rows]);
      const norm = new RmsNorm(run.holding(weight!, [width], "norm"), 1e-5);
      const attention = new Attention({ heads, kvHeads, headDim });
      const rope = {
        cos: run.holding(tables.cos, [rowLength, 4]),
        sin: run.holding(tables.sin, [rowLength, 4]),
      };
      const spans = run.holding(seen, [rows, 2]);
      const n = norm.forward(r, hold(x!));
      rotate(r, n.y, rope, { rowLength, headDim, direction: 1 });
      const att = attention.forward(r, { q: n.y, k: hold(k!), v: hold(v!) }, spans, rowLength);
      const act = swiglu.forward(r, att.y, hold(up!));
      const y = run.output([rows, width]), dx = run.holding(new Float32Array(rows * width), [rows, width]);
      const dk = run.output([rows, kvWidth]);
      r.copy(act.y, y);
      const outKept = run.output([rows, width]);
      r.copy(att.y, outKept); // SwiGLU overwrites its gate, attention's backward wants its output
      const { dgate } = swiglu.backward(r, hold(dy!), act.saved);
      const saved = { ...att.saved, out: outKept };
      const grads = attention.backward(r, dgate, saved, spans, rowLength);
      rotate(r, grads.dq, rope, { rowLength, headDim, direction: -1 });
      norm.backward(r, grads.dq, n.saved, dx);
      r.copy(grads.dk, dk);
      await run.run();

      const turn = (values: Float64Array, direction: 1 | -1) =>
        ropeRotate(values, wide(tables.cos), wide(tables.sin), {
          rows,
          rowLength,
          heads,
          halfDim: 4,
          direction,
        });
      const wn = rmsReference.rmsNormForward(wide(x!), wide(weight!), rows, width, 1e-5), q = turn(wn.y, 1);
      const out = attentionReference.attentionForward(q, wide(k!), wide(v!), sizes);
      const gate = swigluReference.swigluBackward(out, wide(up!), wide(dy!));
      const back = attentionReference.attentionBackward(q, wide(k!), wide(v!), gate.dgate, sizes);
      const wantDx = rmsReference.rmsNormBackward(
        turn(back.dq, -1),
        wide(x!),
        wide(weight!),
        wn.rstd,
        rows,
        width,
      );
      const tolerance = arithmetic("f32", "f32", width);
      assertClose(await run.read(y), swigluReference.swigluForward(out, wide(up!)), tolerance);
      assertClose(await run.read(dk), back.dk, tolerance);
      assertClose(await run.read(dx), wantDx, tolerance);
    },
  );

  onEachCompiler(`LmHead over chunks and shards matches the f64 reference, ${operands}`, async (adapter) => {
    const rows = 150, cols = 12, vocab = 37, first = [0, 64, 128], chunk = [64, 64, 22];
    const limits = { maxTextureDimension2D: 16, maxStorageBufferBindingSize: 16 * 4 * cols };
    const x = ramp(rows * cols), w = ramp(vocab * cols, { phase: 1 }), weight = ramp(cols, { phase: 2 });
    const index = Array.from({ length: rows }, (_, i) => i < 140 ? (i * 7 + 3) % rows : -1);
    const targets = index.map((row) => row < 0 ? -1 : (row * 5) % vocab);
    const matrix = await frozen(adapter, w, vocab, cols, variants, limits);
    assert.equal(matrix.shards.length, 3);
    using run = new TestProgram(adapter, variants);
    const head = new LmHead(new RmsNorm(run.holding(weight, [cols], "norm"), 1e-5), matrix), r = run.recorder;
    const u32 = (values: readonly number[]) => run.holding(Uint32Array.from(values, (value) => value >>> 0));
    const labelled = { index: u32(index), targets: u32(targets) };
    const sinks = {
      totals: run.holding(new Float32Array(4)),
      flags: run.holding(new Uint32Array(1)),
      scalars: run.holding(Float32Array.of(0.25)),
    };
    const xs = run.holding(x, [rows, cols]), dx = run.holding(new Float32Array(rows * cols), [rows, cols]);
    first.forEach((at, i) => {
      const kept = head.forward(r, xs, labelled, sinks, at, chunk[i]!);
      head.backward(r, kept, labelled, sinks, dx, at, chunk[i]!);
      r.endScope();
    });
    await run.run();
    const gathered = gatherRows(wide(x), index, cols);
    const normed = rmsReference.rmsNormForward(gathered, wide(weight), rows, cols, 1e-5);
    const logits = matmulForward(normed.y, wide(w), { rows, cols: vocab, inner: cols });
    const want = crossEntropy(logits, targets, vocab, 0.25);
    const dnormed = matmulBackwardInput(want.dlogits, wide(w), { rows, cols, inner: vocab });
    const dgathered = rmsReference.rmsNormBackward(dnormed, gathered, wide(weight), normed.rstd, rows, cols);
    const tolerance = arithmetic("f32", "f32", vocab + cols);
    assertClose((await run.read(sinks.totals)).subarray(0, 1), [want.loss], arithmetic("f32", "f32", rows));
    assertClose(await run.read(dx), scatterRows(dgathered, index, rows, cols), tolerance);
    assert.equal((await run.readU32(sinks.flags))[0], 0);
    matrix.destroy();
  });

  onEachCompiler(
    `FrozenMatrix keeps odd columns and several shards bit for bit, ${operands}`,
    async (adapter) => {
      for (const cols of [13, 16]) {
        const rows = 27, w = ramp(rows * cols);
        const limits = { maxTextureDimension2D: 8, maxStorageBufferBindingSize: 8 * 4 * cols };
        const matrix = await frozen(adapter, w, rows, cols, variants, limits);
        assert.deepEqual(matrix.shards.map((shard) => [shard.firstRow, shard.rows]), [
          [0, 8],
          [8, 8],
          [16, 8],
          [24, 3],
        ]);
        assert.throws(
          () => matrix.operandOn(),
          /"w" \[27, \d+\] in one piece as .* binds at most 8 of its rows/,
        );
        using run = new TestProgram(adapter, variants);
        const ids = run.holding(Uint32Array.from({ length: rows }, (_, i) => i)),
          y = run.output([rows, cols]);
        run.recorder.copy(embed(run.recorder, matrix, ids), y);
        await run.run();
        assertClose(await run.read(y), w, exact());
        matrix.destroy();
      }
    },
  );

  onEachCompiler(`a staged operand is dropped once its tensor is written, ${operands}`, async (adapter) => {
    const rows = 3,
      inner = 5,
      cols = 2,
      first = ramp(15),
      second = ramp(15, { phase: 1 }),
      w = ramp(10, { phase: 2 });
    const matrix = await frozen(adapter, w, cols, inner, variants);
    using run = new TestProgram(adapter, variants);
    const layer = new LoraLinear(matrix, null), r = run.recorder;
    const x = run.holding(first, [rows, inner]), outputs = [0, 1].map(() => run.output([rows, cols]));
    r.copy(layer.forward(r, x).y, outputs[0]!);
    const operand = r.operand(x);
    assert.equal(r.operand(x), operand, "staged once while the tensor stays as it is");
    r.copy(run.holding(second, [rows, inner]), x);
    r.copy(layer.forward(r, x).y, outputs[1]!);
    await run.run();
    for (const [i, values] of [first, second].entries()) {
      const want = matmulForward(wide(values), wide(w), { rows, cols, inner });
      assertClose(await run.read(outputs[i]!), want, arithmetic("f32", "f32", inner));
    }
    matrix.destroy();
  });
}

onEachCompiler("layers refuse sizes that they cannot compute", async (adapter) => {
  assert.throws(
    () => new Attention({ heads: 5, kvHeads: 2, headDim: 8 }),
    /5 query heads over 2 key\/value heads/,
  );
  assert.throws(
    () => new Attention({ heads: 4, kvHeads: 2, headDim: 6 }),
    /head_dim 6 is not a multiple of 4/,
  );
  const matrix = await frozen(adapter, ramp(20), 4, 5, VARIANTS.software);
  const low = { a: null!, b: null!, rank: 5, scaling: 1 };
  assert.throws(
    () => new LoraLinear(matrix, low),
    /LoRA to "w" as rank must be in 1\.\.4: current value is 5/,
  );
  assert.throws(
    () =>
      new FrozenMatrix("wide", 4, 100, withLimits(adapter.gpu, { maxBufferSize: 400 }), VARIANTS.software),
    /Cannot place "wide" as one row of 100 columns exceeds/,
  );
});
