import assert from "node:assert/strict";
import { exportOnnx } from "../../src/export/onnx_model.ts";
import { type FileReader, type Folder, readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { encodeFloats } from "../../src/quant/float16.ts";
import { familyModel } from "./families.ts";

const plain = { updates: new Map(), chatTemplate: null };

/** A folder on a bad medium: of one file below it, the last byte of each piece comes back changed. */
function flipping(folder: Folder, name: string): Folder {
  return new Proxy(folder, {
    get(of, key) {
      if (key === "folder") return (below: string) => flipping(of.folder(below), name);
      if (key === "open") {
        return async (file: string): Promise<FileReader> => {
          const opened = await of.open(file);
          if (file !== name) return opened;
          const read = async (offset: number, length: number) => {
            const bytes = await opened.read(offset, length);
            bytes[bytes.length - 1]! ^= 1;
            return bytes;
          };
          return { uri: opened.uri, size: opened.size, read, close: () => opened.close() };
        };
      }
      const value = Reflect.get(of, key, of);
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
}

Deno.test("exportOnnx() refuses what f16 cannot hold, with its place, and leaves no config", async () => {
  const root = new MemoryFolder("disk"), folder = root.folder("base");
  const { root: tiny } = await familyModel("llama");
  for (const name of await tiny.folder("base").list()) {
    const file = await tiny.folder("base").open(name);
    await writeFile(folder, name, await file.read(0, file.size));
  }
  const opened = await new ModelManager(() => folder).open("base");
  const tensors = await Promise.all([...opened.weights.infos.values()].map(async ({ name, shape }) => {
    const values = await opened.weights.readF32(name);
    if (name === "model.layers.1.mlp.up_proj.weight") values[2 * shape[1]! + 5] = 7e4;
    return { name, dtype: "F32", shape, data: encodeFloats("F32", values) };
  }));
  await opened.weights.close();
  await writeSafetensors(folder, "model.safetensors", tensors);
  const base = await new ModelManager(() => folder).open("base"), out = root.folder("out");
  await exportOnnx(out, { source: { base, ...plain }, type: "F32" });
  await assert.rejects(exportOnnx(out, { source: { base, ...plain }, type: "F16" }), {
    name: "RangeError",
    message:
      /"model.layers.1.mlp.up_proj.weight" as F16: the value at row 2, column 5 is 70000, .* --type f32/,
  });
  assert.equal(await out.exists("config.json"), false); // the folder is not whole
});

Deno.test("exportOnnx() writes the data files that are needed and removes those of an export before", async () => {
  const { root, base } = await familyModel("llama"), out = root.folder("out");
  const options = { source: { base, ...plain }, type: "F32" } as const;
  const limits = { inlineBytes: 0, dataFileBytes: 20_000 };
  const many = await exportOnnx(out, { ...options, limits });
  assert.ok(many.files.length > 3);
  assert.deepEqual(await out.folder("onnx").list(), [...many.files].sort());
  const count = async () =>
    JSON.parse(await readText(out, "config.json"))["transformers.js_config"].use_external_data_format;
  assert.deepEqual(await count(), { "model.onnx": many.files.length - 1 });
  const seen: number[] = [];
  const one = await exportOnnx(out, {
    ...options,
    onProgress: ({ bytes, totalBytes }) => seen.push(bytes / totalBytes),
  });
  assert.deepEqual(one.files, ["model.onnx"]);
  assert.deepEqual(await out.folder("onnx").list(), ["model.onnx"]);
  assert.deepEqual(await count(), { "model.onnx": 0 });
  assert.equal(seen.at(-1), 1);
  const file = await out.folder("onnx").open("model.onnx");
  assert.equal(file.size, one.bytes);
  await file.close();
});

Deno.test("exportOnnx() describes the text half of a Gemma 3 with eyes as a model of its own", async () => {
  const root = new MemoryFolder("disk");
  const { root: tiny } = await familyModel("gemma3_text");
  const inner = JSON.parse(await readText(tiny.folder("base"), "config.json"));
  const opened = await new ModelManager(() => tiny.folder("base")).open("base");
  const folder = root.folder("base");
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    await writeFile(folder, name, await readText(tiny.folder("base"), name));
  }
  const { eos_token_id, ...text } = inner;
  const config = { model_type: "gemma3", eos_token_id, text_config: text, vision_config: { hidden_size: 8 } };
  await writeFile(folder, "config.json", JSON.stringify(config));
  await writeSafetensors(
    folder,
    "model.safetensors",
    await Promise.all([...opened.weights.infos.values()].map(async ({ name, shape }) => {
      const data = encodeFloats("F32", await opened.weights.readF32(name));
      return { name: `language_model.${name}`, dtype: "F32", shape, data };
    })),
  );
  const base = await new ModelManager(() => folder).open("base"), out = root.folder("out");
  await exportOnnx(out, { source: { base, ...plain }, type: "F32" });
  const written = JSON.parse(await readText(out, "config.json"));
  assert.equal(written.model_type, "gemma3_text");
  assert.deepEqual(written.architectures, ["Gemma3ForCausalLM"]);
  assert.equal(written.num_hidden_layers, 7);
  assert.equal(written.eos_token_id, eos_token_id);
  assert.ok(!("vision_config" in written) && !("text_config" in written));
});

for (const where of ["model.onnx", "model.onnx_data_1"]) {
  Deno.test(`exportOnnx() notices that ${where} does not read back as it was written`, async () => {
    const { root, base } = await familyModel("gemma2"), out = root.folder("out");
    const limits = { inlineBytes: where === "model.onnx" ? Infinity : 0, dataFileBytes: 20_000 };
    const options = { source: { base, ...plain }, type: "F32", limits } as const;
    await exportOnnx(out, options);
    await assert.rejects(exportOnnx(flipping(out, where), options), {
      name: "ModelFormatError",
      message: /onnx\/model\.onnx[_1a-z]*" does not read back as it was written: tensor "model\.\S+" differs/,
    });
    assert.equal(await out.exists("config.json"), false);
  });
}
