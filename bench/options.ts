/**
 * Which parts are asked for.
 *
 * @module
 */
import { QUANTIZATION_WORDS, type QuantizationWord } from "../src/config.ts";
import type { Part } from "./part.ts";

/** What `--quantization` asks to compare; null for a word that it does not know. */
export function chosenQuantizations(word: string): readonly QuantizationWord[] | null {
  if (word === "all") return ["none", "8bit", "4bit"];
  const known = QUANTIZATION_WORDS.find((one) => one === word);
  return known ? [known] : null;
}

/** The parts that `--only a,b` names, in the order of `known`; all of them for null. A name that is not known is a problem. */
export function chosenParts<P extends Pick<Part, "name">>(
  known: readonly P[],
  only: string | null,
): { readonly chosen: readonly P[] } | { readonly problem: string } {
  if (only === null) return { chosen: known };
  const wanted = only.split(",").map((name) => name.trim()).filter(Boolean);
  const names = known.map(({ name }) => name);
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0 || wanted.length === 0) {
    return { problem: `--only takes ${names.join(", ")}, with commas between: current value is "${only}"` };
  }
  return { chosen: known.filter(({ name }) => wanted.includes(name)) };
}
