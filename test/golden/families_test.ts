import assert from "node:assert/strict";
import { loraKey } from "../../src/checkpoint/adapter.ts";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { parseModelConfig } from "../../src/models/config.ts";
import { linearPaths } from "../../src/models/registry.ts";
import { TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import type { Folder } from "../../src/storage.ts";
import { onEachCompiler, type TestAdapter } from "../helpers/gpu.ts";
import { compareNumber, compareTensor } from "./compare.ts";
import goldens from "./families.json" with { type: "json" };
import { factorValues, formulaBatch, writeFormulaModel } from "./families_fixture.ts";

/** What `make_families.py` says of a case: config.json in both spellings, or a folder that holds a whole model. */
interface Case {
  readonly batches: readonly (readonly number[])[];
  readonly losses: readonly number[];
  readonly config?: Record<string, unknown>;
  readonly legacy?: Record<string, unknown>;
  readonly folder?: string;
}

const HERE = new LocalFolder(new URL(".", import.meta.url).pathname);
const CASES: Readonly<Record<string, Case>> = goldens.cases;
const RANK = 2, ALPHA = 4;

async function baseOf({ config, folder }: Case): Promise<Folder> {
  if (folder) return HERE.folder(folder);
  const made = new MemoryFolder("formula");
  await writeFormulaModel(made, config!);
  return made;
}

/** A base with LoRA on every linear map, for batches up to the longest of the case. */
async function openCase({ gpu, pipelines }: TestAdapter, one: Case) {
  const files = await baseOf(one), base = await new ModelManager(() => files).open(files.uri);
  const paths = linearPaths(base.family, base.config.numHiddenLayers);
  const lora = {
    targets: new Map(paths.map((path) => [path, { rank: RANK, scaling: ALPHA / RANK }])),
    nameOf: loraKey,
  };
  const limits = { rows: 2, length: Math.max(...one.batches.flat()) };
  const variants = chooseVariants(gpu);
  const model = new TrainableModel(base.config, base.family, lora, { gpu, pipelines, variants, limits });
  model.allocate();
  await model.decoder.load(base.weights);
  for (const parameter of model.pool.parameters) {
    model.pool.write(parameter, factorValues(parameter.name, parameter.value.bytes / 4));
  }
  return {
    model,
    close: async () => {
      model.destroy();
      await base.weights.close();
    },
  };
}

/** The parts of one array that belong to tensors of these sizes. */
function partsOf(whole: Float32Array, sizes: readonly number[]): Float32Array[] {
  let at = 0;
  const parts = sizes.map((size) => whole.subarray(at, at += size));
  assert.equal(at, whole.length, "the golden holds gradients of other tensors");
  return parts;
}

for (const [name, one] of Object.entries(CASES)) {
  onEachCompiler(`${name}: logits, losses and every LoRA gradient are PEFT's`, async (adapter) => {
    const file = await SafetensorsFile.open(HERE, "families.safetensors");
    const { model, close } = await openCase(adapter, one);
    try {
      const vocab = model.decoder.config.vocabSize;
      for (const [i, lengths] of one.batches.entries()) {
        const batch = formulaBatch(lengths, vocab), what = `batch ${i}`;
        const trained = batch.targets.filter((target) => target >= 0).length;
        const logits = await model.logits(batch);
        const lastOf = (row: number) => (row * batch.length + lengths[row]! - 1) * vocab;
        const last = lengths.flatMap((_, row) => [...logits.subarray(lastOf(row), lastOf(row) + vocab)]);
        assertOk(`${what} logits`, compareTensor("logits", last, await file.readF32(`${name}.${i}.logits`)));
        model.clearGradients();
        model.clearTotals();
        await model.accumulate(batch, 1 / trained);
        const { summedLoss } = await model.totals();
        assertOk(`${what} loss`, compareNumber("loss", summedLoss / trained, one.losses[i]!));
        const grads = [...await model.pool.read("grads")].sort(([a], [b]) => a < b ? -1 : 1);
        const wanted = partsOf(
          await file.readF32(`${name}.${i}.grads`),
          grads.map(([, { length }]) => length),
        );
        grads.forEach(([key, got], j) =>
          assertOk(`${what} ${key}`, compareTensor("gradient", got, wanted[j]!))
        );
      }
    } finally {
      await close();
      await file.close();
    }
  });
}

function assertOk(what: string, { ok, value, limit }: { ok: boolean; value: number; limit: number }): void {
  assert.ok(ok, `${what} is ${value} off, allowed are ${limit}`);
}

for (const [name, { config, legacy }] of Object.entries(CASES)) {
  if (!config || !legacy) continue;
  Deno.test(`${name}: both spellings of config.json are one model`, () => {
    const [current, old] = [config, legacy].map((raw) => {
      const { raw: _, ...parsed } = parseModelConfig(JSON.stringify(raw), "config.json");
      return parsed;
    });
    assert.deepEqual(current, old);
  });
}

Deno.test("the goldens of families hold every way of stretching, biases, windows and eyes", () => {
  const wanted = ["linear", "llama3", "yarn", "longrope", "partial", "biases", "window", "eyes"];
  const names = Object.keys(CASES).join();
  assert.deepEqual(wanted.filter((word) => !names.includes(word)), []);
});
