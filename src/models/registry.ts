/**
 * The model families that can be fine-tuned, and the tensors that a checkpoint of one holds. Adding a family is a file
 * under `families/` and an entry here.
 *
 * @module
 */

import { ModelFormatError } from "../errors.ts";
import type { ModelConfig } from "./config.ts";
import { gemma2 } from "./families/gemma2.ts";
import { gemma3, gemma3Text } from "./families/gemma3.ts";
import { llama } from "./families/llama.ts";
import { mistral } from "./families/mistral.ts";
import { phi3 } from "./families/phi3.ts";
import { qwen2 } from "./families/qwen2.ts";
import { qwen3 } from "./families/qwen3.ts";
import { type FamilyNames, hasBias, linearShape, type ModelFamily, normPaths } from "./family.ts";

export type { ModelFamily } from "./family.ts";

/** Families by `model_type`. */
export type ModelFamilies = ReadonlyMap<string, ModelFamily>;

/** The families that there are without plugins. */
export const MODEL_FAMILIES: ModelFamilies = new Map(
  [llama, mistral, qwen2, qwen3, gemma2, gemma3Text, gemma3, phi3].map((
    family,
  ) => [family.modelType, family]),
);

/** The family with the names that the tensors of a checkpoint have: its own, unless they are its other ones. */
export function namedAs(family: ModelFamily, infos: ReadonlyMap<string, unknown>): ModelFamily {
  const { otherNames, embedding, layer, finalNorm, head } = family;
  if (!otherNames || !infos.has(`${otherNames.embedding}.weight`)) return family;
  return { ...family, ...otherNames, otherNames: { embedding, layer, finalNorm, head } };
}

/** A path that may begin with the other name of a layer or module, with the name that the family has for it. */
export function ownPath({ otherNames, ...family }: ModelFamily, path: string): string {
  if (!otherNames) return path;
  const begin = ({ layer, embedding, finalNorm, head }: FamilyNames) => {
    return [layer(0).slice(0, -1), ...[embedding, finalNorm, head].map((name) => `${name}.`)];
  };
  const own = begin(family), at = begin(otherNames).findIndex((other) => path.startsWith(other));
  return at < 0 ? path : own[at]! + path.slice(begin(otherNames)[at]!.length);
}

/** Module paths of every linear map of every layer, in layer order: what PEFT's `all-linear` means. */
export function linearPaths(family: ModelFamily, numHiddenLayers: number): string[] {
  return Array.from({ length: numHiddenLayers }, (_, i) => i)
    .flatMap((i) => family.linears.map(({ path }) => `${family.layer(i)}.${path}`));
}

/** Module paths of everything that holds weights, the head even where it is the embedding. */
export function modulePaths(family: ModelFamily, config: ModelConfig): string[] {
  const paths = [...weightShapes(family, config).keys()].map((name) => name.replace(/\.(weight|bias)$/, ""));
  return [...new Set([...paths, family.head])];
}

/** Shape of every tensor that a checkpoint of the family must hold, by name. Linear maps are [out, in]. */
export function weightShapes(family: ModelFamily, config: ModelConfig): Map<string, readonly number[]> {
  const { hiddenSize: C, vocabSize: V, headDim: D } = config;
  const { query, key } = family.norms;
  const shapes = new Map<string, readonly number[]>([[`${family.embedding}.weight`, [V, C]]]);
  for (let i = 0; i < config.numHiddenLayers; i++) {
    const layer = family.layer(i);
    for (const norm of normPaths(family)) {
      shapes.set(`${layer}.${norm}.weight`, [norm === query || norm === key ? D : C]);
    }
    for (const map of family.linears) {
      const shape = linearShape(map, config);
      shapes.set(`${layer}.${map.path}.weight`, shape);
      if (hasBias(map, config)) shapes.set(`${layer}.${map.path}.bias`, [shape[0]]);
    }
  }
  shapes.set(`${family.finalNorm}.weight`, [C]);
  if (!config.tieWordEmbeddings) shapes.set(`${family.head}.weight`, [V, C]);
  return shapes;
}

/**
 * Checks, before any weight is read, that a checkpoint holds what its config promises. Further tensors are
 * allowed: old files carry rotary tables, and some tied models a copy of the head.
 *
 * @param infos Tensors of the checkpoint.
 * @param uri Name of the model folder for messages.
 * @throws {ModelFormatError} If a tensor is missing or of another shape.
 */
export function checkWeights(
  family: ModelFamily,
  config: ModelConfig,
  infos: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  uri: string,
): void {
  for (const [name, wanted] of weightShapes(family, config)) {
    const found = infos.get(name)?.shape;
    if (found && found.join() === wanted.join()) continue;
    throw new ModelFormatError(
      `Cannot use the model in "${uri}": tensor "${name}" is ${
        found ? `[${found.join(", ")}]` : "missing"
      }, ` +
        `config.json asks for [${wanted.join(", ")}]`,
    );
  }
}
