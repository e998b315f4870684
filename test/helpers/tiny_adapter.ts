/**
 * Adapters for any tiny model, with values that no formula could take for another's.
 *
 * @module
 */
import { type Adapter, loraKey } from "../../src/checkpoint/adapter.ts";
import type { BaseModel } from "../../src/model_manager.ts";
import { linearPaths, weightShapes } from "../../src/models/registry.ts";
import { ramp } from "./fill.ts";

/** An adapter of rank 3, scaled by 2, on every linear map of a model. */
export function tinyAdapter({ family, config, uri }: BaseModel): Adapter {
  const shapes = weightShapes(family, config);
  const tensors = linearPaths(family, config.numHiddenLayers).flatMap((path, i) => {
    const [out, inner] = shapes.get(`${path}.weight`)! as [number, number];
    const values = (shape: [number, number], phase: number) => ({
      shape,
      data: ramp(shape[0] * shape[1], { scale: 0.3, phase }),
    });
    return [
      [loraKey(path, "A"), values([3, inner], i)],
      [loraKey(path, "B"), values([out, 3], i + 0.5)],
    ] as const;
  });
  const settings = { baseModel: uri, rank: 3, alpha: 6, dropout: 0, targetModules: "all-linear" };
  return { config: settings, tensors: new Map(tensors) };
}
