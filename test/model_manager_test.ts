import assert from "node:assert/strict";
import { type Adapter, loraKey } from "../src/checkpoint/adapter.ts";
import { writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { ConfigError, ModelFormatError, StorageNotFoundError, UnsupportedModelError } from "../src/errors.ts";
import { type LoraSettings, ModelManager } from "../src/model_manager.ts";
import { chooseVariants } from "../src/nn/variants.ts";
import { initialLoraA } from "../src/optim/init.ts";
import { writeFile } from "../src/storage.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { assertClose, exact } from "./helpers/close.ts";
import { onGpu } from "./helpers/device.ts";
import { ramp } from "./helpers/fill.ts";
import { tinyGguf } from "./helpers/tiny_gguf.ts";
import { TINY_PARAMETERS, type TinyModelOptions, writeTinyModel } from "./helpers/tiny_model.ts";

async function tiny(options: TinyModelOptions = {}) {
  const folder = new MemoryFolder("models/tiny");
  await writeTinyModel(folder, options);
  const asked: string[] = [];
  const manager = new ModelManager((uri) => {
    asked.push(uri);
    return folder;
  });
  return { folder, manager, asked };
}

Deno.test("open() finds one file or several, head or none, and every element type", async () => {
  const options: TinyModelOptions[] = [{}, { tied: false, shards: 3 }, { dtype: "F16" }, {
    dtype: "BF16",
    shards: 2,
  }];
  for (const option of options) {
    const { manager, asked } = await tiny(option);
    const base = await manager.open("tiny");
    assert.deepEqual(asked, ["tiny"]);
    const { tied = true, dtype = "F32", shards = 1 } = option;
    assert.equal(ModelManager.countParameters(base), TINY_PARAMETERS[tied ? "tied" : "untied"]);
    assert.equal(base.config.tieWordEmbeddings, tied);
    assert.equal(base.weights.files.size, shards);
    assert.deepEqual([...new Set([...base.weights.infos.values()].map((info) => info.dtype))], [dtype]);
  }
});

Deno.test("open() says of a folder without config.json what it holds instead", async () => {
  const open = (files: Record<string, string>) =>
    new ModelManager(() => new MemoryFolder("x", files)).open("models/x");
  await assert.rejects(open({}), {
    name: "StorageNotFoundError",
    message:
      /Cannot find a model at "models\/x": the folder is empty or does not exist, and a model folder holds config\.json/,
  });
  await assert.rejects(open({ "a.gguf": "", "b.txt": "" }), /the folder holds a\.gguf, b\.txt, and/);
});

Deno.test("open() takes a GGUF file for the folder that it was made from", async () => {
  const { bytes, folder } = await tinyGguf("Q8_0");
  const asked: string[] = [];
  const manager = new ModelManager((uri) => {
    asked.push(uri);
    return new MemoryFolder(uri, { "tiny.Q8_0.gguf": bytes });
  });
  const base = await manager.open("models/tiny.Q8_0.gguf"), inHere = await manager.open("tiny.Q8_0.gguf");
  assert.deepEqual(asked, ["models/", "."]);
  assert.equal(ModelManager.countParameters(base), TINY_PARAMETERS.tied);
  assert.equal(base.uri, "models/tiny.Q8_0.gguf");
  const original = await new ModelManager(() => folder).open("tiny");
  const { raw: _, ...config } = original.config, { raw: __, ...read } = inHere.config;
  assert.deepEqual(read, config);
  ModelManager.checkLora(base, LORA);
  await assert.rejects(manager.open("models"), {
    name: "StorageNotFoundError",
    message: /holds tiny\.Q8_0\.gguf, and a .*; to take the GGUF file, name it: "models\/tiny\.Q8_0\.gguf"$/,
  });
});

Deno.test("open() refuses element types that it cannot widen, and closes the files", async () => {
  const { folder, manager } = await tiny();
  let closed = 0;
  const open = folder.open.bind(folder);
  folder.open = async (name) => {
    const file = await open(name);
    const close = file.close.bind(file);
    return Object.assign(file, { close: () => (closed += name === "model.safetensors" ? 1 : 0, close()) });
  };
  const base = await manager.open("tiny");
  const tensors = await Promise.all(
    [...base.weights.infos.values()].map(async ({ name, dtype, shape, byteLength }) => {
      if (name !== "model.norm.weight") return { name, dtype, shape, data: await base.weights.readRaw(name) };
      return { name, dtype: "I8", shape, data: new Uint8Array(byteLength / 4) };
    }),
  );
  await base.weights.close();
  await writeSafetensors(folder, "model.safetensors", tensors);
  closed = 0;
  await assert.rejects(manager.open("tiny"), (error: Error) => {
    assert.ok(error instanceof UnsupportedModelError);
    assert.match(error.message, /tensor "model\.norm\.weight" is I8, and F32, F16 and BF16 are supported/);
    return true;
  });
  assert.equal(closed, 1);
});

Deno.test("open() refuses a folder whose weights or config are missing or contradict each other", async () => {
  const { folder, manager } = await tiny();
  await folder.remove("model.safetensors");
  await assert.rejects(manager.open("tiny"), StorageNotFoundError);
  const untied = await tiny({ config: { tie_word_embeddings: false } });
  await untied.folder.remove("model.safetensors");
  const tied = await tiny();
  const file = await tied.folder.open("model.safetensors");
  await writeFile(untied.folder, "model.safetensors", await file.read(0, file.size));
  await assert.rejects(untied.manager.open("tiny"), (error: Error) => {
    assert.ok(error instanceof ModelFormatError);
    assert.match(error.message, /tensor "lm_head\.weight" is missing, config\.json asks for \[261, 32\]/);
    return true;
  });
});

const LORA: LoraSettings = { rank: 3, alpha: 6, targetModules: ["q_proj", "mlp.down_proj"] };

Deno.test("checkLora() accepts what can be updated and names what cannot", async () => {
  const { manager } = await tiny();
  const base = await manager.open("tiny");
  ModelManager.checkLora(base, LORA);
  ModelManager.checkLora(base, { ...LORA, rank: 24, targetModules: "all-linear" });
  ModelManager.checkLora(base, { ...LORA, rank: 32, targetModules: ["q_proj"] });
  const refused = (lora: Partial<LoraSettings>) => {
    try {
      ModelManager.checkLora(base, { ...LORA, ...lora });
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      return error.issues;
    }
  };
  assert.deepEqual(refused({ rank: 33 }), [{
    path: "lora_r",
    message: 'must be at most 32, the smaller side of "model.layers.0.self_attn.q_proj": current value is 33',
  }]);
  assert.deepEqual(refused({ rankPattern: { down_proj: 40 } }), [{
    path: "rank_pattern",
    message: 'must be at most 32, the smaller side of "model.layers.0.mlp.down_proj": current value is 40',
  }]);
  assert.equal(refused({ rankPattern: { k_proj: 2 } })?.[0]?.path, "rank_pattern");
  assert.equal(refused({ targetModules: ["proj"] })?.[0]?.path, "target_modules");
  assert.deepEqual(refused({ bias: "lora_only" }), [{
    path: "bias",
    message: "must be none as no map with an update has a bias: current value is lora_only",
  }]);
  assert.match(
    refused({ bias: "all" })![0]!.message,
    /^must be none as no linear map of this model has a bias/,
  );
  assert.match(refused({ targetModules: "(" })![0]!.message, /regular expression/i);
});

/** An adapter of the tiny model with values of its own. */
function adapterOf(shapes: readonly (readonly [string, readonly number[]])[]): Adapter {
  const { rank, alpha } = LORA;
  return {
    config: { baseModel: "tiny", rank, alpha, dropout: 0, targetModules: LORA.targetModules },
    tensors: new Map(shapes.map(([name, shape], i) => {
      return [name, { shape, data: ramp(shape[0]! * shape[1]!, { phase: i }) }];
    })),
  };
}

onGpu(
  "plan() puts updates on the targets alone, and initialise() sets them by seed or from an adapter",
  async (device) => {
    const { manager } = await tiny();
    const base = await manager.open("tiny");
    const on = { ...device, variants: chooseVariants(device.gpu), limits: { rows: 1, length: 16 } };
    const model = manager.plan(base, LORA, on);
    const shapes = model.pool.parameters.map(({ name, value }) => [name, value.shape] as const);
    const names = [0, 1].flatMap((layer) =>
      ["self_attn.q_proj", "mlp.down_proj"].flatMap((path) =>
        (["A", "B"] as const).map((which) => loraKey(`model.layers.${layer}.${path}`, which))
      )
    );
    assert.deepEqual(shapes.map(([name]) => name), names);
    assert.deepEqual(shapes.slice(0, 2).map(([, shape]) => shape), [[3, 32], [48, 3]]);
    assert.deepEqual(manager.plan(base, null, on).pool.parameters, []);

    model.allocate();
    await manager.initialise(model, { kind: "seed", seed: 9 });
    const drawn = await model.pool.read();
    assertClose(
      drawn.get(names[0]!)!,
      initialLoraA({ init: true, name: names[0]!, seed: 9 }, 3, 32),
      exact(),
    );
    assertClose(drawn.get(names[1]!)!, new Float32Array(48 * 3), exact());

    const adapter = adapterOf(shapes);
    await manager.initialise(model, { kind: "adapter", adapter });
    for (const [name, values] of await model.pool.read()) {
      assertClose(values, adapter.tensors.get(name)!.data, exact());
    }

    const without = { ...adapter, tensors: new Map([...adapter.tensors].slice(1)) };
    const transposed = adapterOf(shapes.map(([name, shape]) => [name, [...shape].reverse()]));
    const more = adapterOf([...shapes, [loraKey("model.layers.2.mlp.down_proj", "A"), [3, 44]]]);
    for (
      const [wrong, message] of [
        [without, `tensor "${names[0]}" is missing`],
        [transposed, `tensor "${names[0]}" is [32, 3] and this model asks for [3, 32]`],
        [
          more,
          `tensor "${loraKey("model.layers.2.mlp.down_proj", "A")}" belongs to no targeted map of this model`,
        ],
      ] as const
    ) {
      await assert.rejects(manager.initialise(model, { kind: "adapter", adapter: wrong }), {
        name: "ModelFormatError",
        message: `Cannot continue from the adapter: ${message}; take the base model that it was trained on`,
      });
    }
    model.destroy();
  },
);
