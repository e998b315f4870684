/**
 * Exported models in onnxruntime-web: their logits are ours, and PyTorch's.
 */
import assert from "node:assert/strict";
import { loraUpdates, readAdapter } from "../../src/checkpoint/adapter.ts";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { exportOnnx, type OnnxModelOptions, type OnnxModelType } from "../../src/export/onnx_model.ts";
import { type BaseModel, ModelManager } from "../../src/model_manager.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { readInts } from "../golden/model_fixture.ts";
import { assertClose, tensor } from "../helpers/close.ts";
import { device } from "../helpers/device.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { chatFiles } from "../helpers/tiny_tokenizer.ts";
import { FAMILIES, familyModel } from "./families.ts";
import { onOnnxRuntime, runLogits } from "./onnx_child.ts";
import type { LogitsRequest } from "./onnx_runtime.ts";

const GOLDEN = new URL("../../../shared/golden", import.meta.url).pathname;
const goldenPresent = await Deno.stat(GOLDEN).then(() => true, () => false);

/** What one model is asked, and what the answers must be. */
interface Case {
  readonly name: string;
  readonly requests: readonly Omit<LogitsRequest, "kind">[];
  readonly check: (answers: readonly { logits: number[]; cache: string }[]) => void;
}

/** Where a model lies, as a request names it. */
type Place = Pick<LogitsRequest, "model" | "dataFiles">;

/** Exports into a folder of the disk. */
async function exported(
  folder: string,
  source: OnnxModelOptions["source"],
  type: OnnxModelType = "F32",
  more: Pick<OnnxModelOptions, "limits" | "logits"> = {},
): Promise<Place> {
  const out = new LocalFolder(folder), options = { source, type, ...more };
  const { files: [file, ...dataFiles] } = await exportOnnx(out, options);
  return { model: `${folder}/onnx/${file}`, dataFiles };
}

/** A test of many models, which are run in one process: its start takes longer than they do. */
function onModels(
  name: string,
  cases: (folder: string) => AsyncIterable<Case>,
  missing: string | null,
): void {
  onOnnxRuntime(name, async (t) => {
    const folder = await Deno.makeTempDir({ prefix: "lowrank-onnx-" });
    try {
      const all = await Array.fromAsync(cases(folder));
      const answers = await runLogits(all.flatMap(({ requests }) => requests));
      for (const { name, requests, check } of all) {
        const own = answers.splice(0, requests.length);
        await t.step(name, () => check(own));
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }, missing);
}

const merged = (base: BaseModel) => {
  return { base, updates: loraUpdates(tinyAdapter(base)), chatTemplate: null };
};

/** Logits [tokens · V] of a row, as training computes them with the adapter beside the base. */
async function ourLogits(base: BaseModel, ids: readonly number[]): Promise<Float32Array> {
  const { gpu, pipelines } = device!, adapter = tinyAdapter(base);
  const limits = { rows: 1, length: ids.length };
  const lora = { rank: 3, alpha: 6, targetModules: "all-linear" };
  const manager = new ModelManager(() => {
    throw new Error("nothing is opened");
  });
  const model = manager.plan(base, lora, { gpu, pipelines, variants: chooseVariants(gpu), limits });
  model.allocate();
  await model.decoder.load(base.weights);
  await manager.initialise(model, { kind: "adapter", adapter });
  try {
    return await model.logits({
      rows: 1,
      length: ids.length,
      inputIds: Uint32Array.from(ids),
      targets: new Int32Array(ids.length),
      lengths: Uint32Array.of(ids.length),
    });
  } finally {
    model.destroy();
  }
}

const LONG = 23, SHORT = 11;
const tokens = (count: number) => Array.from({ length: count }, (_, i) => (i * i * 7 + i + 3) % 256);
const ones = (count: number) => Array(count).fill(1) as number[];
const zeros = (count: number) => Array(count).fill(0) as number[];

onModels("exportOnnx() gives our logits, with cache and without", async function* (folder) {
  for (const family of Object.keys(FAMILIES)) {
    const { base } = await familyModel(family, { tied: family !== "llama" });
    const { vocabSize: V, numKeyValueHeads, headDim } = base.config;
    const long = tokens(LONG), short = long.slice(0, SHORT), padding = LONG - SHORT;
    const wanted = await ourLogits(base, long), wantedShort = await ourLogits(base, short);
    const f32 = await exported(`${folder}/${family}`, merged(base));
    const f16 = await exported(`${folder}/${family}`, merged(base), "F16");
    const whole = { ids: [long], mask: [ones(LONG)], calls: [LONG] };
    const ids = [[...zeros(padding), ...short], long],
      mask = [[...zeros(padding), ...ones(SHORT)], ones(LONG)];
    // a row of more tokens than longrope's first training turns otherwise from its first token on
    const { scaling } = base.config.layers[0]!.rope, isOneRope = scaling.type !== "longrope";
    yield {
      name: family,
      requests: [
        { ...f32, ...whole },
        { ...f32, ids: [short], mask: [ones(SHORT)], calls: [SHORT] },
        { ...f32, ...whole, firstPosition: 1 }, // as transformers.js counts those of Gemma 3
        { ...f32, ...whole, calls: [7, 1, 1, 13, 1] },
        { ...f32, ids, mask, calls: [LONG - 2, 1, 1] },
        { ...f16, ...whole, calls: [LONG - 1, 1] },
      ],
      check: ([plain, alone, fromOne, cached, batch, halves]) => {
        assertClose(plain!.logits, wanted, tensor("f32"));
        assertClose(alone!.logits, wantedShort, tensor("f32"));
        assertClose(fromOne!.logits, wanted, tensor("f32"));
        if (isOneRope) {
          assertClose(cached!.logits, wanted, tensor("f32"));
          assertClose(batch!.logits.slice(padding * V, LONG * V), wantedShort, tensor("f32"));
        } else assertClose(cached!.logits.slice(0, 7 * V), wantedShort.subarray(0, 7 * V), tensor("f32"));
        assertClose(batch!.logits.slice(LONG * V), wanted, tensor("f32"));
        assertClose(halves!.logits, wanted, tensor("f16"));
        const cache = `[1,${numKeyValueHeads},${LONG},${headDim}]`;
        assert.deepEqual([cached!.cache, halves!.cache], [`float32 ${cache}`, `float16 ${cache}`]);
      },
    };
  }
}, device ? null : "no adapter");

onModels(
  "exportOnnx() gives the same logits from weights in files of their own, and of last tokens alone",
  async function* (folder) {
    const { base } = await familyModel("gemma3_text");
    const one = await exported(`${folder}/one`, merged(base));
    const limits = { inlineBytes: 0, dataFileBytes: 40_000 };
    const many = await exported(`${folder}/many`, merged(base), "F32", { limits });
    const last = await exported(`${folder}/last`, merged(base), "F32", { logits: "last" });
    assert.deepEqual(one.dataFiles, []);
    assert.deepEqual(many.dataFiles.slice(0, 3), [
      "model.onnx_data",
      "model.onnx_data_1",
      "model.onnx_data_2",
    ]);
    yield {
      name: "gemma3_text",
      requests: [one, many, last].map((place) => ({
        ...place,
        ids: [tokens(LONG), tokens(LONG + 5).slice(5)],
        mask: [ones(LONG), ones(LONG)],
        calls: [LONG - 3, 2, 1],
      })),
      check: ([inline, apart, lasts]) => {
        assert.deepEqual(apart!.logits, inline!.logits);
        const V = base.config.vocabSize, ends = [LONG - 4, LONG - 2, LONG - 1]; // where calls end
        const wanted = [0, LONG].flatMap((row) =>
          ends.flatMap((end) => inline!.logits.slice((row + end) * V, (row + end + 1) * V))
        );
        assertClose(lasts!.logits, wanted, tensor("f32"));
      },
    };
  },
  null,
);

onModels("exportOnnx() gives PyTorch's logits, base and merged", async function* (folder) {
  for (const family of await goldenFamilies()) {
    const root = new LocalFolder(`${GOLDEN}/${family}`);
    const golden = await SafetensorsFile.open(root, "golden.safetensors");
    const base = await new ModelManager(() => root.folder("base")).open("base");
    // the goldens have no tokenizer, and an export has
    const described = new LocalFolder(`${folder}/tokenizer`);
    for (const [name, content] of Object.entries(chatFiles())) await writeFile(described, name, content);
    const [, rows, length] = golden.infos.get("input_ids")!.shape as [number, number, number];
    const firstBatch = async (name: string) => {
      const values = await readInts(golden, name);
      return Array.from({ length: rows }, (_, row) => [...values.subarray(row * length, (row + 1) * length)]);
    };
    const ids = await firstBatch("input_ids"), mask = await firstBatch("attention_mask");
    const isReal = mask.flat().flatMap((one) => Array<boolean>(base.config.vocabSize).fill(one === 1));
    const real = (values: ArrayLike<number>) => Array.from(values).filter((_, i) => isReal[i]);
    const updates = loraUpdates(await readAdapter(root.folder("adapter")));
    for (const [variant, wantedUpdates] of Object.entries({ base: new Map(), "lora.merged": updates })) {
      const wanted = real(await golden.readF32(`${variant}.logits`));
      const source = { base: { ...base, folder: described }, updates: wantedUpdates, chatTemplate: null };
      const place = await exported(`${folder}/${family}-${variant}`, source);
      yield {
        name: `${family}, ${variant}`,
        requests: [[length], [11, 1, length - 12]].map((calls) => ({ ...place, ids, mask, calls })),
        check: (answers) => {
          for (const { logits } of answers) assertClose(real(logits), wanted, tensor("f32"));
        },
      };
    }
    await golden.close();
    await base.weights.close();
  }
}, goldenPresent ? null : "needs shared data");

/** Folders of models. */
async function goldenFamilies(): Promise<string[]> {
  const names = [...Deno.readDirSync(GOLDEN)].filter(({ isDirectory }) => isDirectory).map(({ name }) =>
    name
  );
  const isModel = (name: string) => Deno.stat(`${GOLDEN}/${name}/base`).then(() => true, () => false);
  const found = await Promise.all(names.map(async (name) => await isModel(name) ? [name] : []));
  return found.flat().sort();
}
