import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { IGNORE_INDEX } from "../../src/data/mask.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { onEachCompiler } from "../helpers/gpu.ts";
import { compareNumber, compareTensor } from "./compare.ts";
import { assertOk, formulaBatch, openFormulaModel, partsOf, writeFormulaModel } from "./families_fixture.ts";
import goldens from "./packing.json" with { type: "json" };

const HERE = new LocalFolder(new URL(".", import.meta.url).pathname);
const DOCUMENTS: readonly (readonly number[])[] = goldens.documents;
const CASES: Readonly<Record<string, { config: Record<string, unknown>; loss: number }>> = goldens.cases;

/** Rows of documents; no document's last token has a target. */
function packedBatch(vocabSize: number) {
  const batch = formulaBatch(DOCUMENTS.map((row) => row.reduce((sum, n) => sum + n, 0)), vocabSize);
  const ends = DOCUMENTS.flatMap((row, i) => {
    let at = i * batch.length - 1;
    return row.map((tokens) => at += tokens);
  });
  for (const end of ends) batch.targets[end] = IGNORE_INDEX;
  return { batch: { ...batch, documents: DOCUMENTS }, ends };
}

for (const [name, { config, loss }] of Object.entries(CASES)) {
  onEachCompiler(
    `packed rows of ${name}: logits, loss and every LoRA gradient are PyTorch's`,
    async (adapter) => {
      const files = new MemoryFolder("formula"),
        file = await SafetensorsFile.open(HERE, "packing.safetensors");
      await writeFormulaModel(files, config);
      const length = Math.max(...DOCUMENTS.map((row) => row.reduce((sum, n) => sum + n, 0)));
      const { model, close } = await openFormulaModel(adapter, files, length);
      try {
        const vocab = model.decoder.config.vocabSize, { batch, ends } = packedBatch(vocab);
        const logits = await model.logits(batch);
        const last = ends.flatMap((at) => [...logits.subarray(at * vocab, (at + 1) * vocab)]);
        assertOk("logits", compareTensor("logits", last, await file.readF32(`${name}.logits`)));
        const trained = batch.targets.filter((target) => target >= 0).length;
        model.clearGradients();
        model.clearTotals();
        await model.accumulate(batch, 1 / trained);
        const { summedLoss } = await model.totals();
        assertOk("loss", compareNumber("loss", summedLoss / trained, loss));
        const grads = [...await model.pool.read("grads")].sort(([a], [b]) => a < b ? -1 : 1);
        const wanted = partsOf(await file.readF32(`${name}.grads`), grads.map(([, values]) => values.length));
        grads.forEach(([key, got], i) => assertOk(key, compareTensor("gradient", got, wanted[i]!)));
      } finally {
        await close();
        await file.close();
      }
    },
  );
}
