/**
 * Hashes that tell one base model, and one set of tokenised rows, from another.
 *
 * @module
 */
import { sha256 } from "./resume_record.ts";
import type { TensorSource } from "./safetensors.ts";

/** Bytes of each tensor that are looked at: no two trained models share them in every tensor, and reading all is slow. */
const SAMPLE_BYTES = 1024;

/** Rows that are hashed together. */
const ROWS_PER_PART = 4096;

/** SHA-256 over the text of config.json and the name, type, shape and first bytes of every tensor. */
export async function modelFingerprint(config: string, weights: TensorSource): Promise<string> {
  const lines = [await sha256(config)];
  for (const { name, dtype, shape, byteLength } of weights.infos.values()) {
    const sample = await weights.readRaw(name, 0, Math.min(SAMPLE_BYTES, byteLength));
    lines.push(`${name} ${dtype} ${shape} ${await sha256(sample)}`);
  }
  return await sha256(lines.join("\n"));
}

/** SHA-256 over the tokens and labels of every row, in order. */
export async function rowsFingerprint(
  rows: readonly { readonly inputIds: Int32Array; readonly labels: Int32Array }[],
): Promise<string> {
  const parts: string[] = [];
  for (let first = 0; first < rows.length; first += ROWS_PER_PART) {
    const part = rows.slice(first, first + ROWS_PER_PART).flatMap((
      { inputIds, labels },
    ) => [inputIds, labels]);
    const numbers = new Int32Array(part.reduce((count, { length }) => count + 1 + length, 0));
    let at = 0;
    for (const values of part) {
      numbers[at++] = values.length;
      numbers.set(values, at);
      at += values.length;
    }
    parts.push(await sha256(new Uint8Array(numbers.buffer)));
  }
  return await sha256(parts.join("\n"));
}
