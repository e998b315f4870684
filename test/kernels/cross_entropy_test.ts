import assert from "node:assert/strict";
import {
  crossEntropyGrad,
  crossEntropyLoss,
  crossEntropyStats,
  NO_TARGET,
} from "../../kernels/cross_entropy/kernel.ts";
import { crossEntropy } from "../../kernels/cross_entropy/reference.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, wide } from "../helpers/gradient.ts";

interface Case {
  readonly vocab: number;
  /** Vocabulary entries of each shard. */
  readonly shards: readonly number[];
  /** Negative for a filler row. */
  readonly targets: readonly number[];
  readonly logits: Float32Array<ArrayBuffer>;
}

const WEIGHT = 0.125;
const LOSS_BEFORE = 3.5;

/** Columns [first, first + count) of a [rows, cols] matrix. */
function columns(x: Float32Array, cols: number, first: number, count: number): Float32Array<ArrayBuffer> {
  const rows = x.length / cols;
  return Float32Array.from(
    { length: rows * count },
    (_, i) => x[Math.floor(i / count) * cols + first + i % count]!,
  );
}

async function runKernels(
  adapter: TestAdapter,
  { vocab, shards, targets, logits }: Case,
  WORKGROUP_SIZE: number,
) {
  const rows = targets.length, firstRow = 2;
  using run = new TestProgram(adapter);
  const state = run.output([rows, 3], "state"), flags = run.holding(new Uint32Array(1));
  const totals = run.holding(Float32Array.of(LOSS_BEFORE, 7, 8, 9));
  const at = run.holding(Uint32Array.of(
    0,
    1,
    ...targets.map((target) => target < 0 ? NO_TARGET : target),
  ));
  let first = 0;
  const placed = shards.map((cols) => {
    const tensor = run.holding(columns(logits, vocab, first, cols), [rows, cols]);
    const params = { rows, shard_cols: cols, first_id: first, first_row: firstRow };
    first += cols;
    return { tensor, params };
  });
  for (const { tensor, params } of placed) {
    run.recorder.dispatch(crossEntropyStats, { state, flags, logits: tensor, targets: at }, params, {
      WORKGROUP_SIZE,
    });
  }
  run.recorder.dispatch(crossEntropyLoss, { totals, state, targets: at }, { rows, first_row: firstRow });
  const scalars = run.holding(Float32Array.of(WEIGHT));
  for (const { tensor, params } of placed) {
    const bound = { logits: tensor, state, targets: at, scalars };
    run.recorder.dispatch(crossEntropyGrad, bound, params, { WORKGROUP_SIZE });
  }
  await run.run();
  const dlogits: Float32Array[] = [];
  for (const { tensor } of placed) dlogits.push(await run.read(tensor));
  await run.read(state); // its guards
  return { totals: await run.read(totals), flag: (await run.readU32(flags))[0], dlogits };
}

async function check(adapter: TestAdapter, made: Case, lanes: number) {
  const { totals, flag, dlogits } = await runKernels(adapter, made, lanes);
  const want = crossEntropy(wide(made.logits), made.targets, made.vocab, WEIGHT);
  const tolerance = arithmetic("f32", "f32", made.vocab);
  assertClose(totals, [LOSS_BEFORE + want.loss, 7, 8, 9], tolerance);
  assert.equal(flag, 0);
  let first = 0;
  made.shards.forEach((cols, i) => {
    const wanted = columns(Float32Array.from(want.dlogits), made.vocab, first, cols);
    first += cols;
    assertClose([...dlogits[i]!, WEIGHT], [...wanted, WEIGHT], tolerance); // on the scale of a whole gradient
  });
}

Deno.test("the cross-entropy reference's gradient agrees with central differences", () => {
  const targets = [3, -1, 0], logits = wide(ramp(3 * 5, { scale: 2 }));
  const loss = (logits: Float64Array) => WEIGHT * crossEntropy(logits, targets, 5, WEIGHT).loss;
  assertGradient(loss, logits, crossEntropy(logits, targets, 5, WEIGHT).dlogits);
});

for (const lanes of [16, 64]) {
  onEachCompiler(
    `cross-entropy matches the f64 reference, ${lanes} lanes, shards and filler rows`,
    async (adapter) => {
      const logits = ramp(5 * 131, { scale: 6 });
      const targets = [130, -1, 0, 67, 64];
      await check(adapter, { vocab: 131, shards: [131], targets, logits }, lanes);
      await check(adapter, { vocab: 131, shards: [64, 64, 3], targets, logits }, lanes);
    },
  );
}

onEachCompiler("cross-entropy of one row over one word is zero, and so is its gradient", async (adapter) => {
  await check(adapter, { vocab: 1, shards: [1], targets: [0], logits: ramp(1) }, 16);
});

onEachCompiler(
  "cross-entropy is finite and right for logits of ±10,000 in any shard and lane",
  async (adapter) => {
    for (let peak = 0; peak < 13; peak++) { // in every lane: the maximum of one lane is that of all
      const logits = ramp(2 * 13, { scale: 9_000 });
      logits[peak] = 10_000;
      logits[13 + peak] = -10_000;
      await check(adapter, { vocab: 13, shards: [8, 5], targets: [peak, peak], logits }, 16);
    }
  },
);

onEachCompiler("a chunk of filler rows alone adds no loss and no gradient", async (adapter) => {
  const logits = ramp(3 * 7);
  const made = { vocab: 7, shards: [4, 3], targets: [-1, -1, -1], logits };
  const { totals, dlogits } = await runKernels(adapter, made, 16);
  assert.equal(totals[0], LOSS_BEFORE);
  assert.ok(dlogits.every((shard) => shard.every((value) => value === 0)));
});

onEachCompiler(
  "NaN and both infinities among the logits raise the flag, whichever shard and lane",
  async (adapter) => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      for (const at of [0, 17, 36, 73]) {
        const logits = ramp(2 * 37);
        logits[at] = bad;
        const made = { vocab: 37, shards: [20, 17], targets: [1, 2], logits };
        assert.equal((await runKernels(adapter, made, 16)).flag, 1, `${bad} at ${at}`);
      }
    }
  },
);
