/**
 * Matrices that stay packed on the GPU: how a format's words become values. A value is always
 *
 *     w_i = scale · code_i + offset        scale and offset shared by a group of neighbours
 *
 * so a format declares two functions over its words, and both the products that read packed weights themselves and the
 * kernel that unpacks a whole matrix are built of them.
 *
 * @module
 */
import type { PackedFormat } from "../../src/gpu/kernel.ts";

/**
 * A packed format and the number of neighbours that share a scale.
 *
 * @internal
 */
export interface GroupedFormat extends PackedFormat {
  /** Values from a multiple of it on share scale and offset; `row` where a whole row does. */
  readonly group: number | "row";
  /** True where rows are whole groups, so that a matrix can be cut between any 64 rows. Default false. */
  readonly cuttable?: true;
  /** True where `pair_NAME(i) -> mat2x4f` is declared too: the codes of vectors i and i + 1 of one word, i even. */
  readonly paired?: true;
  /** Words of a [rows, cols] matrix. */
  readonly wordCount: (rows: number, cols: number) => number;
  /** Declares `scale_NAME(i) -> vec2f` and `codes_NAME(i) -> vec4f`; i counts vectors of four values, row by row. */
  readonly declare: (operand: string) => string;
}

/** Completes a format from its two functions. */
export function groupedFormat(format: Omit<GroupedFormat, "unpack">): GroupedFormat {
  const { declare } = format;
  const unpack = (operand: string) =>
    `${declare(operand)}
fn unpack_${operand}(i: u32) -> vec4f {
  let scale = scale_${operand}(i);
  return scale.x * codes_${operand}(i) + scale.y;
}`;
  return { ...format, unpack };
}

/** Reads 16 and 32 bits at even byte offsets of the words of an operand, as GGUF blocks need. */
export function byteReaders(operand: string): string {
  return `fn half_${operand}(at: u32) -> u32 {
  return (${operand}[at / 4u] >> (8u * (at % 4u))) & 0xffffu;
}
fn word_${operand}(at: u32) -> u32 {
  let low = ${operand}[at / 4u];
  if (at % 4u == 0u) { return low; }
  return (low >> 16u) | (${operand}[at / 4u + 1u] << 16u);
}
fn f16_${operand}(at: u32) -> f32 { return unpack2x16float(half_${operand}(at)).x; }
fn byte_${operand}(at: u32) -> u32 { return (${operand}[at / 4u] >> (8u * (at % 4u))) & 0xffu; }
fn bytes_${operand}(word: u32) -> vec4u {
  return (vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu);
}`;
}
