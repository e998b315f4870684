import { ropeRotate } from "../../kernels/rope/kernel.ts";
import * as reference from "../../kernels/rope/reference.ts";
import type { OperandSource } from "../../src/gpu/kernel.ts";
import { ropeTables } from "../../src/models/rope.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

interface Sizes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly pairs: number;
}

const tablesOf = (pairs: number, length: number) =>
  ropeTables({ rotaryDim: 2 * pairs, theta: 10_000, scaling: { type: "default" } }, length);

/** Turned queries and keys of ramps. */
async function turn(
  adapter: TestAdapter,
  { heads, kvHeads, headDim, pairs }: Sizes,
  positions: readonly number[],
  { direction = 1, source = "vec4" }: { direction?: 1 | -1; source?: OperandSource } = {},
) {
  const rows = positions.length, qCols = heads * headDim, kCols = kvHeads * headDim;
  const { cos, sin } = tablesOf(pairs, positions.reduce((most, at) => Math.max(most, at)) + 1);
  const q = ramp(rows * qCols), k = ramp(rows * kCols, { phase: 1 });
  using run = new TestProgram(adapter);
  const turned = { q: run.output([rows, qCols], "q"), k: run.output([rows, kCols], "k") };
  run.recorder.dispatch(
    ropeRotate,
    {
      turned_q: turned.q,
      turned_k: turned.k,
      q: run.operand(run.holding(q, [rows, qCols]), source),
      k: run.operand(run.holding(k, [rows, kCols]), source),
      cosines: run.holding(cos),
      sines: run.holding(sin),
      positions: run.holding(Uint32Array.from(positions)),
    },
    {
      rows,
      head_dim: headDim,
      pairs,
      turned_q_cols: qCols,
      turned_k_cols: kCols,
      q_cols: qCols,
      k_cols: kCols,
      direction,
    },
    { WORKGROUP_SIZE: 8, ALIGNED: pairs % 4 === 0 ? 1 : 0 },
  );
  await run.run();
  const want = (x: Float32Array, heads: number) =>
    reference.ropeRotate(wide(x), wide(cos), wide(sin), { positions, heads, headDim, pairs, direction });
  return { got: { q: await run.read(turned.q), k: await run.read(turned.k) }, q, k, want };
}

Deno.test("the rope reference's rotation back is the gradient of its rotation", () => {
  const sizes = { positions: [0, 1, 2, 0, 1, 4], heads: 2, headDim: 8, pairs: 3 };
  const tables = tablesOf(3, 5), cos = wide(tables.cos), sin = wide(tables.sin);
  const x = wide(ramp(96)), dy = wide(ramp(96, { phase: 1 }));
  assertGradient(
    (x) => dot(dy, reference.ropeRotate(x, cos, sin, { ...sizes, direction: 1 })),
    x,
    reference.ropeRotate(dy, cos, sin, { ...sizes, direction: -1 }),
  );
});

const CASES: readonly (readonly [string, Sizes])[] = [
  ["whole heads", { heads: 3, kvHeads: 1, headDim: 16, pairs: 8 }],
  ["three quarters of a head", { heads: 2, kvHeads: 2, headDim: 32, pairs: 12 }],
  ["pairs that are no multiple of 4", { heads: 3, kvHeads: 2, headDim: 12, pairs: 6 }],
  ["an odd part of a head", { heads: 2, kvHeads: 1, headDim: 20, pairs: 7 }],
];

for (const [name, sizes] of CASES) {
  onEachCompiler(`rope turns ${name} as the f64 reference does, there and back`, async (adapter) => {
    const positions = [0, 1, 2, 12, 0, 1, 5, 3, 0, 7, 7]; // documents start anew
    for (const source of ["texture", "vec4"] as const) {
      for (const direction of [1, -1] as const) {
        const { got, q, k, want } = await turn(adapter, sizes, positions, { direction, source });
        assertClose(got.q, want(q, sizes.heads), arithmetic("f32", "f32", 2));
        assertClose(got.k, want(k, sizes.kvHeads), arithmetic("f32", "f32", 2));
      }
    }
  });
}

onEachCompiler("rope leaves position 0 and the rest of a head as they are, bit for bit", async (adapter) => {
  const sizes = { heads: 2, kvHeads: 1, headDim: 24, pairs: 8 };
  const { got, q, k } = await turn(adapter, sizes, [0, 0]);
  assertClose(got.q, q, exact());
  assertClose(got.k, k, exact());
  const far = await turn(adapter, sizes, [9]);
  for (const first of [16, 40]) {
    assertClose(far.got.q.subarray(first, first + 8), far.q.subarray(first, first + 8), exact());
  }
});

onEachCompiler(
  "rope is right at position 131,071, and for more rows than one side of a grid",
  async (adapter) => {
    const rows = 131_080, pairs = 16; // 65,540 workgroups of 8 lanes and a few
    const positions = Array.from({ length: rows }, (_, i) => Math.min(i, 131_071));
    const { got, q, k } = await turn(adapter, { heads: 1, kvHeads: 1, headDim: 32, pairs }, positions);
    // the angle from scratch, in f64, so that the tables are checked too
    for (const [x, y] of [[q, got.q], [k, got.k]] as const) {
      const last = (rows - 1) * 2 * pairs, want = new Float64Array(2 * pairs);
      for (let i = 0; i < pairs; i++) {
        const angle = 131_071 * 10_000 ** (-i / pairs);
        const a = x[last + i]!, b = x[last + pairs + i]!;
        want[i] = a * Math.cos(angle) - b * Math.sin(angle);
        want[pairs + i] = b * Math.cos(angle) + a * Math.sin(angle);
      }
      assertClose(y.subarray(last), want, arithmetic("f32", "f32", 2));
    }
  },
);
