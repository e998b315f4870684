import assert from "node:assert/strict";
import { addNoise, noiseNumbers } from "../../kernels/noise/kernel.ts";
import * as reference from "../../kernels/noise/reference.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";

const NUMBERS = {
  seed: 4_000_000_001,
  stream: 0x8badf00d,
  step: 3,
  alpha: 5,
  firstToken: 17,
  lengths: Uint32Array.of(3, 0, 7, 1),
};
const ROW_LENGTH = 7;

for (const cols of [1, 13, 20]) {
  onEachCompiler(
    `noise of ${cols} columns is the reference's, and none lies beyond a row`,
    async (adapter) => {
      const tokens = NUMBERS.lengths.length * ROW_LENGTH;
      const start = ramp(tokens * cols);
      using run = new TestProgram(adapter);
      const x = run.holding(start, [tokens, cols]);
      const noise = run.holding(noiseNumbers(NUMBERS));
      run.recorder.dispatch(addNoise, { x, noise }, { tokens, cols, row_length: ROW_LENGTH });
      await run.run();
      const got = await run.read(x);
      const want = reference.noise(NUMBERS, cols, ROW_LENGTH);
      assertClose(got, want.map((value, i) => value + start[i]!), arithmetic("f32", "f32", 2));
      const untouched = [...want.keys()].filter((i) => want[i] === 0);
      assert.ok(untouched.length >= (tokens - 11) * cols);
      assertClose(untouched.map((i) => got[i]!), untouched.map((i) => start[i]!), exact());
    },
  );
}

Deno.test("the reference's noise is spread evenly within alpha/sqrt(L C), and another at each step and token", () => {
  const cols = 64, length = 200, bound = NUMBERS.alpha / Math.sqrt(length * cols), count = cols * length;
  const of = (more: Partial<typeof NUMBERS>) =>
    reference.noise({ ...NUMBERS, lengths: Uint32Array.of(length), ...more }, cols, length);
  const values = of({});
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const square = values.reduce((sum, value) => sum + value * value, 0) / count;
  assert.ok(values.every((value) => Math.abs(value) <= bound));
  assert.ok(Math.abs(mean) < 7 * bound / Math.sqrt(3 * count), `mean ${mean}`);
  assert.ok(
    Math.abs(square - bound ** 2 / 3) < 7 * bound ** 2 * Math.sqrt(4 / 45 / count),
    `square ${square}`,
  );
  assert.notDeepEqual(of({ step: 4 }), values);
  assert.notDeepEqual(of({ seed: 1 }), values);
  // the next token's noise is that of the second token here
  assert.deepEqual(of({ firstToken: 18 }).subarray(0, cols), values.subarray(cols, 2 * cols));
});
