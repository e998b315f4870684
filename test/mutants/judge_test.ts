import assert from "node:assert/strict";
import { judge } from "./judge.ts";

const run = (output: string, more = {}) => ({ success: false, timedOut: false, output, ...more });
const FAILED = "norm ... FAILED\n\nFAILED | 2 passed | 1 failed (1s)\n\nerror: Test failed\n";

Deno.test("judge() takes a test that ran and failed for a kill, and one that passed for a survivor", () => {
  assert.equal(judge({}, run(FAILED)), "killed");
  assert.equal(judge({}, run("ok | 3 passed | 0 failed (1s)", { success: true })), "survived");
});

Deno.test("judge() calls a fault broken that no compiler or module takes", () => {
  for (
    const output of [
      `SyntaxError: Cannot compile kernel "rope": 3:4 unknown\n${FAILED}`,
      `TypeError: Kernel "rope" and its WGSL differ: binding 0\n${FAILED}`,
      `./test/kernels/rope_test.ts (uncaught error) ... FAILED\n${FAILED}`,
      "error: The module's source code could not be parsed\n",
      "",
    ]
  ) assert.equal(judge({}, run(output)), "broken", output);
});

Deno.test("judge() takes tests that never end for a kill only where the fault is said to hang", () => {
  const endless = run("", { timedOut: true });
  assert.equal(judge({}, endless), "timed out");
  assert.equal(judge({ hangs: true }, endless), "killed");
});
