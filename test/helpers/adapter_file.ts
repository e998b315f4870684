/**
 * An adapter for the tiny model, whose updates are no zeros.
 *
 * @module
 */
import { writeAdapter } from "../../src/checkpoint/adapter.ts";
import type { OpenDevice } from "../../src/fine_tune_job.ts";
import { linearPaths, MODEL_FAMILIES } from "../../src/models/registry.ts";
import type { Folder } from "../../src/storage.ts";
import { openTinyModel } from "../generate/open_model.ts";

/** Writes what `openTinyModel()` puts on the model with `adapted`. */
export async function writeTinyAdapter(
  folder: Folder,
  device: OpenDevice,
  { useDora = false }: { readonly useDora?: boolean } = {},
): Promise<void> {
  const model = await openTinyModel(device, { adapted: true, useDora });
  const values = await model.pool.read();
  const tensors = new Map(model.pool.parameters.map(({ name, value: { shape } }) => {
    return [name, { shape, data: values.get(name)! }];
  }));
  model.destroy();
  const targetModules = linearPaths(MODEL_FAMILIES.get("llama")!, 2);
  await writeAdapter(folder, {
    config: {
      baseModel: null,
      rank: 3,
      alpha: 6,
      dropout: 0,
      targetModules,
      ...(useDora ? { useDora } : {}),
    },
    tensors,
  });
}
