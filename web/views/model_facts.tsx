/**
 * What a base model is, as figures.
 *
 * @module
 */
import { byteSize, count } from "../figures.ts";
import type { ModelFacts } from "../protocol/models.ts";

export function ModelFactsList({ id, facts }: { id: string; facts: ModelFacts }) {
  const { modelType, parameters, bytes, packing, license, layers, hiddenSize, contextLength } = facts;
  return (
    <dl id={id} class="figures">
      {[
        ["Type", modelType],
        ["Parameters", count(parameters)],
        ["Size", byteSize(bytes)],
        ["Weights", packing ?? "floats"],
        ["Shape", `${layers} layers of ${hiddenSize}`],
        ["Context", `${count(contextLength)} tokens`],
        ["Licence", license ?? "not stated"],
      ].map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
