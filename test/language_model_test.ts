import assert from "node:assert/strict";
import { collectTexts, type TextOptions } from "../src/generate/text.ts";
import { mergeModel } from "../src/checkpoint/merge.ts";
import { LanguageModel, type LanguageModelOptions } from "../src/language_model.ts";
import { type BaseModel, ModelManager } from "../src/model_manager.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import type { OpenDevice } from "../src/fine_tune_job.ts";
import { onGpu } from "./helpers/device.ts";
import { writeTinyAdapter } from "./helpers/adapter_file.ts";
import { tinyGguf } from "./helpers/tiny_gguf.ts";
import { type TinyModelOptions, writeTinyModel } from "./helpers/tiny_model.ts";
import { TALKATIVE } from "./generate/open_model.ts";

const OPTIONS = { ...TALKATIVE, maxNewTokens: 5 };

/** A tiny model in memory, and the adapter `a` for it. */
async function open(device: OpenDevice, adapter: string | null = null, files: TinyModelOptions = {}) {
  const folders = new Map(["m", "a"].map((uri) => [uri, new MemoryFolder(uri)]));
  await writeTinyModel(folders.get("m")!, files);
  if (adapter) await writeTinyAdapter(folders.get("a")!, device);
  return await LanguageModel.open({ files: (uri) => folders.get(uri)!, model: "m", adapter, device });
}

async function answers(
  model: LanguageModel,
  inputs: Parameters<LanguageModel["promptOf"]>[0][],
  options: TextOptions = OPTIONS,
): Promise<string[]> {
  const prompts = inputs.map((input) => model.promptOf(input));
  return await collectTexts(model.generate(prompts, options), prompts.length);
}

onGpu("LanguageModel says something else with an adapter, and the same each time", async (device) => {
  const base = await open(device), adapted = await open(device, "a");
  const inputs = ["ab", [{ role: "user" as const, content: "Who?" }]];
  const said = await answers(base, inputs);
  assert.deepEqual(await answers(base, inputs), said);
  assert.notDeepEqual(await answers(adapted, inputs), said);
  assert.notEqual(said[0], said[1]);
  await base.close();
  await adapted.close();
  device.gpu.check();
});

onGpu("LanguageModel answers from packed weights as from the values that they stand for", async (device) => {
  const { bytes } = await tinyGguf("Q8_0");
  const files = new MemoryFolder("disk", { "tiny.gguf": bytes }), root = new MemoryFolder("values");
  await writeTinyModel(root.folder("plain"));
  const answerOf = async (options: Pick<LanguageModelOptions, "files" | "model" | "quantization">) => {
    const model = await LanguageModel.open({ ...options, device });
    const said = await answers(model, ["ab", "What is it?"]);
    await model.close();
    return said;
  };
  /** The same model, its weights written out as plain values. */
  const unpacked = async (name: string, base: BaseModel) => {
    await mergeModel({
      base: base.weights,
      baseFolder: base.folder,
      out: root.folder(name),
      updates: new Map(),
    });
    return { files: (uri: string) => root.folder(uri), model: name };
  };
  const manager = new ModelManager((uri) => uri === "plain" ? root.folder(uri) : files);
  const gguf = await unpacked("gguf", await manager.open("tiny.gguf"));
  assert.deepEqual(await answerOf({ files: () => files, model: "tiny.gguf" }), await answerOf(gguf));

  const plain = { files: (uri: string) => root.folder(uri), model: "plain" };
  const four = { loadIn4bit: true, loadIn8bit: false, doubleQuant: true };
  const values = await unpacked("four", ModelManager.quantized(await manager.open("plain"), four));
  const said = await answerOf({ ...plain, quantization: "4bit" });
  assert.deepEqual(said, await answerOf(values));
  assert.notDeepEqual(said, await answerOf(plain));
  await assert.rejects(
    answerOf({ files: () => files, model: "tiny.gguf", quantization: "8bit" }),
    /load_in_8bit: cannot be set for "tiny.gguf": its weights are in Q8_0 already/,
  );
});

onGpu("LanguageModel continues more prompts than fit side by side, each as if alone", async (device) => {
  const model = await open(device);
  const inputs = Array.from({ length: 67 }, (_, i) => `prompt ${i * i}`);
  const all = await answers(model, inputs);
  for (const i of [0, 63, 64, 66]) assert.deepEqual(await answers(model, [inputs[i]!]), [all[i]]);
  // batch after batch, prompts draw numbers of their own
  const drawn = await answers(model, Array(67).fill("x"), { temperature: 9, maxNewTokens: 5 });
  assert.ok(new Set(drawn).size > 60, `${new Set(drawn).size} different answers`);
  await model.close();
});

onGpu("LanguageModel makes room for longer prompts, up to the model's context", async (device) => {
  const model = await open(device, null, { config: { max_position_embeddings: 600 } });
  const short = await answers(model, ["a"]);
  const long = "long ".repeat(90);
  assert.equal((await answers(model, [long])).length, 1);
  assert.deepEqual(await answers(model, ["a"]), short);
  const ends: (string | null)[] = [];
  for await (const { end } of model.generate([Array(598).fill(97)], OPTIONS)) ends.push(end);
  assert.deepEqual(ends, [null, null, "length"]);
  await assert.rejects(
    answers(model, ["a", "b".repeat(601)]),
    /^ConfigError: prompt: number 2 has 601 tokens, 1\.\.600 are possible with this model$/,
  );
  await model.close();
});

onGpu("LanguageModel ends at the special token behind a turn", async (device) => {
  const model = await open(device);
  assert.deepEqual([...model.stopTokenIds].sort(), [258, 260]);
  await model.close();
});

onGpu("LanguageModel refuses to chat without a template, and an adapter of another model", async (device) => {
  const model = await open(device, null, { tokenizer: { chat_template: undefined } });
  assert.throws(
    () => model.promptOf([{ role: "user", content: "a" }]),
    /^ConfigError: chat_template: is missing: the model's tokenizer has none; give one, or generate from plain text$/,
  );
  await model.close();
  await assert.rejects(
    open(device, "a", { config: { num_hidden_layers: 1 } }),
    (error: Error) => /^(ModelFormatError|ConfigError)$/.test(error.name),
  );
  device.gpu.check();
});

onGpu(
  "LanguageModel exchanges adapters on a base that is loaded once, and answers as if loaded anew",
  async (device) => {
    const folders = new Map(["m", "a", "dora", "whole"].map((uri) => [uri, new MemoryFolder(uri)]));
    const files = (uri: string) => folders.get(uri)!;
    await writeTinyModel(files("m"));
    await writeTinyAdapter(files("a"), device);
    await writeTinyAdapter(files("dora"), device, { useDora: true });
    const inputs = ["ab", [{ role: "user" as const, content: "Who?" }]];
    const fresh = new Map<string | null, string[]>();
    for (const adapter of [null, "a", "dora"]) {
      const model = await LanguageModel.open({ files, model: "m", adapter, device });
      fresh.set(adapter, await answers(model, inputs));
      await model.close();
    }
    assert.equal(new Set([...fresh.values()].map(String)).size, 3);

    let reads = 0;
    const counted = new Proxy(files("m"), {
      get(folder, name) {
        const value = Reflect.get(folder, name, folder);
        if (typeof value !== "function") return value;
        return (path: unknown, ...rest: unknown[]) => {
          if (String(path).endsWith(".safetensors")) reads++;
          return value.call(folder, path, ...rest);
        };
      },
    });
    const model = await LanguageModel.open({
      files: (uri) => uri === "m" ? counted : files(uri),
      model: "m",
      device,
    });
    const afterOpening = reads;
    assert.ok(afterOpening > 0);
    for (const adapter of ["a", null, "dora", "a", "a", null, "dora"]) {
      await model.useAdapter(adapter);
      assert.deepEqual(await answers(model, inputs), fresh.get(adapter), String(adapter));
    }
    await assert.rejects(model.useAdapter("whole"), /^StorageNotFoundError/);
    assert.deepEqual(await answers(model, inputs), fresh.get("dora"), "what is refused changes nothing");
    assert.equal(reads, afterOpening, "the base is read once");
    await model.close();

    const own = await LanguageModel.open({ files, model: "m", adapter: "a", device });
    await assert.rejects(own.useAdapter(null), /^TypeError: Cannot exchange the adapter/);
    await own.close();
  },
);
