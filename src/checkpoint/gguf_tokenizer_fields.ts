/**
 * Checked access to the tokenizer's metadata of a GGUF file. Entries are named without `tokenizer.ggml`.
 *
 * @module
 */
import { ModelFormatError, type UnsupportedModelError } from "../errors.ts";
import type { GgufValue } from "./gguf.ts";
import { describe, type GgufDescription, GgufFields } from "./gguf_fields.ts";

export class TokenizerFields {
  readonly #fields: GgufFields;

  constructor(readonly file: GgufDescription) {
    this.#fields = new GgufFields(file);
  }

  text(name: string, absent?: string): string {
    const value = this.#get(name) ?? absent;
    if (typeof value === "string") return value;
    throw this.#missing(name, value, "a string");
  }

  flag(name: string, absent: boolean): boolean {
    const value = this.#get(name) ?? absent;
    if (typeof value === "boolean") return value;
    throw this.#missing(name, value, "true or false");
  }

  texts(name: string): readonly string[] {
    const value = this.#get(name);
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    throw this.#missing(name, value, "a list of strings");
  }

  /** A list of `length` numbers; all `absent` where the file has none. */
  numbers(name: string, length: number, absent?: number): ArrayLike<number> {
    const value = this.#get(name);
    if (value === undefined && absent !== undefined) return new Float32Array(length).fill(absent);
    const valid = value instanceof Float32Array || value instanceof Int32Array ||
      value instanceof Uint32Array;
    if (valid && value.length === length) return value;
    throw this.#missing(name, value, `a list of ${length} numbers, one for each token,`);
  }

  /** The text of a special token; null where the file names none. */
  special(name: string, tokens: readonly string[]): string | null {
    const id = this.#fields.token(name);
    if (id === null) return null;
    const token = tokens[id];
    if (token !== undefined) return token;
    throw this.wrong(`${name}_token_id`, `is ${id}, the vocabulary has ${tokens.length} tokens`);
  }

  wrong(name: string, problem: string): ModelFormatError {
    return new ModelFormatError(
      `Cannot use the tokenizer of "${this.file.uri}": "tokenizer.ggml.${name}" ${problem}`,
    );
  }

  unsupported(found: string, supported: string): UnsupportedModelError {
    return this.#fields.unsupported(found, supported);
  }

  #get(name: string): GgufValue | undefined {
    return this.file.metadata.get(`tokenizer.ggml.${name}`);
  }

  #missing(name: string, value: GgufValue | undefined, wanted: string): ModelFormatError {
    return this.wrong(
      name,
      `${value === undefined ? "is missing" : `is ${describe(value)}`}, ${wanted} is wanted`,
    );
  }
}
