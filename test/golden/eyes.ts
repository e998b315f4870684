/**
 * The tiny Gemma 3 with eyes of `make_families.py`, with an adapter and merged.
 *
 *     deno run -A test/golden/eyes.ts OUT
 *     python test/golden/check_eyes.py OUT
 *
 * writes OUT/adapter and OUT/merged, and shows that PEFT and transformers take them.
 *
 * @module
 */
import { adapterTargets } from "../../src/checkpoint/adapter_targets.ts";
import { type Adapter, loraKey, loraUpdates, writeAdapter } from "../../src/checkpoint/adapter.ts";
import { mergeModel } from "../../src/checkpoint/merge.ts";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { linearPaths, weightShapes } from "../../src/models/registry.ts";
import type { Folder } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { factorValues } from "./families_fixture.ts";

/** A whole model folder as transformers saved it. */
export const EYES: Folder = new LocalFolder(new URL("gemma3", import.meta.url).pathname);

const RANK = 2, ALPHA = 4;

/** An adapter on every linear map of the text model, both factors filled by the goldens' formula. */
export async function eyesAdapter(folder: Folder): Promise<Adapter> {
  const { family, config, weights } = await new ModelManager(() => folder).open(folder.uri);
  await weights.close();
  const shapes = weightShapes(family, config), paths = linearPaths(family, config.numHiddenLayers);
  const tensors = paths.flatMap((path) => {
    const [rows, cols] = shapes.get(`${path}.weight`) as [number, number];
    const factor = (which: "A" | "B", shape: [number, number]) => {
      const key = loraKey(path, which);
      return [key, { shape, data: factorValues(key, shape[0] * shape[1]) }] as const;
    };
    return [factor("A", [RANK, cols]), factor("B", [rows, RANK])];
  });
  const { targetModules } = adapterTargets({ targetModules: paths }, paths, family.within!);
  return {
    config: { baseModel: folder.uri, rank: RANK, alpha: ALPHA, dropout: 0, targetModules },
    tensors: new Map(tensors),
  };
}

/** Writes the model merged with the adapter. */
export async function mergeEyes(folder: Folder, adapter: Adapter, out: Folder): Promise<void> {
  const base = await WeightFiles.open(folder);
  await mergeModel({ base, baseFolder: folder, out, updates: loraUpdates(adapter) });
  await base.close();
}

if (import.meta.main) {
  const [out] = Deno.args;
  if (!out) throw new RangeError("name the folder to write to");
  const adapter = await eyesAdapter(EYES);
  await Deno.mkdir(`${out}/adapter`, { recursive: true });
  await Deno.mkdir(`${out}/merged`, { recursive: true });
  await writeAdapter(new LocalFolder(`${out}/adapter`), adapter);
  await mergeEyes(EYES, adapter, new LocalFolder(`${out}/merged`));
}
