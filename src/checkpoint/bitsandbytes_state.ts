/**
 * The JSON that bitsandbytes keeps beside a 4-bit weight:
 *
 *     {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [out, in],
 *      "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.04}
 *
 * @module
 */

/** What the JSON says. */
export interface Nf4State {
  /** [out, in] */
  readonly shape: readonly [number, number];
  /** Values that share a scale; a power of two of 32 or more. */
  readonly blockValues: number;
  /** Of scales in 8 bits; null where they are f32. */
  readonly nested: { readonly blockValues: number; readonly offset: number } | null;
}

/** Reads and checks the JSON. `fail` makes the error of a problem. */
export function parseNf4State(bytes: Uint8Array, fail: (problem: string) => Error): Nf4State {
  const fields = parseObject(bytes, fail);
  const field = <T>(name: string, isWanted: (value: unknown) => value is T, wanted: string): T => {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (isWanted(value)) return value;
    throw fail(`${name} of its quant_state is ${JSON.stringify(value) ?? "missing"}, ${wanted} is wanted`);
  };
  field("quant_type", (value): value is "nf4" => value === "nf4", '"nf4"');
  const shape = field("shape", isShape, "[out, in]");
  const blockValues = field("blocksize", isBlock, "a power of two of 32 to 4096");
  if (!Object.hasOwn(fields, "nested_blocksize")) return { shape, blockValues, nested: null };
  return {
    shape,
    blockValues,
    nested: {
      blockValues: field("nested_blocksize", isBlock, "a power of two of 32 to 4096"),
      offset: field("nested_offset", (value): value is number => Number.isFinite(value), "a number"),
    },
  };
}

function parseObject(bytes: Uint8Array, fail: (problem: string) => Error): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw fail(`its quant_state is not JSON: ${(error as Error).message}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw fail("its quant_state is not a JSON object");
}

function isShape(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 &&
    value.every((size) => Number.isSafeInteger(size) && size > 0) &&
    Number.isSafeInteger(value[0] * value[1]);
}

function isBlock(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 32 && (value as number) <= 4096 &&
    Number.isInteger(Math.log2(value as number));
}
