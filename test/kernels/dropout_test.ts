import assert from "node:assert/strict";
import { applyDropout, dropoutNumbers, dropoutParams } from "../../kernels/dropout/kernel.ts";
import * as reference from "../../kernels/dropout/reference.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";

const NUMBERS = { seed: 4_000_000_001, step: 3, firstToken: 17, lengths: Uint32Array.of(3, 0, 7, 1) };
const ROW_LENGTH = 7, STREAM = 0x8badf00d;

for (const [cols, rate] of [[1, 0.5], [13, 0.1], [20, 0.9]] as const) {
  onEachCompiler(
    `dropout of ${cols} columns at rate ${rate} keeps what the reference keeps`,
    async (adapter) => {
      const tokens = NUMBERS.lengths.length * ROW_LENGTH, shape = [tokens, cols];
      const x = ramp(tokens * cols), before = ramp(tokens * cols, { phase: 1 });
      using run = new TestProgram(adapter);
      const numbers = run.holding(dropoutNumbers(NUMBERS)), xs = run.holding(x, shape);
      const y = run.output(shape), added = run.holding(before, shape);
      const params = { tokens, cols, row_length: ROW_LENGTH, stream: STREAM, ...dropoutParams(rate) };
      run.recorder.dispatch(applyDropout, { y, x: xs, numbers }, params);
      const adding = { ...applyDropout.constants, ACCUMULATE: 1 };
      run.recorder.dispatch(applyDropout, { y: added, x: xs, numbers }, params, adding);
      await run.run();
      const factors = reference.dropoutFactors(NUMBERS, {
        stream: STREAM,
        rate,
        cols,
        rowLength: ROW_LENGTH,
      });
      const want = factors.map((factor, i) => factor * x[i]!);
      const got = await run.read(y);
      assertClose(got, want, arithmetic("f32", "f32", 1));
      const left = [...factors.keys()].filter((i) => factors[i] === 0);
      assert.ok(left.length >= (tokens - 11) * cols && left.length < tokens * cols);
      assertClose(left.map((i) => Math.abs(got[i]!)), left.map(() => 0), exact());
      assertClose(
        await run.read(added),
        want.map((value, i) => value + before[i]!),
        arithmetic("f32", "f32", 2),
      );
    },
  );
}

Deno.test("the reference leaves out the asked share, others at each seed, step, tensor and token", () => {
  const cols = 64, length = 500, rate = 0.1, count = cols * length;
  const sizes = { stream: STREAM, rate, cols, rowLength: length };
  const of = (more: Partial<typeof NUMBERS>, stream = STREAM) =>
    reference.dropoutFactors(
      { ...NUMBERS, lengths: Uint32Array.of(length), ...more },
      { ...sizes, stream },
    );
  const factors = of({});
  const kept = factors.filter((factor) => factor > 0);
  assert.ok(kept.every((factor) => factor === 1 / (1 - rate)));
  // n draws: the share left out has deviation sqrt(rate (1 - rate) / n)
  const share = 1 - kept.length / count, deviation = Math.sqrt(rate * (1 - rate) / count);
  assert.ok(Math.abs(share - rate) < 7 * deviation, `share ${share}`);
  // two sets of draws fall out together as often as chance has it
  for (const other of [of({ step: 4 }), of({ seed: 1 }), of({}, 7)]) {
    const both = factors.filter((factor, i) => factor === 0 && other[i] === 0).length / count;
    assert.ok(Math.abs(both - rate ** 2) < 7 * Math.sqrt(rate ** 2 / count), `both ${both}`);
  }
  // the next token's draws are those of the second token here
  assert.deepEqual(of({ firstToken: 18 }).subarray(0, cols), factors.subarray(cols, 2 * cols));
});
