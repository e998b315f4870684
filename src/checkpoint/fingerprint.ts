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

/** A tokenised row. */
interface TokenRow {
  readonly inputIds: Int32Array;
  readonly labels: Int32Array;
}

/** SHA-256 over the tokens and labels of every row of the lists, in order. */
export async function rowsFingerprint(...lists: readonly Iterable<TokenRow>[]): Promise<string> {
  const parts: string[] = [];
  let part: Int32Array[] = [];
  const close = async () => {
    parts.push(await partFingerprint(part));
    part = [];
  };
  for (const rows of lists) {
    for (const { inputIds, labels } of rows) {
      part.push(inputIds, labels);
      if (part.length === 2 * ROWS_PER_PART) await close();
    }
  }
  if (part.length > 0) await close();
  return await sha256(parts.join("\n"));
}

function partFingerprint(part: readonly Int32Array[]): Promise<string> {
  const numbers = new Int32Array(part.reduce((count, { length }) => count + 1 + length, 0));
  let at = 0;
  for (const values of part) {
    numbers[at++] = values.length;
    numbers.set(values, at);
    at += values.length;
  }
  return sha256(new Uint8Array(numbers.buffer));
}
