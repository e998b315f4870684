import assert from "node:assert/strict";
import { writeAdapter } from "../../src/checkpoint/adapter.ts";
import { exportModel } from "../../src/cli/export.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { type Folder, readText } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { folderAt } from "../helpers/job_disk.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { CHAT_TEMPLATE } from "../helpers/tiny_tokenizer.ts";
import { type TinyModelOptions, writeTinyModel } from "../helpers/tiny_model.ts";
import { fakeIo, type FakeIoOptions } from "./fake_io.ts";

/** A disk with a base model and the adapter of a run. */
async function disk(options: TinyModelOptions = {}): Promise<MemoryFolder> {
  const root = new MemoryFolder("disk");
  await writeTinyModel(root.folder("base"), options);
  const base = await new ModelManager((uri) => folderAt(root, uri)).open("base");
  await writeAdapter(folderAt(root, "runs/ember/adapter"), tinyAdapter(base));
  return root;
}

async function run(root: MemoryFolder, args: string, options: FakeIoOptions = {}): Promise<string> {
  const { io, stdout } = fakeIo(options);
  await exportModel(args.split(" "), io, { files: (uri) => folderAt(root, uri) });
  return stdout.text;
}

async function json(folder: Folder, name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readText(folder, name));
}

Deno.test("export onnx writes what transformers.js reads into the run's folder, and says so", async () => {
  const root = await disk(), out = await run(root, "onnx runs/ember");
  assert.match(out, /^runs\/ember\/onnx: onnx\/model\.onnx, [\d.]+ KiB, base and adapter merged\n/);
  assert.match(out, /^pipeline\("text-generation", "\.\/runs\/ember\/onnx", \{ dtype: "fp32" \}\)\n$/m);
  const folder = folderAt(root, "runs/ember/onnx");
  assert.deepEqual(await folder.list(), [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  assert.deepEqual(await folder.folder("onnx").list(), ["model.onnx"]);
  const config = await json(folder, "config.json");
  assert.deepEqual(config["transformers.js_config"], {
    dtype: "fp32",
    kv_cache_dtype: { fp16: "float16" },
    use_external_data_format: { "model.onnx": 0 },
  });
  assert.equal(config.num_key_value_heads, 2);
  // EOS of config.json, and what the chat template writes behind an answer
  assert.deepEqual((await json(folder, "generation_config.json")).eos_token_id, [258, 260]);
  assert.equal((await json(folder, "tokenizer_config.json")).chat_template, CHAT_TEMPLATE);
});

Deno.test("export onnx keeps the model of another type in a folder, and no other files without --overwrite", async () => {
  const root = await disk();
  await run(root, "onnx runs/ember --out site");
  assert.match(await run(root, "onnx runs/ember --out site --type f16"), /^site: onnx\/model_fp16\.onnx, /);
  const folder = root.folder("site");
  assert.deepEqual(await folder.folder("onnx").list(), ["model.onnx", "model_fp16.onnx"]);
  assert.deepEqual((await json(folder, "config.json"))["transformers.js_config"], {
    dtype: "fp32",
    kv_cache_dtype: { fp16: "float16" },
    use_external_data_format: { "model.onnx": 0, "model_fp16.onnx": 0 },
  });
  await assert.rejects(
    run(root, "onnx runs/ember --out site"),
    /"site" holds files already \(onnx\/model.onnx\)/,
  );
  await assert.rejects(run(root, "onnx runs/ember --out base"), /"base" holds files already \(config.json, /);
  await assert.rejects(run(root, "onnx base --out base/"), /"base" is the model that is exported/);
  assert.equal(await run(root, "onnx runs/ember --out site --overwrite --quiet"), "");
});

Deno.test("export onnx gives the template that was trained with, and says no word of quantisation", async () => {
  const root = await disk({ config: { quantization_config: { quant_method: "bitsandbytes" } } });
  await root.folder("templates").create("own.jinja").then(async (file) => {
    await file.write(new TextEncoder().encode("{{ messages[0]['content'] }}"));
    await file.commit();
  });
  await run(root, "onnx base --adapter runs/ember/adapter --chat-template templates/own.jinja --out o");
  const folder = root.folder("o");
  assert.equal((await json(folder, "tokenizer_config.json")).chat_template, "{{ messages[0]['content'] }}");
  assert.equal((await json(folder, "config.json")).quantization_config, undefined);
});

Deno.test("export onnx stops at a signal and leaves no model", async () => {
  const root = await disk();
  await assert.rejects(run(root, "onnx base --out o", { interruptBy: "SIGINT" }), {
    name: "InterruptedError",
  });
  assert.deepEqual(await root.folder("o").list(), []);
  assert.deepEqual(await folderAt(root, "o/onnx").list(), []);
});

Deno.test("export onnx refuses a type that it does not have, and a model without a tokenizer", async () => {
  const root = await disk();
  await assert.rejects(run(root, "onnx runs/ember --type q8_0"), /--type: must be one of f32, f16/);
  await assert.rejects(run(root, "onnx runs/ember --logits some"), /--logits: must be one of all, last/);
  await root.folder("base").remove("tokenizer.json");
  await assert.rejects(run(root, "onnx base --out o"), { name: "StorageNotFoundError" });
  assert.deepEqual(await folderAt(root, "o/onnx").list(), []);
});
