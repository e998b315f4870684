/**
 * Runs a suite that drives a browser in a process of its own: that asks for every permission, since playwright looks into
 * /proc.
 *
 * @module
 */
import assert from "node:assert/strict";
import { device } from "../helpers/device.ts";
import { readJunit } from "../helpers/junit.ts";
import { chromiumPath } from "./chromium.ts";

/**
 * Declares a test of which each test of the suite is a step; skipped by name where Chromium or an adapter is missing.
 *
 * @param also What else is missing, such as data.
 */
export function suiteInChromium(name: string, suite: URL, also: readonly string[] = []): void {
  const missing = [...(chromiumPath ? [] : ["no Chromium"]), ...(device ? [] : ["no adapter"]), ...also];
  Deno.test({
    name: `${name}${missing.length > 0 ? ` (${missing.join(", ")})` : ""}`,
    ignore: missing.length > 0,
    sanitizeResources: false, // the device outlives the test
    fn: async (t) => {
      const junitPath = await Deno.makeTempFile({ suffix: ".xml" });
      try {
        const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["test", "--no-check", "--allow-all", `--junit-path=${junitPath}`, suite.pathname],
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
}
