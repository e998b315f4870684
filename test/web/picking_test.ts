import assert from "node:assert/strict";
import { readText } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { dataFile, pastedData, pickedFiles } from "../../web/page/picking.ts";
import { ModelShelf } from "../../web/worker/model_shelf.ts";
import { PageFiles } from "../../web/worker/page_files.ts";

const TINY = new URL("../../examples/tiny/model/", import.meta.url);

/** The bundled model as a browser gives a picked folder. */
async function pickedModel() {
  const files = await Promise.all(
    ["config.json", "model.safetensors", "tokenizer.json", "README.md"].map(async (name) => {
      const file = new File([await Deno.readFile(new URL(name, TINY))], name);
      return Object.assign(file, { webkitRelativePath: `my model/${name}` });
    }),
  );
  return pickedFiles(files)!;
}

Deno.test("pickedFiles() takes a folder by its name, and a file as a model by itself", async () => {
  const { name, files } = await pickedModel();
  assert.equal(name, "my model");
  assert.ok(files.some(({ path }) => path === "config.json"));
  const gguf = pickedFiles([new File(["x"], "a,b.gguf")])!;
  assert.deepEqual([gguf.name, gguf.files.map(({ path }) => path)], ["a-b", ["a,b.gguf"]]);
  assert.equal(pickedFiles([]), null);
});

Deno.test("pasted text is named by what it begins with, and no name reads as a pattern or several", () => {
  const names = ['[{"text": 1}]', ' {"text": 1}', "text,more\n1,2"].map((text) => pastedData(text).name);
  assert.deepEqual(names, ["pasted.json", "pasted.jsonl", "pasted.csv"]);
  assert.equal(dataFile(new File([], "a*b,c?.jsonl")).name, "a-b-c-.jsonl");
});

Deno.test("ModelShelf tells what a picked model is, and keeps it on the device", async () => {
  const root = new MemoryFolder("root"), shelf = new ModelShelf(new PageFiles(root, "http://localhost/"));
  const picked = await pickedModel();
  const uri = await shelf.pick(picked);
  assert.equal(uri, "picked/my model");
  const { modelType, license, layers, packing, bytes, parameters } = await shelf.facts(uri);
  assert.deepEqual([modelType, license, packing], ["llama", "mit", null]);
  assert.ok(
    layers > 0 && parameters > 100_000 && bytes >= 2 * parameters,
    `${bytes} bytes, ${parameters} parameters`,
  );
  assert.deepEqual(await shelf.list(), []);
  assert.equal(await shelf.keep(picked), "device/models/my model");
  const [kept, ...others] = await shelf.list();
  assert.deepEqual([kept?.uri, kept?.source, others], ["device/models/my model", null, []]);
  assert.ok(kept!.bytes > 600_000, "the size is that of the files");
  assert.equal((await shelf.facts("device/models/my model")).parameters, parameters);
  assert.match(await readText(root.folder("device/models/my model"), "config.json"), /llama/);
  await shelf.remove("device/models/my model");
  assert.deepEqual(await shelf.list(), []);
});

Deno.test("a model that was picked in an earlier visit is asked for again", async () => {
  const shelf = new ModelShelf(new PageFiles(new MemoryFolder("root"), "http://localhost/"));
  for (const uri of ["picked/gone/model.gguf", "picked/gone"]) {
    await assert.rejects(shelf.facts(uri), /picked in an earlier visit: pick them again as the model/);
  }
});
