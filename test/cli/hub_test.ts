import assert from "node:assert/strict";
import { withOwnCache } from "../helpers/own_cache.ts";
import { runLauncher } from "../helpers/run_launcher.ts";
import { COMMIT, ROWS } from "../storage/fake_hub.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** A Hub in a process of its own, which ends with the test; and a folder for the cache. */
async function withHub(work: (endpoint: string, cache: string) => Promise<void>): Promise<void> {
  const cache = await Deno.makeTempDir({ prefix: "lowrank-hub-" });
  const hub = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-net=127.0.0.1", `${ROOT}test/storage/fake_hub.ts`],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const output = hub.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const { value = "" } = await output.read();
    await work(value.trim(), cache);
  } finally {
    hub.kill();
    await hub.status;
    await output.cancel();
    await Deno.remove(cache, { recursive: true });
  }
}

Deno.test({
  name: "lowrank reads a data set from the Hub over HTTP, with a token, and again without a network",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withHub(async (endpoint, cache) => {
      const args = [
        "check",
        "hf://datasets/fen/tide",
        "--eval-data-path",
        "hf://datasets/fen/tide",
        "--json",
      ];
      const env = { HF_ENDPOINT: endpoint, HF_TOKEN: "hf_secret", ...withOwnCache(cache) };
      const { code, out, err } = await runLauncher(args, env);
      assert.deepEqual([code, err], [0, ""]);
      const found = JSON.parse(out);
      assert.deepEqual(
        [found.train.file, found.eval.file, found.train.rows, found.leaked],
        ["hf://datasets/fen/tide/data/train.jsonl", "hf://datasets/fen/tide/data/test.jsonl", 6, 6],
      );
      const kept = `${cache}/lowrank/datasets/fen--tide/${COMMIT}/data/train.jsonl`;
      assert.equal(await Deno.readTextFile(kept), ROWS);
      const offline = { ...env, HF_ENDPOINT: "http://127.0.0.1:1", HF_HUB_OFFLINE: "1" };
      assert.equal((await runLauncher(args, offline)).out, out);
      const denied = await runLauncher(["check", "hf://datasets/fen/tide/x.jsonl"], {
        ...env,
        HF_TOKEN: "hf_wrong",
      });
      assert.equal(denied.code, 4);
      assert.match(
        denied.err,
        /^error: Cannot read "hf:\/\/datasets\/fen\/tide" as http:.* does not accept the token/,
      );
      assert.ok(!denied.err.includes("hf_wrong"));
    }),
});
