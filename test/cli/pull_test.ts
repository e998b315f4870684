import assert from "node:assert/strict";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { device } from "../helpers/device.ts";
import { withOwnCache } from "../helpers/own_cache.ts";
import { type Ended, runLauncher } from "../helpers/run_launcher.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";
import { startHub } from "../storage/hub_server.ts";

async function tinyModel(): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const folder = new MemoryFolder(), files: Record<string, Uint8Array<ArrayBuffer>> = {};
  await writeTinyModel(folder, { shards: 2 });
  for (const name of await folder.list()) {
    const file = await folder.open(name);
    files[name] = await file.read(0, file.size);
  }
  return files;
}

/** One step on a model that the cache has. */
async function trainedOffline(
  run: (args: readonly string[]) => Promise<Ended>,
  folder: string,
): Promise<void> {
  await Deno.writeTextFile(`${folder}/train.jsonl`, '{"text":"a bell"}\n{"text":"a horn"}\n'.repeat(2));
  const job = ["--base-model", "owner/tiny", "--output-model-name", "ember", "--data", "train.jsonl"];
  const small = ["--max-steps", "1", "--batch-size", "2", "--lora-r", "4", "--save", "adapter"];
  const { code, out, err } = await run(["train", ...job, ...small]);
  assert.equal(code, 0, err + out);
  const adapter = JSON.parse(await Deno.readTextFile(`${folder}/runs/ember/adapter/adapter_config.json`));
  assert.equal(adapter.base_model_name_or_path, "owner/tiny");
}

Deno.test({
  name: "lowrank pulls a model from the Hub, trains it, lists it and removes it",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const model = await tinyModel();
    await using hub = startHub({ "owner/tiny": { ...model, "pytorch_model.bin": "pickled" } });
    const folder = await Deno.makeTempDir({ prefix: "lowrank-pull-" });
    try {
      const env = {
        HF_ENDPOINT: hub.endpoint,
        HF_TOKEN: "",
        HF_HOME: folder,
        ...withOwnCache(`${folder}/cache`),
      };
      const run = (args: readonly string[], more: Record<string, string> = {}) =>
        runLauncher(args, { ...env, ...more }, folder);
      hub.faults.halves = 1;
      hub.faults.thenDenied = true;
      const broken = await run(["pull", "owner/tiny"]);
      assert.deepEqual([broken.code, broken.out], [4, ""]);
      assert.match(
        broken.err,
        /the Hub: Cannot read .* \(status 403\): set HF_TOKEN to a token that may read it/,
      );
      hub.faults.thenDenied = false;
      const pulled = await run(["pull", "owner/tiny"]);
      assert.ok(
        hub.ranges.some((first) => first > 0),
        "the second command went on where the first broke off",
      );
      assert.deepEqual([pulled.code, pulled.out.split("/").slice(-3, -1)], [0, ["models", "owner--tiny"]]);
      assert.match(pulled.err, /^downloaded the base model: \d files, [\d.]+ KiB/);
      assert.deepEqual(
        [...Deno.readDirSync(pulled.out.trim())].map(({ name }) => name).filter((name) =>
          !name.startsWith(".")
        )
          .sort(),
        Object.keys(model).sort(),
      );

      const offline = { HF_HUB_OFFLINE: "1", HF_ENDPOINT: "http://127.0.0.1:1" };
      if (device) await trainedOffline((args) => run(args, offline), folder);

      assert.match((await run(["cache"])).out, /^name .*\nowner\/tiny +01234567 +[\d.]+ KiB +6 /);
      const wrong = await run(["cache", "rm", "owner/tinny"]);
      assert.equal(wrong.code, 2);
      assert.match(wrong.err, /"owner\/tinny" is not in the cache: did you mean "owner\/tiny"\?/);
      assert.match((await run(["cache", "rm", "owner/tiny"])).out, /^removed owner\/tiny \([\d.]+ KiB\)\n$/);
      const gone = await run(["inspect", "owner/tiny"], offline);
      assert.equal(gone.code, 4);
      assert.match(
        gone.err,
        /^error: Cannot find the model "owner\/tiny"; looked at\n {2}path owner\/tiny: .*\n {2}the Hub: .*HF_HUB_OFFLINE/,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
