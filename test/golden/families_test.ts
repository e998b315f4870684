import assert from "node:assert/strict";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { parseModelConfig } from "../../src/models/config.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import type { Folder } from "../../src/storage.ts";
import { onEachCompiler } from "../helpers/gpu.ts";
import { compareNumber, compareTensor } from "./compare.ts";
import goldens from "./families.json" with { type: "json" };
import { assertOk, formulaBatch, openFormulaModel, partsOf, writeFormulaModel } from "./families_fixture.ts";

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

async function baseOf({ config, folder }: Case): Promise<Folder> {
  if (folder) return HERE.folder(folder);
  const made = new MemoryFolder("formula");
  await writeFormulaModel(made, config!);
  return made;
}

for (const [name, one] of Object.entries(CASES)) {
  onEachCompiler(`${name}: logits, losses and every LoRA gradient are PEFT's`, async (adapter) => {
    const file = await SafetensorsFile.open(HERE, "families.safetensors");
    const { model, close } = await openFormulaModel(
      adapter,
      await baseOf(one),
      Math.max(...one.batches.flat()),
    );
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
