import assert from "node:assert/strict";
import {
  type Adapter,
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  biasKey,
  loraKey,
  loraUpdates,
  readAdapter,
  wholeTensors,
  writeAdapter,
} from "../../src/checkpoint/adapter.ts";
import { formatAdapterConfig, parseAdapterConfig } from "../../src/checkpoint/adapter_config.ts";
import { SafetensorsFile, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { UnsupportedModelError } from "../../src/errors.ts";
import { readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { ramp } from "../helpers/fill.ts";

const Q = "model.layers.0.self_attn.q_proj";

function adapter(more: Partial<Adapter["config"]> = {}): Adapter {
  const config = {
    baseModel: "org/tiny",
    rank: 2,
    alpha: 4,
    dropout: 0.05,
    targetModules: ["q_proj"],
    useRslora: false,
    useDora: false,
    bias: "none" as const,
    ...more,
  };
  const tensors = new Map([
    [loraKey(Q, "A"), { shape: [2, 5], data: ramp(10) }],
    [loraKey(Q, "B"), { shape: [3, 2], data: ramp(6, { phase: 1 }) }],
  ]);
  return { config, tensors };
}

Deno.test("writeAdapter() and readAdapter() give the same adapter back", async () => {
  const folder = new MemoryFolder("out");
  await writeAdapter(folder, adapter());
  assert.deepEqual(await folder.list(), [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE]);
  assert.deepEqual(await readAdapter(folder), adapter());
  assert.deepEqual(
    (await SafetensorsFile.open(folder, ADAPTER_WEIGHTS_FILE)).metadata,
    new Map([["format", "pt"]]),
  );
});

Deno.test("loraKey() is PEFT's key", () => {
  assert.equal(
    loraKey(Q, "magnitude"),
    "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
  );
  assert.equal(loraKey(Q, "A"), "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
});

Deno.test("loraUpdates() names the base tensor and scales by alpha / rank, or alpha / sqrt(rank)", () => {
  const given = adapter();
  const updates = loraUpdates(given);
  assert.deepEqual([...updates.keys()], [`${Q}.weight`]);
  const { loraA, loraB, rank, scaling } = updates.get(`${Q}.weight`)!;
  assert.deepEqual([rank, scaling], [2, 2]);
  const stabilised = loraUpdates(adapter({ useRslora: true })).get(`${Q}.weight`)!;
  assert.equal(stabilised.scaling, 4 / Math.sqrt(2));
  assert.equal(loraA, given.tensors.get(loraKey(Q, "A"))!.data);
  assert.equal(loraB, given.tensors.get(loraKey(Q, "B"))!.data);
});

Deno.test("an adapter of DoRA has a magnitude for each output, and no other has", async () => {
  const folder = new MemoryFolder("out"), data = ramp(3, { phase: 2 });
  const withMagnitude = (shape: number[], useDora: boolean): Adapter => {
    const { config, tensors } = adapter({ useDora });
    return { config, tensors: new Map([...tensors, [loraKey(Q, "magnitude"), { shape, data }]]) };
  };
  const whole = withMagnitude([3], true);
  await writeAdapter(folder, whole);
  assert.deepEqual(await readAdapter(folder), whole);
  assert.deepEqual(loraUpdates(whole).get(`${Q}.weight`)!.magnitude, data);
  const cases: readonly [Adapter, RegExp][] = [
    [adapter({ useDora: true }), /lora_A\.weight" is there, ".*\.lora_magnitude_vector" is missing/],
    [withMagnitude([3], false), /lora_magnitude_vector" is there, and use_dora is false/],
    [withMagnitude([3, 1], true), /lora_magnitude_vector" is \[3, 1\], \[3\] is wanted beside its lora_B/],
  ];
  for (const [wrong, message] of cases) {
    await assert.rejects(writeAdapter(folder, wrong), { name: "RangeError", message });
  }
});

Deno.test("an adapter holds the biases that its config says are trained, and no others", async () => {
  const folder = new MemoryFolder("out"), data = ramp(3, { phase: 2 });
  const K = Q.replace("q_proj", "k_proj");
  const withBiases = (bias: "none" | "all" | "lora_only", ...keys: string[]): Adapter => {
    const { config, tensors } = adapter({ bias });
    return {
      config,
      tensors: new Map([...tensors, ...keys.map((key) => [key, { shape: [3], data }] as const)]),
    };
  };
  const [ofTarget, ofOther] = [biasKey(Q, true), biasKey(K, false)];
  assert.deepEqual([ofTarget, ofOther].map((key) => key.slice("base_model.model.".length)), [
    `${Q}.base_layer.bias`,
    `${K}.bias`,
  ]);
  for (const whole of [withBiases("all", ofTarget, ofOther), withBiases("lora_only", ofTarget)]) {
    await writeAdapter(folder, whole);
    assert.deepEqual(await readAdapter(folder), whole);
  }
  assert.deepEqual(
    [...wholeTensors(withBiases("all", ofTarget, ofOther)).keys()],
    [`${Q}.bias`, `${K}.bias`],
  );
  for (const wrong of [withBiases("none", ofTarget), withBiases("lora_only", ofOther)]) {
    await assert.rejects(writeAdapter(folder, wrong), {
      name: "UnsupportedModelError",
      message: /\.bias" is not lora_A/,
    });
  }
});

Deno.test("writeAdapter() refuses what PEFT could not load or should not, and writes nothing", async () => {
  const [a, b] = [loraKey(Q, "A"), loraKey(Q, "B")];
  const bad = ramp(10);
  bad[7] = NaN;
  const cases: readonly [string, { shape: number[]; data: Float32Array } | null, RegExp][] = [
    [a, { shape: [2, 5], data: bad }, /"\S+lora_A.weight" holds NaN at index 7: the training diverged/],
    [b, null, /lora_A.weight" is there, "\S+lora_B.weight" is missing/],
    [a, { shape: [5, 2], data: ramp(10) }, /lora_A.weight" is \[5, 2\], \[2, in\] is wanted for rank 2/],
    [b, { shape: [3, 3], data: ramp(9) }, /lora_B.weight" is \[3, 3\], \[out, 2\] is wanted for rank 2/],
    [b, { shape: [3, 2], data: ramp(5) }, /lora_B.weight" is \[3, 2\] but has 5 values/],
  ];
  for (const [key, tensor, message] of cases) {
    const folder = new MemoryFolder("out");
    const tensors = new Map(adapter().tensors);
    if (tensor) tensors.set(key, tensor);
    else tensors.delete(key);
    await assert.rejects(writeAdapter(folder, { ...adapter(), tensors }), { name: "RangeError", message });
    assert.deepEqual(await folder.list(), []);
  }
});

Deno.test("readAdapter() names tensors of other methods and files of other formats", async () => {
  const folder = new MemoryFolder("out");
  await writeAdapter(folder, adapter());
  const key = `base_model.model.${Q}.lora_embedding_A`;
  await writeSafetensors(folder, ADAPTER_WEIGHTS_FILE, [
    { name: key, dtype: "F32", shape: [1], data: new Uint8Array(4) },
  ]);
  await assert.rejects(readAdapter(folder), (error: Error) => {
    assert.ok(error instanceof UnsupportedModelError);
    assert.match(
      error.message,
      /"out\/adapter_model.safetensors": tensor "\S+lora_embedding_A" is not lora_A/,
    );
    return true;
  });
  await folder.remove(ADAPTER_WEIGHTS_FILE);
  await writeFile(folder, "adapter_model.bin", "x");
  await assert.rejects(readAdapter(folder), {
    name: "StorageNotFoundError",
    message: /adapter_model.bin only; save/,
  });
});

Deno.test("readAdapter() widens 16-bit adapters and keeps what narrows their targets", async () => {
  const folder = new MemoryFolder("out", {
    [ADAPTER_CONFIG_FILE]: '{"peft_type":"LORA","r":1,"target_modules":["q_proj"],"layers_to_transform":[0]}',
  });
  const value = { dtype: "BF16", shape: [1, 1], data: Uint8Array.of(0xc0, 0x3f) } as const;
  await writeSafetensors(folder, ADAPTER_WEIGHTS_FILE, [
    { name: loraKey(Q, "A"), ...value },
    { name: loraKey(Q, "B"), ...value },
  ]);
  const { config, tensors } = await readAdapter(folder);
  assert.deepEqual([config.targetModules, config.layersToTransform], [["q_proj"], [0]]);
  assert.deepEqual(tensors.get(loraKey(Q, "B"))!.data, Float32Array.of(1.5));
});

Deno.test("parseAdapterConfig() takes PEFT's defaults for the keys that an old file lacks", () => {
  assert.deepEqual(parseAdapterConfig('{"peft_type":"LORA","something_new":1}', "c"), {
    baseModel: null,
    rank: 8,
    alpha: 8,
    dropout: 0,
    targetModules: null,
    useRslora: false,
    useDora: false,
    bias: "none",
  });
});

Deno.test("parseAdapterConfig() refuses by name, with a cure", () => {
  const cases: readonly [Record<string, unknown>, RegExp][] = [
    [{ peft_type: "IA3" }, /peft_type is "IA3", only "LORA"/],
    [{ peft_type: undefined, lora_parameters: {} }, /in MLX's format; convert/],
    [{ ensure_weight_tying: true }, /ensure_weight_tying is true/],
    [{ init_lora_weights: "pissa_niter_4" }, /init_lora_weights is "pissa_niter_4"[^]*changes the base/],
    [{ trainable_token_indices: [1] }, /trainable_token_indices is \[1\]/],
  ];
  for (const [fields, message] of cases) {
    assert.throws(
      () => parseAdapterConfig(JSON.stringify({ peft_type: "LORA", ...fields }), "c"),
      (error: Error) => {
        assert.ok(error instanceof UnsupportedModelError, error.message);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

Deno.test("parseAdapterConfig() names the key, what it is and what it should be", () => {
  const cases: readonly [string, RegExp][] = [
    ["{", /Cannot read "c": it is not JSON/],
    ["[]", /an object is wanted, it is \[\]/],
    ['{"peft_type":"LORA","r":0}', /r is 0, a whole number/],
    ['{"peft_type":"LORA","lora_alpha":"16"}', /lora_alpha is "16", a number/],
    ['{"peft_type":"LORA","lora_dropout":1}', /lora_dropout is 1, 0 up to below 1/],
    ['{"peft_type":"LORA","bias":"some"}', /bias is "some", one of none, all, lora_only is wanted/],
    ['{"peft_type":"LORA","use_rslora":1}', /use_rslora is 1, true or false/],
    ['{"peft_type":"LORA","target_modules":[1]}', /target_modules is \[1\], a string, a list/],
    ['{"peft_type":"LORA","layers_to_transform":["1"]}', /layers_to_transform is \["1"\], a whole number/],
    ['{"peft_type":"LORA","rank_pattern":{"q_proj":0}}', /rank_pattern is {"q_proj":0}, whole numbers/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseAdapterConfig(text, "c"), { name: "ModelFormatError", message });
  }
});

Deno.test("formatAdapterConfig() writes PEFT's 41 keys, sorted, in Python's spelling, without a last newline", () => {
  const text = formatAdapterConfig({
    ...adapter().config,
    baseModel: "caf\u00e9",
    dropout: 0,
    targetModules: "all-linear",
  });
  assert.equal(Object.keys(JSON.parse(text)).length, 41);
  assert.deepEqual(Object.keys(JSON.parse(text)), Object.keys(JSON.parse(text)).sort());
  assert.ok(text.startsWith('{\n  "alora_invocation_tokens": null,\n  "alpha_pattern": {},\n'));
  assert.ok(text.endsWith('  "use_rslora": false,\n  "velora_config": null\n}'));
  assert.ok(text.includes('"base_model_name_or_path": "caf\\u00e9"'));
  assert.ok(text.includes('"lora_alpha": 4,\n  "lora_bias": false,\n  "lora_dropout": 0.0,'));
  assert.ok(text.includes('"target_modules": "all-linear"'));
});

Deno.test("formatAdapterConfig() sorts the target modules", () => {
  const text = formatAdapterConfig({ ...adapter().config, targetModules: ["v_proj", "k_proj"] });
  assert.ok(text.includes('"target_modules": [\n    "k_proj",\n    "v_proj"\n  ],'));
});

Deno.test("an adapter of several ranks and alphas is written and read, each map with its own", async () => {
  const folder = new MemoryFolder("out"), up = "model.layers.0.mlp.up_proj";
  const config = {
    ...adapter().config,
    targetModules: ["q_proj", "up_proj"],
    excludeModules: ["model.layers.1.mlp.up_proj"],
    layersToTransform: [0, 1],
    layersPattern: ["layers"],
    rankPattern: { "mlp\\..*": 3 },
    alphaPattern: { q_proj: 1 },
  };
  const tensors = new Map([
    ...adapter().tensors,
    [loraKey(up, "A"), { shape: [3, 4], data: ramp(12) }],
    [loraKey(up, "B"), { shape: [2, 3], data: ramp(6) }],
  ]);
  await writeAdapter(folder, { config, tensors });
  const got = await readAdapter(folder);
  assert.deepEqual(got, { config, tensors });
  const updates = loraUpdates(got);
  const strengths = [Q, up].map((path) => updates.get(`${path}.weight`)!).map((
    { rank, scaling },
  ) => [rank, scaling]);
  assert.deepEqual(strengths, [[2, 0.5], [3, 4 / 3]]);
  const wrong = { ...config, rankPattern: { up_proj: 2 } };
  await assert.rejects(writeAdapter(folder, { config: wrong, tensors }), /is \[3, 4\], \[2, in\] is wanted/);
});

const shared = new URL("../../../shared/golden/llama/", import.meta.url);
const present = exists(shared);

/** A folder of a golden case, held in memory. */
function goldenFolder(name: string): MemoryFolder {
  const read = (file: string) => [file, Deno.readFileSync(new URL(`${name}/${file}`, shared))] as const;
  return new MemoryFolder(name, Object.fromEntries([ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE].map(read)));
}

for (const name of ["adapter", "adapter-rslora", "adapter-dora"]) {
  Deno.test({
    name:
      `writeAdapter() rewrites PEFT's own ${name}: equal weights by byte, equal config but for the order of targets (needs shared data)`,
    ignore: !present,
    fn: async () => {
      const python = goldenFolder(name), ours = new MemoryFolder("ours");
      await writeAdapter(ours, await readAdapter(python));
      const [want, got] = await Promise.all(
        [python, ours].map((folder) => readText(folder, ADAPTER_CONFIG_FILE)),
      );
      const targets = /"target_modules": \[[^\]]*\]/;
      assert.equal(got!.replace(targets, ""), want!.replace(targets, ""));
      assert.deepEqual(JSON.parse(got!).target_modules, JSON.parse(want!).target_modules.toSorted());
      const [wantFile, gotFile] = await Promise.all(
        [python, ours].map((folder) => folder.open(ADAPTER_WEIGHTS_FILE)),
      );
      assert.deepEqual(await gotFile!.read(0, gotFile!.size), await wantFile!.read(0, wantFile!.size));
    },
  });
}

function exists(url: URL): boolean {
  try {
    return Deno.statSync(url).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
