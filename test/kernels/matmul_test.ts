import assert from "node:assert/strict";
import {
  iterationsOf,
  loraBackwardA,
  matmulBackwardInput,
  matmulForward,
  registerTile,
  requirements,
  sharedTile,
  subgroupTile,
  type Tile,
  vectorTile,
} from "../../kernels/matmul/kernel.ts";
import * as reference from "../../kernels/matmul/reference.ts";
import type { OperandSource } from "../../src/gpu/kernel.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp, SENTINEL } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";
import {
  checkBackwardFactor,
  checkBackwardInput,
  checkForward,
  EVERY_PART,
  onFeature,
  type ProductSize,
  sum,
} from "../helpers/products.ts";

const SOURCES: readonly OperandSource[] = ["texture", "vec4", "scalar"];
const SMALL = registerTile(2, 2, 4);
/** The least of each kind of tile; with blocks that no size below is a multiple of. */
const KINDS: Readonly<Record<string, Tile>> = {
  register: SMALL,
  "register of several rows of lanes": registerTile(2, 1, 4, 2),
  shared: sharedTile({ rows: 2, cols: 2, lanes: 4, laneRows: 3, depth: 8 }),
  vector: vectorTile(2, 2, 2, 4),
  "shared f16": sharedTile({ rows: 2, cols: 1, lanes: 4, laneRows: 2, depth: 8, half: true }),
  subgroup: subgroupTile(2, 2, 8),
};
/** One element, primes, sizes that no tile divides, and sizes divisible by 4. */
const SIZES: readonly ProductSize[] = [
  { rows: 1, cols: 1, inner: 1, rank: 1 },
  { rows: 7, cols: 13, inner: 11, rank: 3 },
  { rows: 19, cols: 76, inner: 20, rank: 4 },
];

Deno.test("the matmul references agree with central differences", () => {
  const rows = 3, cols = 5, inner = 4;
  const x = wide(ramp(rows * inner)), w = wide(ramp(cols * inner, { phase: 1 }));
  const dy = wide(ramp(rows * cols, { phase: 2 }));
  const loss = (x: Float64Array, w: Float64Array) =>
    dot(dy, reference.matmulForward(x, w, { rows, cols, inner }));
  const dx = reference.matmulBackwardInput(dy, w, { rows, cols: inner, inner: cols });
  assertGradient((x) => loss(x, w), x, dx);
  const dw = reference.matmulBackwardFactor(dy, x, { rows, leftCols: cols, rightCols: inner });
  assertGradient((w) => loss(x, w), w, dw);
});

for (const [kind, tile] of Object.entries(KINDS)) {
  const { features } = requirements("forward", tile);
  const check = async (adapter: TestAdapter) => {
    for (const size of features.length === 0 ? SIZES : SIZES.slice(2)) { // f16 compiles slowly on processors
      const setting = { tile, source: "vec4" } as const;
      await checkForward(adapter, size, setting);
      await checkBackwardInput(adapter, size, setting);
      await checkBackwardFactor(adapter, size, setting);
    }
  };
  const name = `products of a ${kind} tile match the f64 reference`;
  if (features.length === 0) onEachCompiler(name, check);
  else onFeature(features[0]!, name, check);
}

onEachCompiler("products match the f64 reference, operands from textures", async (adapter) => {
  for (const size of SIZES) {
    const setting = { tile: SMALL, source: "texture" } as const;
    await checkForward(adapter, size, setting);
    await checkBackwardInput(adapter, size, setting);
    await checkBackwardFactor(adapter, size, setting);
  }
});

onEachCompiler("x·wᵀ takes a low-rank product, a bias and an addend in all combinations", async (adapter) => {
  const setting = { tile: registerTile(1, 1, 4), source: "scalar", parts: EVERY_PART } as const;
  await checkForward(adapter, { rows: 3, cols: 5, inner: 6, rank: 2 }, setting);
});

onEachCompiler("products read operands from a mixture of sources", async (adapter) => {
  const size = { rows: 5, cols: 12, inner: 8 };
  const x = ramp(40), w = ramp(96, { phase: 1 });
  using run = new TestProgram(adapter);
  const xs = run.holding(x, [5, 8]), ws = run.holding(w, [12, 8]);
  const outputs = SOURCES.map((source, i) => {
    const y = run.output([5, 12]);
    const operands = { x: run.operand(xs, source), w: run.operand(ws, SOURCES[(i + 1) % 3]!) };
    const sizes = { rows: 5, cols: 12, first_row: 0, x_cols: 8, w_cols: 8, scale: 1 };
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
  const sizes = { rows, cols: 3, first_row: 0, x_cols: 1, w_cols: 1, scale: 1 };
  run.recorder.dispatch(matmulForward, { y, ...operands }, sizes, SMALL);
  await run.run();
  const want = reference.matmulForward(wide(x), wide(w), { rows, cols: 3, inner: 1 });
  assertClose(await run.read(y), want, arithmetic("f32", "f32", 1));
});

for (const kind of ["register", "shared", "vector"]) {
  const tile = KINDS[kind]!;
  onEachCompiler(`a launch of a ${kind} tile leaves other rows as they are`, async (adapter) => {
    const rows = 11, cols = 8, inner = 12, first_row = 4;
    const x = ramp(rows * inner), w = ramp(cols * inner, { phase: 1 });
    using run = new TestProgram(adapter);
    const y = run.output([rows, cols]), dx = run.output([rows, cols]);
    const operands = (shape: number[]) => ({
      x: run.operand(run.holding(x, [rows, inner]), "vec4"),
      w: run.operand(run.holding(w, shape), "vec4"),
    });
    const sizes = { rows: rows - 1, cols, first_row, x_cols: inner };
    run.recorder.dispatch(matmulForward, { y, ...operands([cols, inner]) }, {
      ...sizes,
      w_cols: inner,
      scale: 1,
    }, tile);
    run.recorder.dispatch(
      matmulBackwardInput("set", cols),
      { y: dx, ...operands([inner, cols]) },
      { ...sizes, w_cols: cols },
      tile,
    );
    const da = run.holding(new Float32Array(inner * cols), [cols, inner]);
    const factor = { rows: rows - 1, first_row, left_cols: cols, right_cols: inner };
    const left = run.operand(run.holding(ramp(rows * cols, { phase: 2 }), [rows, cols]), "vec4");
    run.recorder.dispatch(loraBackwardA, { out: da, left, right: operands([cols, inner]).x }, factor, tile);
    await run.run();
    const inside = (from: Float64Array) =>
      from.map((value, i) => i >= first_row * cols && i < (rows - 1) * cols ? value : Math.fround(SENTINEL));
    const tolerance = arithmetic("f32", "f32", inner);
    const forward = reference.matmulForward(wide(x), wide(w), { rows, cols, inner });
    assertClose(await run.read(y), inside(forward), tolerance);
    assertClose(
      await run.read(dx),
      inside(reference.matmulBackwardInput(wide(x), wide(w), { rows, cols, inner })),
      tolerance,
    );
    const part = (values: Float32Array<ArrayBuffer>, width: number) =>
      wide(values).slice(first_row * width, (rows - 1) * width);
    const wanted = reference.matmulBackwardFactor(
      part(ramp(rows * cols, { phase: 2 }), cols),
      part(x, inner),
      { rows: rows - 1 - first_row, leftCols: cols, rightCols: inner },
    );
    assertClose(await run.read(da), sum(wanted), tolerance);
  });
}

Deno.test("requirements() counts features, workgroup memory and invocations", () => {
  const shared = sharedTile({ rows: 4, cols: 4, lanes: 8, laneRows: 8, depth: 32 });
  // 8 steps of 32 + 1 vectors on each side
  assert.deepEqual(requirements("forward", shared), {
    features: [],
    workgroupBytes: 2 * 8 * 33 * 16,
    invocations: 64,
  });
  const half = sharedTile({ rows: 4, cols: 1, lanes: 16, laneRows: 16, depth: 32, half: true });
  // 8 steps of 64 + 1 vectors, and 32 of 16 + 1
  assert.deepEqual(requirements("backwardInput", half), {
    features: ["shader-f16"],
    workgroupBytes: (8 * 65 + 32 * 17) * 8,
    invocations: 256,
  });
  assert.deepEqual(requirements("backwardFactor", vectorTile(2, 1, 8, 8)), {
    features: [],
    workgroupBytes: 64 * 8 * 16,
    invocations: 64,
  });
  assert.deepEqual(requirements("forward", subgroupTile(8, 4, 64)), {
    features: ["subgroups"],
    workgroupBytes: 0,
    invocations: 64,
  });
});

Deno.test("requirements() refuses tiles that no kernel is written for, and says why", () => {
  const shared = sharedTile({ rows: 1, cols: 1, lanes: 4, laneRows: 1, depth: 6 });
  assert.throws(() => requirements("forward", shared), /"DEPTH":6.*DEPTH 6 is not a multiple of 4/);
  assert.throws(() => requirements("forward", vectorTile(1, 1, 4, 3)), /K_LANES 3 is not a power of two/);
  assert.throws(() => requirements("forward", { ...SMALL, HALF: 1 }), /HALF needs a workgroup tile/);
  assert.throws(
    () => requirements("forward", { ...shared, DEPTH: 8, K_LANES: 4 }),
    /of DEPTH, SUBGROUP and K_LANES only one/,
  );
  assert.throws(
    () => requirements("forward", { ...SMALL, SUBGROUP: 1, LANE_ROWS: 2 }),
    /need LANE_ROWS 1, it is 2/,
  );
});

Deno.test("iterationsOf() counts the loops of each kind of tile", () => {
  const shared = sharedTile({ rows: 2, cols: 2, lanes: 4, laneRows: 4, depth: 32 });
  assert.equal(iterationsOf("forward", SMALL, [100, 7]), 107);
  assert.equal(iterationsOf("forward", shared, [100, 7]), 13 * 9 + 9); // 13 blocks and 1 of 8 steps
  assert.equal(iterationsOf("backwardFactor", shared, [100]), 4 * 33);
  assert.equal(iterationsOf("forward", vectorTile(1, 1, 4, 16), [100, 7]), 7 + 1 + 4);
  assert.equal(iterationsOf("forward", subgroupTile(1, 1, 64), [100]), 125);
});
