/**
 * Checked access to the fields of a JSON object, with messages that name file, field, value found and value wanted.
 *
 * @module
 */
import { ModelFormatError, UnsupportedModelError } from "../errors.ts";

/** The fields of one JSON object; an absent field and null are the same. */
export class Fields {
  /** `uri` and `path` are for messages: the file, and what stands before the names. */
  constructor(readonly values: Readonly<Record<string, unknown>>, readonly uri: string, readonly path = "") {}

  /** Undefined where the field is absent or null. */
  get(name: string): unknown {
    return Object.hasOwn(this.values, name) ? this.values[name] ?? undefined : undefined;
  }

  /** Text. @throws {ModelFormatError} If it is none. */
  string(name: string, absent?: string): string {
    const value = this.get(name) ?? absent;
    if (typeof value === "string") return value;
    throw this.wrong(name, "a string");
  }

  /** True or false. @throws {ModelFormatError} If it is neither. */
  boolean(name: string, absent: boolean): boolean {
    const value = this.get(name) ?? absent;
    if (typeof value === "boolean") return value;
    throw this.wrong(name, "true or false");
  }

  /** A whole number of 1 or more. @throws {ModelFormatError} If it is none. */
  count(name: string, absent?: number): number {
    const value = this.get(name) ?? absent;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    throw this.wrong(name, "a whole number of 1 or more");
  }

  /** A number above 0. @throws {ModelFormatError} If it is none. */
  positive(name: string, absent?: number): number {
    const value = this.get(name) ?? absent;
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    throw this.wrong(name, "a number above 0");
  }

  /** Null where the field is absent or null. */
  optionalCount(name: string): number | null {
    return this.get(name) === undefined ? null : this.count(name);
  }

  /** Null where the field is absent or null. */
  optionalPositive(name: string): number | null {
    return this.get(name) === undefined ? null : this.positive(name);
  }

  /** `length` numbers above 0. */
  positives(name: string, length: number): readonly number[] {
    const value = this.get(name);
    const valid = Array.isArray(value) && value.length === length &&
      value.every((factor) => typeof factor === "number" && Number.isFinite(factor) && factor > 0);
    if (valid) return value;
    throw this.wrong(name, `a list of ${length} numbers above 0`);
  }

  /** The fields of an object; undefined where it is absent or null. @throws {ModelFormatError} If it is none. */
  object(name: string): Fields | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (isObject(value)) return new Fields(value, this.uri, `${this.path}${name}.`);
    throw this.wrong(name, "an object");
  }

  /** The error of a field that is not as wanted. */
  wrong(name: string, wanted: string): ModelFormatError {
    const found = Object.hasOwn(this.values, name)
      ? `is ${JSON.stringify(this.values[name]).slice(0, 80)}`
      : "is missing";
    return new ModelFormatError(
      `Cannot read "${this.uri}": ${this.path}${name} ${found}, ${wanted} is wanted`,
    );
  }

  /** The error of a setting that is valid and not implemented. */
  unsupported(found: string, supported: string): UnsupportedModelError {
    const where = this.path && `${this.path.slice(0, -1)} with `;
    return new UnsupportedModelError(
      `Cannot use the model of "${this.uri}": ${where}${found} is not supported (supported: ${supported})`,
    );
  }
}

/** A JSON object from its text. @throws {ModelFormatError} If the text is not JSON, or no object. */
export function parseObject(text: string, uri: string): Record<string, unknown> {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw new ModelFormatError(`Cannot read "${uri}": it is not JSON: ${(error as Error).message}`);
  }
  if (isObject(root)) return root;
  throw new ModelFormatError(
    `Cannot read "${uri}": it is ${JSON.stringify(root)?.slice(0, 40)}, an object is wanted`,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
