/**
 * The element types of GGUF files. A type packs a fixed number of neighbouring values of a row into a block of bytes.
 *
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @module
 */

/** How values of a type lie in a file. */
export interface GgufType {
  /** As the file spells it. */
  readonly id: number;
  /** As ggml spells it, such as `Q4_K`. */
  readonly name: string;
  /** Values of one block. */
  readonly blockValues: number;
  /** Bytes of one block. */
  readonly blockBytes: number;
}

/** Every type that a file may name, so that its other tensors can be read: name, id, values and bytes of a block. */
const TYPES: readonly (readonly [string, number, number, number])[] = [
  ["F32", 0, 1, 4],
  ["F16", 1, 1, 2],
  ["Q4_0", 2, 32, 18],
  ["Q4_1", 3, 32, 20],
  ["Q5_0", 6, 32, 22],
  ["Q5_1", 7, 32, 24],
  ["Q8_0", 8, 32, 34],
  ["Q2_K", 10, 256, 84],
  ["Q3_K", 11, 256, 110],
  ["Q4_K", 12, 256, 144],
  ["Q5_K", 13, 256, 176],
  ["Q6_K", 14, 256, 210],
  ["IQ2_XXS", 16, 256, 66],
  ["IQ2_XS", 17, 256, 74],
  ["IQ3_XXS", 18, 256, 98],
  ["IQ1_S", 19, 256, 50],
  ["IQ4_NL", 20, 32, 18],
  ["IQ3_S", 21, 256, 110],
  ["IQ2_S", 22, 256, 82],
  ["IQ4_XS", 23, 256, 136],
  ["I8", 24, 1, 1],
  ["I16", 25, 1, 2],
  ["I32", 26, 1, 4],
  ["I64", 27, 1, 8],
  ["F64", 28, 1, 8],
  ["IQ1_M", 29, 256, 56],
  ["BF16", 30, 1, 2],
  ["TQ1_0", 34, 256, 54],
  ["TQ2_0", 35, 256, 66],
  ["MXFP4", 39, 32, 17],
  ["NVFP4", 40, 64, 36],
];

/** Types by id. */
export const GGUF_TYPES: ReadonlyMap<number, GgufType> = new Map(
  TYPES.map(([name, id, blockValues, blockBytes]) => [id, { id, name, blockValues, blockBytes }]),
);

/** The type of a name. @throws {RangeError} If there is none. */
export function ggufType(name: string): GgufType {
  const found = [...GGUF_TYPES.values()].find((type) => type.name === name);
  if (found) return found;
  throw new RangeError(
    `Cannot find the GGUF type "${name}": ${TYPES.map(([known]) => known).join(", ")} are known`,
  );
}
