import assert from "node:assert/strict";
import { device } from "../helpers/device.ts";
import { assertSame, run } from "./kills.ts";

Deno.test({
  name: device
    ? "a server and the process of a job that are killed lose no job, no event and no bit (20 runs: deno task kills:server)"
    : "a server that is killed (no adapter)",
  ignore: !device || Deno.build.os !== "linux",
  async fn() {
    const work = { jobs: 1, steps: 12 }, want = await run(null, work);
    assert.deepEqual(want.jobs[0]!.steps.map(([step]) => step), Array.from({ length: 12 }, (_, i) => i + 1));
    const got = await run({ serverAtMs: want.ms * 0.6, childAtMs: want.ms * 0.9 }, work);
    assert.equal(got.killed, 2);
    assertSame(got, want);
  },
});
