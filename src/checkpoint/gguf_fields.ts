/**
 * Checked access to the metadata of a GGUF model. Keys below the architecture's are named without it.
 *
 * @module
 */
import { ModelFormatError, UnsupportedModelError } from "../errors.ts";
import type { GgufFile, GgufValue } from "./gguf.ts";

/** The part of a file that is read here. */
export type GgufDescription = Pick<GgufFile, "uri" | "metadata" | "infos">;

/** How some writers say that there is no such token; others leave it out. */
const NO_TOKEN = 2 ** 32 - 1;

export class GgufFields {
  readonly architecture: string;
  readonly #file: GgufDescription;

  /** @throws {ModelFormatError} If the file names no architecture. */
  constructor(file: GgufDescription) {
    this.#file = file;
    this.architecture = this.#checked("general.architecture", undefined, isString, "a string");
  }

  /** A whole number of the architecture, 0 or more. */
  count(name: string, absent?: number): number {
    return this.#checked(this.#key(name), absent, isCount, "a whole number of 0 or more");
  }

  /** A finite number of the architecture; of an f32, the shortest decimal that is rounded to it. */
  number(name: string, absent?: number): number {
    return shortest(this.#checked(this.#key(name), absent, isFinite, "a number"));
  }

  string(name: string, absent?: string): string {
    return this.#checked(this.#key(name), absent, isString, "a string");
  }

  /** Id of a special token of the tokenizer, such as `eos`; null where there is none. */
  token(name: string): number | null {
    const id = this.#checked(`tokenizer.ggml.${name}_token_id`, NO_TOKEN, isId, "a token id");
    return id < 0 || id === NO_TOKEN ? null : id;
  }

  hasTensor(name: string): boolean {
    return this.#file.infos.has(name);
  }

  unsupported(found: string, supported: string): UnsupportedModelError {
    return new UnsupportedModelError(
      `Cannot use the model of "${this.#file.uri}": ${found} is not supported (supported: ${supported})`,
    );
  }

  #key(name: string): string {
    return `${this.architecture}.${name}`;
  }

  #checked<T extends GgufValue>(
    key: string,
    absent: T | undefined,
    isWanted: (value: GgufValue) => value is T,
    wanted: string,
  ): T {
    const value = this.#file.metadata.get(key) ?? absent;
    if (value !== undefined && isWanted(value)) return value;
    const found = value === undefined ? "is missing" : `is ${describe(value)}`;
    throw new ModelFormatError(`Cannot read "${this.#file.uri}": "${key}" ${found}, ${wanted} is wanted`);
  }
}

/** The shortest decimal that is rounded to an f32; other numbers as they are. */
export function shortest(value: number): number {
  if (Math.fround(value) !== value) return value;
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}

/** A value in a message. */
export function describe(value: GgufValue): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  return typeof value === "object" ? `a list of ${value.length}` : String(value);
}

const isString = (value: GgufValue): value is string => typeof value === "string";
const isFinite = (value: GgufValue): value is number => Number.isFinite(value);
const isCount = (value: GgufValue): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isId = (value: GgufValue): value is number => Number.isSafeInteger(value);
