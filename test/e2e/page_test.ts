import assert from "node:assert/strict";
import { device } from "../helpers/device.ts";
import { readJunit } from "../helpers/junit.ts";
import { chromiumPath } from "./chromium.ts";

/**
 * Runs `page_suite.ts` in a process of its own: driving a browser asks for every permission, since playwright looks into
 * /proc.
 */
const SUITE = new URL("page_suite.ts", import.meta.url).pathname;

const missing = [...(chromiumPath ? [] : ["no Chromium"]), ...(device ? [] : ["no adapter"])];

Deno.test({
  name: `the built page works in Chromium${missing.length > 0 ? ` (${missing.join(", ")})` : ""}`,
  ignore: missing.length > 0,
  sanitizeResources: false, // the device outlives the test
  fn: async (t) => {
    const junitPath = await Deno.makeTempFile({ suffix: ".xml" });
    try {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["test", "--no-check", "--allow-all", `--junit-path=${junitPath}`, SUITE],
      }).output();
      const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      const results = readJunit(await Deno.readTextFile(junitPath)).filter(({ skipped }) => !skipped);
      assert.ok(results.length > 0, `no test ran in Chromium:\n${output.slice(-2000)}`);
      for (const { name, failure } of results) await t.step(name, () => assert.equal(failure, null));
    } finally {
      await Deno.remove(junitPath);
    }
  },
});
