import assert from "node:assert/strict";
import * as attentionReference from "../../kernels/attention/reference.ts";
import { crossEntropy, softcap } from "../../kernels/cross_entropy/reference.ts";
import * as gatedReference from "../../kernels/gated/reference.ts";
import { registerTile } from "../../kernels/matmul/kernel.ts";
import { matmulBackwardInput, matmulForward } from "../../kernels/matmul/reference.ts";
import * as rmsReference from "../../kernels/rms_norm/reference.ts";
import { ropeRotate } from "../../kernels/rope/reference.ts";
import { gatherRows, scatterRows } from "../../kernels/rows/reference.ts";
import { ropeTables } from "../../src/models/rope.ts";
import { Attention } from "../../src/nn/attention.ts";
import { attentionSpans } from "../../src/nn/attention_spans.ts";
import { embed } from "../../src/nn/embedding.ts";
import { FrozenMatrix } from "../../src/nn/frozen_matrix.ts";
import * as gated from "../../src/nn/gated.ts";
import { LmHead } from "../../src/nn/lm_head.ts";
import { LoraLinear } from "../../src/nn/lora_linear.ts";
import { RmsNorm } from "../../src/nn/rms_norm.ts";
import { rotate, rowPositions } from "../../src/nn/rope.ts";
import { rowLanes } from "../../src/nn/row_lanes.ts";
import { VARIANTS, type Variants } from "../../src/nn/variants.ts";
import type { MatrixWeight } from "../../src/nn/weight.ts";
import type { Tensor } from "../../src/tensor.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { loraBackward, loraForward, plus } from "../helpers/decoder_reference.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram, withLimits } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

/** Small tiles for both sources of operands: that every tile is right is shown by the kernels' tests. */
const SMALL = { forward: registerTile(2, 2, 4), rowLanes: 16 };
const CHOICES: readonly Variants[] = [
  {
    ...VARIANTS.software,
    ...SMALL,
    operands: "texture",
    backwardInput: registerTile(2, 2, 4),
  },
  { ...VARIANTS.software, ...SMALL, backwardInput: registerTile(2, 2, 4) },
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
    `RmsNorm, rope, Attention and the gated activation match the composed f64 references, ${operands}`,
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
      const spans = run.holding(seen, [rows, 2]), positions = rowPositions(batch, rowLength);
      const n = norm.forward(r, hold(x!));
      const at = { headDim, positions: run.holding(positions) };
      const turned = rotate(r, { q: n.y, k: hold(k!) }, rope, { ...at, direction: 1 });
      const att = attention.forward(r, { ...turned, v: hold(v!) }, spans, rowLength);
      const act = gated.forward(r, att.y, hold(up!), "gelu_tanh");
      const [y, dx, dxAlone] = [1, 2, 3].map(() => run.output([rows, width])) as [Tensor, Tensor, Tensor];
      const dk = run.output([rows, kvWidth]);
      r.copy(act.y, y);
      const { dgate } = gated.backward(r, hold(dy!), act.saved);
      const grads = attention.backward(r, dgate, att.saved, spans, rowLength);
      const back = rotate(r, { q: grads.dq, k: grads.dk }, rope, { ...at, direction: -1 });
      r.copy(norm.backward(r, back.q, n.saved, hold(dy!)), dx);
      r.copy(norm.backward(r, back.q, n.saved, null), dxAlone);
      r.copy(back.k, dk);
      await run.run();

      const turn = (values: Float64Array, heads: number, direction: 1 | -1) =>
        ropeRotate(values, wide(tables.cos), wide(tables.sin), { positions, heads, headDim, direction });
      const wn = rmsReference.rmsNormForward(wide(x!), wide(weight!), 1e-5), q = turn(wn.y, heads, 1);
      const turnedK = turn(wide(k!), kvHeads, 1);
      const out = attentionReference.attentionForward(q, turnedK, wide(v!), sizes);
      const gate = gatedReference.gatedBackward(out, wide(up!), wide(dy!), "gelu_tanh");
      const want = attentionReference.attentionBackward(q, turnedK, wide(v!), gate.dgate, sizes);
      const wantDx = rmsReference.rmsNormBackward(
        turn(want.dq, heads, -1),
        wide(x!),
        wide(weight!),
        wn.rstd,
      );
      const tolerance = arithmetic("f32", "f32", width);
      assertClose(await run.read(y), gatedReference.gatedForward(out, wide(up!), "gelu_tanh"), tolerance);
      assertClose(await run.read(dk), turn(want.dk, kvHeads, -1), tolerance);
      assertClose(await run.read(dx), plus(wantDx, wide(dy!)), tolerance);
      assertClose(await run.read(dxAlone), wantDx, tolerance);
    },
  );

  onEachCompiler(`RmsNorm of heads, with weights around zero, is trained, ${operands}`, async (adapter) => {
    const rows = 8, heads = 16, headDim = 4, shape = [rows, heads * headDim];
    const x = ramp(rows * heads * headDim), weight = ramp(headDim, { phase: 1 });
    const dy = ramp(x.length, { phase: 2 });
    using run = new TestProgram(adapter, variants);
    const r = run.recorder, grad = run.holding(new Float32Array(headDim));
    const norm = new RmsNorm(run.holding(weight), 1e-6, grad, 1);
    const n = norm.forward(r, run.holding(x, shape)), y = run.output(shape), dx = run.output(shape);
    r.copy(n.y, y);
    r.copy(norm.backward(r, run.holding(dy, shape), n.saved, null), dx);
    await run.run();
    const want = rmsReference.rmsNormForward(wide(x), wide(weight), 1e-6, 1);
    const tolerance = arithmetic("f32", "f32", headDim);
    assertClose(await run.read(y), want.y, tolerance);
    const wantDx = rmsReference.rmsNormBackward(wide(dy), wide(x), wide(weight), want.rstd, 1);
    assertClose(await run.read(dx), wantDx, tolerance);
    const wantGrad = rmsReference.rmsNormBackwardWeight(wide(dy), wide(x), want.rstd, headDim);
    assertClose(await run.read(grad), wantGrad, arithmetic("f32", "f32", rows * heads));
    assert.throws(
      () => norm.forward(r, run.holding(ramp(10), [1, 10], "x")),
      /Cannot norm "x" by "test tensor" as 10 columns are not one head of 4/,
    );
  });

  for (const cap of [null, 3]) {
    onEachCompiler(
      `LmHead over chunks and shards matches the f64 reference, ${operands}, cap ${cap}`,
      async (adapter) => {
        const rows = 150, cols = 12, vocab = 37, first = [0, 64, 128], chunk = [64, 64, 22];
        const limits = { maxTextureDimension2D: 16, maxStorageBufferBindingSize: 16 * 4 * cols };
        const x = ramp(rows * cols), w = ramp(vocab * cols, { phase: 1 }), weight = ramp(cols, { phase: 2 });
        const index = Array.from({ length: rows }, (_, i) => i < 140 ? (i * 7 + 3) % rows : -1);
        const targets = index.map((row) => row < 0 ? -1 : (row * 5) % vocab);
        const matrix = await frozen(adapter, w, vocab, cols, variants, limits);
        assert.equal(matrix.shards.length, 3);
        using run = new TestProgram(adapter, variants);
        const head = new LmHead(
            new RmsNorm(run.holding(weight, [cols], "norm"), 1e-5),
            matrix,
            16 << 20,
            cap,
          ),
          r = run.recorder;
        const u32 = (values: readonly number[]) =>
          run.holding(Uint32Array.from(values, (value) => value >>> 0));
        const labelled = { index: u32(index), targets: u32(targets) };
        const sinks = {
          totals: run.holding(new Float32Array(4)),
          flags: run.holding(new Uint32Array(1)),
          scalars: run.holding(Float32Array.of(0.25)),
        };
        const xs = run.holding(x, [rows, cols]),
          dx = run.holding(new Float32Array(rows * cols), [rows, cols]);
        const capped = head.logits(r, xs, labelled, 0, 64).shards.map((shard) => {
          const kept = run.output(shard.shape);
          r.copy(shard, kept);
          return kept;
        });
        r.endScope();
        first.forEach((at, i) => {
          const kept = head.forward(r, xs, labelled, sinks, at, chunk[i]!);
          head.backward(r, kept, labelled, sinks, dx, at, chunk[i]!);
          r.endScope();
        });
        await run.run();
        const gathered = gatherRows(wide(x), index, cols);
        const normed = rmsReference.rmsNormForward(gathered, wide(weight), 1e-5);
        const logits = matmulForward(normed.y, wide(w), { rows, cols: vocab, inner: cols });
        const want = crossEntropy(logits, targets, vocab, 0.25, cap);
        const dnormed = matmulBackwardInput(want.dlogits, wide(w), { rows, cols, inner: vocab });
        const dgathered = rmsReference.rmsNormBackward(dnormed, gathered, wide(weight), normed.rstd);
        const tolerance = arithmetic("f32", "f32", vocab + cols);
        assertClose(
          (await run.read(sinks.totals)).subarray(0, 1),
          [want.loss],
          arithmetic("f32", "f32", rows),
        );
        const wantLogits = softcap(logits, cap), cols0 = capped[0]!.shape[1]!;
        assertClose(
          await run.read(capped[0]!),
          Float64Array.from(
            { length: 64 * cols0 },
            (_, i) => wantLogits[Math.floor(i / cols0) * vocab + i % cols0]!,
          ),
          tolerance,
        );
        assertClose(await run.read(dx), scatterRows(dgathered, index, rows, cols), tolerance);
        assert.equal((await run.readU32(sinks.flags))[0], 0);
        matrix.destroy();
      },
    );
  }

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

Deno.test("LmHead.chunkRows() keeps chunks of a tiny vocabulary within a grid and a texture", () => {
  const head = (vocab: number) => new LmHead(null!, { rows: vocab } as MatrixWeight, 16 << 20);
  assert.equal(head(3).chunkRows(200_000), 8192);
  assert.equal(head(3).chunkRows(100), 100);
  assert.equal(head(49_152).chunkRows(200_000), 64);
  assert.equal(head(262_144).chunkRows(200_000), 32);
});

Deno.test("rowPositions() starts anew with each row and each packed document; padding counts on", () => {
  assert.deepEqual([...rowPositions(2, 4)], [0, 1, 2, 3, 0, 1, 2, 3]);
  const packed = rowPositions(3, 6, [[2, 1, 2], [6], [1, 3]]);
  assert.deepEqual([...packed], [0, 1, 0, 0, 1, 2, 0, 1, 2, 3, 4, 5, 0, 0, 1, 2, 3, 4]);
});

Deno.test("rowLanes() gives a row no more lanes than it has vectors, and enough for its loops", () => {
  const gpu = { WORKGROUP_SIZE: 64, ROW_LANES: 64 }, cpu = { WORKGROUP_SIZE: 8, ROW_LANES: 1 };
  assert.deepEqual(rowLanes(gpu, 576), gpu);
  assert.deepEqual(rowLanes(gpu, 64), { WORKGROUP_SIZE: 64, ROW_LANES: 16 });
  assert.deepEqual(rowLanes(gpu, 1), { WORKGROUP_SIZE: 64, ROW_LANES: 1 });
  assert.deepEqual(rowLanes(gpu, 49_152), { WORKGROUP_SIZE: 256, ROW_LANES: 256 });
  assert.deepEqual(rowLanes(cpu, 49_152), cpu);
  assert.deepEqual(rowLanes(cpu, 262_144), { WORKGROUP_SIZE: 8, ROW_LANES: 4 });
});

onEachCompiler("layers refuse sizes that they cannot compute", async (adapter) => {
  assert.throws(
    () => new Attention({ heads: 5, kvHeads: 2, headDim: 8 }),
    /5 query heads over 2 key\/value heads/,
  );
  using run = new TestProgram(adapter);
  const tables = { cos: run.holding(ramp(6), [1, 6]), sin: run.holding(ramp(6), [1, 6]) };
  const two = { q: run.holding(ramp(8), [1, 8]), k: run.holding(ramp(8), [1, 8]) };
  const at = { positions: run.holding(new Uint32Array(1)), headDim: 8, direction: 1 } as const;
  assert.throws(() => rotate(run.recorder, two, tables, at), /Cannot turn 12 elements of heads of 8/);
  assert.throws(
    () => new Attention({ heads: 4, kvHeads: 2, headDim: 6 }),
    /head_dim 6 is not a multiple of 4/,
  );
  const matrix = await frozen(adapter, ramp(20), 4, 5, VARIANTS.software);
  const low = { a: null!, b: null!, rank: 9, scaling: 1 };
  assert.throws(
    () => new LoraLinear(matrix, low),
    /LoRA to "w" as rank must be in 1\.\.8: current value is 9/,
  );
  assert.throws(
    () =>
      new FrozenMatrix("wide", 4, 100, withLimits(adapter.gpu, { maxBufferSize: 400 }), VARIANTS.software),
    /Cannot place "wide" as one row of 100 columns exceeds/,
  );
});
