import assert from "node:assert/strict";
import { writeAdapter } from "../../src/checkpoint/adapter.ts";
import { ConfigError, ModelFormatError, StorageNotFoundError } from "../../src/errors.ts";
import { type ExportRequest, openExportSource } from "../../src/export/source.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { folderAt } from "../helpers/job_disk.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { tinyGguf } from "../helpers/tiny_gguf.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

const PATH = "model.layers.0.mlp.up_proj.weight";

/** A disk with a model in `base` and a run in `runs/ember` that says what is given. */
async function disk(config: Readonly<Record<string, unknown>> = {}): Promise<MemoryFolder> {
  const root = new MemoryFolder("disk", { "chat.jinja": "{{ messages }}" });
  await writeTinyModel(root.folder("base"));
  const base = await new ModelManager((uri) => folderAt(root, uri)).open("base");
  const run = folderAt(root, "runs/ember");
  for (const name of ["adapter", "checkpoint-4"]) await writeAdapter(run.folder(name), tinyAdapter(base));
  await writeFile(run, "run.json", JSON.stringify({ version: 1, config }));
  return root;
}

async function opened(root: MemoryFolder, model: string, request: Partial<ExportRequest> = {}) {
  const asked = { model, adapter: null, baseModel: null, quantization: null, chatTemplate: null, ...request };
  return await openExportSource((uri) => folderAt(root, uri), asked);
}

Deno.test("openExportSource() finds base and adapter of a run, an adapter, a checkpoint and two folders", async () => {
  const root = await disk();
  for (const model of ["runs/ember", "runs/ember/", "./runs/ember/adapter", "runs/ember/checkpoint-4"]) {
    const source = await opened(root, model);
    assert.equal(source.name, "ember");
    assert.equal(source.base.uri, "base");
    assert.equal(source.updates.size, 14);
    assert.equal(source.adapter?.config.rank, 3);
  }
  const both = await opened(root, "base", { adapter: "runs/ember/adapter" });
  assert.deepEqual([both.name, both.updates.size], ["base", 14]);
  const alone = await opened(root, "base/");
  assert.deepEqual([alone.name, alone.adapter, alone.updates.size], ["base", null, 0]);
});

Deno.test("openExportSource() takes the merged model of a run that kept nothing else", async () => {
  const root = await disk(), run = folderAt(root, "runs/ember");
  await run.removeFolder("adapter");
  await writeTinyModel(run.folder("merged"), { dtype: "BF16" });
  const { name, base, adapter } = await opened(root, "runs/ember");
  assert.deepEqual([name, base.uri, adapter], ["ember", "runs/ember/merged", null]);
});

Deno.test("openExportSource() takes a base that moved, and a GGUF file", async () => {
  const root = await disk();
  await writeTinyModel(root.folder("elsewhere"));
  await root.removeFolder("base");
  await assert.rejects(opened(root, "runs/ember"), StorageNotFoundError);
  const { base } = await opened(root, "runs/ember", { baseModel: "elsewhere" });
  assert.equal(base.uri, "elsewhere");
  await writeFile(root, "tiny.gguf", (await tinyGguf("Q8_0")).bytes);
  const gguf = await opened(root, "tiny.gguf", { adapter: "runs/ember/adapter" });
  assert.deepEqual([gguf.name, gguf.base.config.modelType, gguf.updates.size], ["tiny", "llama", 14]);
});

Deno.test("openExportSource() gives the values that were trained on, as the run or the request says", async () => {
  const first = async (root: MemoryFolder, request: Partial<ExportRequest> = {}) => {
    const { base } = await opened(root, "runs/ember", request);
    return await base.weights.readRowsF32(PATH, 0, 2);
  };
  const plain = await first(await disk());
  const packed = await first(await disk({ load_in_4bit: true, merge_base: "quantized" }));
  assert.notDeepEqual(packed, plain);
  assert.ok(new Set(packed).size <= 32, "more than 16 levels in two rows");
  assert.deepEqual(await first(await disk({ load_in_4bit: true, merge_base: "original" })), plain);
  assert.deepEqual(await first(await disk({ load_in_4bit: true }), { quantization: "none" }), plain);
  assert.deepEqual(await first(await disk(), { quantization: "4bit" }), packed);
});

Deno.test("openExportSource() brings the chat template that a run trained with", async () => {
  const root = await disk({ chat_template_path: "chat.jinja" });
  assert.equal((await opened(root, "runs/ember")).chatTemplate, "{{ messages }}");
  await writeFile(root, "other.jinja", "other");
  assert.equal((await opened(root, "runs/ember", { chatTemplate: "other.jinja" })).chatTemplate, "other");
  assert.equal((await opened(root, "base")).chatTemplate, null);
  await root.remove("chat.jinja");
  await assert.rejects(opened(root, "runs/ember"), {
    name: "StorageNotFoundError",
    message: /"chat.jinja": say where it is by --chat-template/,
  });
});

Deno.test("openExportSource() refuses what does not go together", async () => {
  const root = await disk();
  const refused = (model: string, request: Partial<ExportRequest>, path: string, message: RegExp) =>
    assert.rejects(opened(root, model, request), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.issues.map((issue) => issue.path), [path]);
      assert.match(error.message, message);
      return true;
    });
  await refused("base", { baseModel: "base" }, "--base-model", /"base" is a base model/);
  await refused("base", { quantization: "4bit" }, "--quantization", /without --adapter/);
  await refused(
    "runs/ember",
    { adapter: "runs/ember/adapter" },
    "--adapter",
    /"runs\/ember" is no base model/,
  );
  await assert.rejects(opened(root, "runs"), {
    name: "StorageNotFoundError",
    message: /anything to export at "runs"/,
  });
  await writeFile(folderAt(root, "runs/ember"), "run.json", "{");
  await assert.rejects(opened(root, "runs/ember"), ModelFormatError);
  await writeTinyModel(root.folder("wide"), { config: { intermediate_size: 48 } });
  await assert.rejects(opened(root, "wide", { adapter: "runs/ember/adapter" }), {
    name: "ModelFormatError",
    message: /"wide": .* is \[.*48.*\], the update is for \[.*44.*\]/,
  });
});
