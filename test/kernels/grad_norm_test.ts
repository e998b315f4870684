import assert from "node:assert/strict";
import { gradNormFinish, gradNormPartial, PARTIALS } from "../../kernels/grad_norm/kernel.ts";
import { gradNorm } from "../../kernels/grad_norm/reference.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

/** totals and flag after both kernels over some pools of gradients. */
async function normOf(adapter: TestAdapter, pools: readonly Float32Array<ArrayBuffer>[], maxNorm: number) {
  using run = new TestProgram(adapter);
  const partials = run.output([PARTIALS * pools.length], "partials");
  const totals = run.holding(Float32Array.of(5, -1, -1, 6)), flags = run.holding(new Uint32Array(1));
  pools.forEach((grads, i) => {
    const bound = { partials, flags, grads: run.holding(grads) };
    run.recorder.dispatch(gradNormPartial, bound, {
      vectors: grads.length / 4,
      first_partial: i * PARTIALS,
    });
  });
  const count = PARTIALS * pools.length;
  run.recorder.dispatch(gradNormFinish, { totals, flags, partials }, { count, max_norm: maxNorm });
  await run.run();
  await run.read(partials); // its guards
  return { totals: await run.read(totals), flag: (await run.readU32(flags))[0] };
}

onEachCompiler("the gradient norm and its clipping coefficient match the f64 reference", async (adapter) => {
  for (const sizes of [[4], [4 * 67], [4 * (PARTIALS * 64 + 3)], [4 * 1009, 4, 4 * 64]]) {
    for (const maxNorm of [0, 0.5, 1e6]) {
      const pools = sizes.map((size, i) => ramp(size, { phase: i }));
      const { totals, flag } = await normOf(adapter, pools, maxNorm);
      const all = wide(pools.flatMap((pool) => [...pool]));
      const { norm, coefficient } = gradNorm(all, maxNorm);
      assertClose(totals.subarray(1, 2), [norm], arithmetic("f32", "f32", all.length));
      assertClose(totals.subarray(2, 3), [coefficient], arithmetic("f32", "f32", all.length));
      assert.deepEqual([totals[0], totals[3], flag], [5, 6, 0]);
    }
  }
});

onEachCompiler("a NaN or an infinity in any lane of any pool raises the flag", async (adapter) => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    for (
      const [pool, at] of [[0, 0], [0, 1], [0, 2], [0, 3], [0, 4 * 63 + 3], [0, 4 * 1008 + 2], [
        1,
        3,
      ]] as const
    ) {
      const pools = [ramp(4 * 1009), ramp(4)];
      pools[pool]![at] = bad;
      const { flag } = await normOf(adapter, pools, 1);
      assert.equal(flag, 1, `${bad} at ${at} of pool ${pool}`);
    }
  }
});

onEachCompiler("a norm that overflows raises the flag; gradients of 1e18 do not", async (adapter) => {
  const { flag } = await normOf(adapter, [Float32Array.of(1e20, 1, 1, 1)], 1);
  assert.equal(flag, 1);
  // each square is finite, their sum is not
  assert.equal((await normOf(adapter, [new Float32Array(64).fill(1.5e19)], 1)).flag, 1);
  assert.equal((await normOf(adapter, [new Float32Array(64).fill(1e18)], 1)).flag, 0);
});

onEachCompiler("gradients that are all zero have norm 0 and are not scaled", async (adapter) => {
  const { totals, flag } = await normOf(adapter, [new Float32Array(8)], 1);
  assert.deepEqual([totals[1], totals[2], flag], [0, 1, 0]);
});
