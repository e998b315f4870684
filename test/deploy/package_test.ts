import assert from "node:assert/strict";
import { hasCommand } from "../helpers/has_command.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** What a command prints. */
async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${text}${new TextDecoder().decode(stderr)}`);
  return text;
}

const FORMATS = `
import { MemoryFolder, SafetensorsFile, writeSafetensors } from "@lowrank/lowrank/safetensors";
import { loraKey, readAdapter, writeAdapter } from "@lowrank/lowrank/peft";
import { dequantizeNf4, quantizeNf4 } from "@lowrank/lowrank/nf4";
import { encodeBlocks, GgufFile, MemoryFolder as GgufFolder } from "@lowrank/lowrank/gguf";

const folder = new MemoryFolder(), path = "model.layers.0.self_attn.q_proj";
const data = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
await writeSafetensors(folder, "m.safetensors", [{ name: "w", dtype: "F32", shape: [2, 2], data }]);
const w = await (await SafetensorsFile.open(folder, "m.safetensors")).readF32("w");
const tensor = (rows, cols) => ({ shape: [rows, cols], data: new Float32Array(rows * cols).fill(1) });
await writeAdapter(folder, {
  config: { baseModel: "m", rank: 2, alpha: 4, dropout: 0, targetModules: ["q_proj"] },
  tensors: new Map([[loraKey(path, "A"), tensor(2, 8)], [loraKey(path, "B"), tensor(8, 2)]]),
});
const { config } = await readAdapter(folder);
const { codes, absmax } = quantizeNf4(new Float32Array(64).fill(0.5));
const lie = await GgufFile.open(new GgufFolder("m", { "a.gguf": "GGUF" }), "a.gguf").catch((error) => error.name);
console.log(JSON.stringify({
  w: [...w], rank: config.rank, nf4: dequantizeNf4(codes, absmax, 64)[63],
  q8: encodeBlocks("Q8_0", new Float32Array(32)).length, lie,
}));
`;
const TRAINING = `
import { createFineTuneJob, MemoryFolder, parseFineTuneJobConfig, VERSION } from "@lowrank/lowrank";
import { LocalFolder } from "@lowrank/lowrank/storage/local";
const tiny = "node_modules/@lowrank/lowrank/examples/tiny";
const config = parseFineTuneJobConfig({
  base_model: tiny + "/model", training_data_path: tiny + "/signals.jsonl", output_model_name: "m",
});
const job = createFineTuneJob(config, { files: (uri) => new LocalFolder(uri), dryRun: true });
const events = [];
for await (const event of job.run()) events.push(event.type);
console.log(JSON.stringify({ version: VERSION, events, memory: MemoryFolder.name }));
`;

/** A reader's project: the ways of use in TypeScript. A line that must not type-check says so. */
const TYPES = `
import { createFineTuneJob, type FineTuneJobOptions, parseFineTuneJobConfig, StorageNotFoundError } from "@lowrank/lowrank";
import { GgufFile, MemoryFolder } from "@lowrank/lowrank/gguf";
import { quantizeNf4 } from "@lowrank/lowrank/nf4";
import { readAdapter } from "@lowrank/lowrank/peft";
import { SafetensorsFile } from "@lowrank/lowrank/safetensors";
import { GcsStorageManager } from "@lowrank/lowrank/storage/gcs";
import { LocalFolder } from "@lowrank/lowrank/storage/local";

const options: FineTuneJobOptions = {
  base_model: "models/smollm2", training_data_path: ["a.jsonl", "b.jsonl"], output_model_name: "m", lora_r: 8,
  lr_scheduler_type: "linear", init_lora_weights: "pissa", target_modules: ["q_proj"], quantization: "4bit",
};
// @ts-expect-error: the rank is a number
export const wrongValue: FineTuneJobOptions = { ...options, lora_r: "8" };
// @ts-expect-error: a base model is needed
export const missing: FineTuneJobOptions = { training_data_path: "a.jsonl", output_model_name: "m" };
const config = parseFineTuneJobConfig(options);
const rank: number = config.lora.r, scheduler: "cosine" | string = config.training.lrSchedulerType;
// @ts-expect-error: a configuration is frozen
config.lora.r = 4;
for await (const event of createFineTuneJob(config, { files: (uri) => new LocalFolder(uri) }).run()) {
  if (event.type === "step") console.log(event.loss.toFixed(3), rank, scheduler);
  // @ts-expect-error: only steps have a loss
  if (event.type === "saved") console.log(event.loss);
}
const storage = new GcsStorageManager("my-bucket");
const moved: { readonly files: number } = await storage.downloadFolder("models/smollm2", new LocalFolder("models"));
const adapter: number = (await readAdapter(new MemoryFolder())).config.rank;
const w: Float32Array = await (await SafetensorsFile.open(new MemoryFolder(), "m.safetensors")).readF32("w");
const kinds: string[] = [...(await GgufFile.open(new MemoryFolder(), "a.gguf")).infos.values()].map(({ type }) => type.name);
console.log(moved.files, adapter, w, kinds, quantizeNf4(w).codes.byteLength, new StorageNotFoundError("x").name);
`;

Deno.test({
  name:
    "the package, installed elsewhere, has types, reads and writes formats in Node and Deno and plans a job in Deno",
  ignore: !await hasCommand("npm"),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const file = `${folder}/lowrank.tgz`;
      const pack = ["pack", "--allow-dirty", "--no-source-maps", "-o", file];
      await run(Deno.execPath(), pack, ROOT);
      await Deno.writeTextFile(`${folder}/package.json`, '{"type":"module","private":true}');
      await run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", file], folder);
      const installed = `${folder}/node_modules/@lowrank/lowrank`;
      const { exports } = JSON.parse(await Deno.readTextFile(`${installed}/package.json`));
      for (const [entry, { types }] of Object.entries(exports as Record<string, { types: string }>)) {
        assert.ok((await Deno.stat(`${installed}/${types}`)).isFile, entry);
      }
      await Deno.writeTextFile(`${folder}/types.ts`, TYPES);
      await run(Deno.execPath(), ["check", "types.ts"], folder);
      await Deno.writeTextFile(`${folder}/formats.mjs`, FORMATS);
      await Deno.writeTextFile(`${folder}/training.mjs`, TRAINING);
      const want = { w: [1, 2, 3, 4], rank: 2, nf4: 0.5, q8: 34, lie: "ModelFormatError" };
      assert.deepEqual(JSON.parse(await run("node", ["formats.mjs"], folder)), want);
      assert.deepEqual(JSON.parse(await run(Deno.execPath(), ["run", "-A", "formats.mjs"], folder)), want);
      const { version, events, memory } = JSON.parse(
        await run(Deno.execPath(), ["run", "-A", "training.mjs"], folder),
      );
      const { version: declared } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
      assert.deepEqual([version, memory], [declared, "MemoryFolder"]);
      assert.ok(events.includes("started"), events.join());
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
