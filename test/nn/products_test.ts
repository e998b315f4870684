import assert from "node:assert/strict";
import { loraBackwardA, registerTile, sharedTile } from "../../kernels/matmul/kernel.ts";
import * as reference from "../../kernels/matmul/reference.ts";
import { LOOP_BUDGET } from "../../src/gpu/kernel.ts";
import { FrozenMatrix } from "../../src/nn/frozen_matrix.ts";
import { LoraLinear } from "../../src/nn/lora_linear.ts";
import {
  recordBackwardFactor,
  recordBackwardInput,
  recordForward,
  rowBlocks,
} from "../../src/nn/products.ts";
import { CANDIDATES } from "../../src/nn/tile_candidates.ts";
import {
  TILE_CLASSES,
  type TileClass,
  tileFits,
  tileFor,
  variantFits,
  VARIANTS,
} from "../../src/nn/variants.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

const { software, hardware, llvmpipe } = VARIANTS;
const limited = (dispatchFlops: number) => ({ variants: { ...software, dispatchFlops } });

Deno.test("rowBlocks() divides a product by whole tiles, and covers each row once", () => {
  const tile = registerTile(8, 4, 8);
  assert.deepEqual(rowBlocks(limited(Infinity), "forward", tile, 100, 1000), [{ first_row: 0, rows: 100 }]);
  assert.deepEqual(rowBlocks(limited(40_000), "forward", tile, 100, 1000), [
    { first_row: 0, rows: 40 },
    { first_row: 40, rows: 80 },
    { first_row: 80, rows: 100 },
  ]);
  // 39 rows fit: four tiles of eight
  assert.deepEqual(rowBlocks(limited(39_999), "backwardInput", tile, 40, 1000), [
    { first_row: 0, rows: 32 },
    { first_row: 32, rows: 40 },
  ]);
  // not even one tile fits: one tile a launch
  assert.equal(rowBlocks(limited(1), "forward", tile, 100, 1000).length, 13);
  // a factor sums over its rows: any number of them is a block, within the loops of one invocation
  assert.deepEqual(rowBlocks(limited(3000), "backwardFactor", tile, 7, 1000).map(({ rows }) => rows), [
    3,
    6,
    7,
  ]);
  const long = rowBlocks(limited(Infinity), "backwardFactor", tile, 100_000, 1);
  assert.ok(long.length > 1 && long.every(({ first_row, rows }) => rows - first_row <= LOOP_BUDGET));
});

onEachCompiler("products in many launches are those of one", async (adapter) => {
  const rows = 21, cols = 12, inner = 8;
  const x = ramp(rows * inner), w = ramp(cols * inner, { phase: 1 }), bias = ramp(cols, { phase: 2 });
  const back = ramp(rows * cols, { phase: 3 });
  const tile = registerTile(4, 2, 4);
  const variants = { ...software, forward: tile, narrow: tile, backwardInput: tile, dispatchFlops: 2000 };
  using run = new TestProgram(adapter, variants);
  const r = run.recorder;
  const y = run.output([rows, cols]), dx = run.output([rows, inner]);
  const dw = run.holding(new Float32Array(cols * inner), [cols, inner]);
  const operand = (values: Float32Array<ArrayBuffer>, shape: number[]) =>
    r.operand(run.holding(values, shape));
  const [xs, ws, dys] = [
    operand(x, [rows, inner]),
    operand(w, [cols, inner]),
    operand(back, [rows, cols]),
  ];
  recordForward(r, { y, x: xs!, w: ws!, inner, bias: run.holding(bias) });
  recordBackwardInput(r, { y: dx, mode: "set", x: dys!, w: ws!, inner: cols });
  recordBackwardFactor(r, loraBackwardA, {
    out: dw,
    left: dys!,
    right: xs!,
    rows,
    leftCols: cols,
    rightCols: inner,
  });
  const program = await run.run();
  assert.equal(program.dispatches, 3 + 3 + 3, "rows of 192 operations each: 8 to 10 of them a launch");
  const tolerance = arithmetic("f32", "f32", rows);
  const wantY = reference.matmulForward(wide(x), wide(w), { rows, cols, inner });
  assertClose(await run.read(y), wantY.map((value, i) => value + bias[i % cols]!), tolerance);
  const wantDx = reference.matmulBackwardInput(wide(back), wide(w), { rows, cols: inner, inner: cols });
  assertClose(await run.read(dx), wantDx, tolerance);
  const sizes = { rows, leftCols: cols, rightCols: inner };
  assertClose(await run.read(dw), reference.matmulBackwardFactor(wide(back), wide(x), sizes), tolerance);
});

onEachCompiler("LoraLinear adds its frozen bias once, with and without an update", async (adapter) => {
  const rows = 5, cols = 8, inner = 12, rank = 2;
  const x = ramp(rows * inner), w = ramp(cols * inner, { phase: 1 }), bias = ramp(cols, { phase: 2 });
  const a = ramp(rank * inner, { phase: 3 }), b = ramp(cols * rank, { phase: 4 });
  const matrix = new FrozenMatrix("w", cols, inner, adapter.gpu, software);
  await matrix.load((first, count) => Promise.resolve(w.slice(first * inner, (first + count) * inner)));
  using run = new TestProgram(adapter);
  const parameter = (name: string, values: Float32Array<ArrayBuffer>, shape: number[]) => {
    const value = run.holding(values, shape);
    return { name, value, grad: value };
  };
  const low = {
    a: parameter("a", a, [rank, inner]),
    b: parameter("b", b, [cols, rank]),
    rank,
    scaling: 0.5,
  };
  const kept = run.holding(bias, [cols], "q.bias"), xs = run.holding(x, [rows, inner]);
  const outputs = [null, low].map((lora) => {
    const y = run.output([rows, cols]);
    run.recorder.copy(new LoraLinear(matrix, lora, kept).forward(run.recorder, xs).y, y);
    return y;
  });
  await run.run();
  const base = reference.matmulForward(wide(x), wide(w), { rows, cols, inner })
    .map((value, i) => value + bias[i % cols]!);
  const u = reference.matmulForward(wide(x), wide(a), { rows, cols: rank, inner, scale: 0.5 });
  const update = reference.matmulForward(u, wide(b), { rows, cols, inner: rank });
  const tolerance = arithmetic("f32", "f32", inner + rank + 1);
  assertClose(await run.read(outputs[0]!), base, tolerance);
  assertClose(await run.read(outputs[1]!), base.map((value, i) => value + update[i]!), tolerance);
  assert.throws(
    () => new LoraLinear(matrix, null, run.holding(ramp(7), [7], "q.bias")),
    /Cannot add "q\.bias" \[7\] to what "w" gives: it must be \[8\]/,
  );
  matrix.destroy();
});

Deno.test("tileFor() picks by the shape of the output, and no tile larger than it", () => {
  const pick = (rows: number, cols: number) => tileFor(llvmpipe, { op: "forward", rows, cols });
  assert.deepEqual(pick(256, 576), llvmpipe.forward);
  assert.deepEqual(pick(256, 65), llvmpipe.forward);
  assert.deepEqual(pick(256, 8), registerTile(16, 1, 8));
  assert.deepEqual(pick(1, 576), registerTile(1, 8, 8));
  assert.deepEqual(pick(3, 576), registerTile(4, 8, 8));
  assert.deepEqual(pick(5, 576), registerTile(8, 8, 8));
  assert.deepEqual(tileFor(hardware, { op: "forward", rows: 5, cols: 576 }), hardware.forward);
  assert.deepEqual(tileFor(llvmpipe, { op: "backwardInput", rows: 256, cols: 24 }), registerTile(16, 1, 8));
  assert.deepEqual(tileFor(llvmpipe, { op: "backwardFactor", rows: 3, cols: 576 }), registerTile(1, 1, 8));
});

const DEFAULT_GPU = {
  name: "plain GPU",
  features: new Set<string>(),
  limits: {
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
  } as GPUSupportedLimits,
};

Deno.test("variantFits() lets every variant run within WebGPU's default limits, but for features", () => {
  for (const [name, variants] of Object.entries(VARIANTS)) {
    const expected = {
      shared_half: 'its forward tile needs the feature shader-f16, "plain GPU" lacks it',
      subgroup: 'its forward tile needs the feature subgroups, "plain GPU" lacks it',
    }[name] ?? null;
    assert.equal(variantFits(DEFAULT_GPU, variants), expected, name);
    const features = new Set(["shader-f16", "subgroups"]);
    assert.equal(variantFits({ ...DEFAULT_GPU, features }, variants), null, name);
  }
  const large = {
    ...hardware,
    forward: sharedTile({ rows: 8, cols: 8, lanes: 16, laneRows: 16, depth: 16 }),
  };
  assert.match(
    variantFits(DEFAULT_GPU, large)!,
    /^its forward tile needs 16512 bytes .* "plain GPU" has 16384$/,
  );
  const wide = { ...hardware, narrow: registerTile(1, 1, 512) };
  assert.match(variantFits(DEFAULT_GPU, wide)!, /^its narrow tile needs 512 invocations .* has 256$/);
});

Deno.test("every candidate runs within WebGPU's default limits, cheapest to compile first", () => {
  const gpu = { ...DEFAULT_GPU, features: new Set(["subgroups"]) };
  for (const [kind, classes] of Object.entries(CANDIDATES)) {
    for (const name of Object.keys(TILE_CLASSES) as TileClass[]) {
      const seconds = classes[name].map(({ compileSeconds }) => compileSeconds);
      assert.deepEqual(seconds, seconds.toSorted((a, b) => a - b), `${kind} ${name}`);
      for (const { tile } of classes[name]) assert.equal(tileFits(gpu, TILE_CLASSES[name], tile), null);
      const usual = VARIANTS[kind as keyof typeof CANDIDATES][name];
      assert.ok(
        classes[name].some(({ tile }) => JSON.stringify(tile) === JSON.stringify(usual)),
        `${kind} ${name}`,
      );
    }
  }
});
