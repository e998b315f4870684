/**
 * Values of GGUF blocks, exactly as ggml computes them, and blocks of values for export.
 *
 * @module
 */
import { decodeFloats, encodeFloats, isFloatDtype } from "./float16.ts";
import { type GgufType, ggufType } from "./gguf_types.ts";
import { decodeQ4K, decodeQ5K, decodeQ6K } from "./k_blocks.ts";
import { decodeQ4, decodeQ5, decodeQ8, encodeQ4_0, encodeQ8_0 } from "./round_blocks.ts";

/** Writes the values of one block from `first` on; the view begins at the block. */
export type BlockDecoder = (block: DataView, values: Float32Array, first: number) => void;

/** Writes the block of the values from `first` on. */
export type BlockEncoder = (values: Float32Array, first: number, block: DataView) => void;

const DECODERS: Readonly<Record<string, BlockDecoder>> = {
  Q4_0: (block, values, first) => decodeQ4(block, values, first, false),
  Q4_1: (block, values, first) => decodeQ4(block, values, first, true),
  Q5_0: (block, values, first) => decodeQ5(block, values, first, false),
  Q5_1: (block, values, first) => decodeQ5(block, values, first, true),
  Q8_0: decodeQ8,
  Q4_K: decodeQ4K,
  Q5_K: decodeQ5K,
  Q6_K: decodeQ6K,
};

const ENCODERS: Readonly<Record<string, BlockEncoder>> = { Q4_0: encodeQ4_0, Q8_0: encodeQ8_0 };

/** Names of the types that {@link decodeBlocks} reads. */
export const DECODABLE_TYPES: readonly string[] = ["F32", "F16", "BF16", ...Object.keys(DECODERS)];

/**
 * Values of whole blocks.
 *
 * @throws {RangeError} If the type cannot be decoded, or the bytes are no whole number of blocks.
 */
export function decodeBlocks(
  { name, blockValues, blockBytes }: GgufType,
  bytes: Uint8Array,
): Float32Array<ArrayBuffer> {
  if (bytes.length % blockBytes !== 0) {
    throw new RangeError(`Cannot decode ${bytes.length} bytes as ${name}: its blocks have ${blockBytes}`);
  }
  if (isFloatDtype(name)) return decodeFloats(name, bytes);
  const decode = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined;
  if (!decode) throw new RangeError(`Cannot decode ${name}: ${DECODABLE_TYPES.join(", ")} can be`);
  const blocks = bytes.length / blockBytes;
  const values = new Float32Array(blocks * blockValues);
  for (let i = 0; i < blocks; i++) {
    const block = new DataView(bytes.buffer, bytes.byteOffset + i * blockBytes, blockBytes);
    decode(block, values, i * blockValues);
  }
  return values;
}

/**
 * Blocks of values, rounded as ggml's reference does.
 *
 * @throws {RangeError} If the type cannot be encoded, or the values are no whole number of blocks.
 */
export function encodeBlocks(typeName: string, values: Float32Array): Uint8Array<ArrayBuffer> {
  if (isFloatDtype(typeName)) return encodeFloats(typeName, values);
  const encode = Object.hasOwn(ENCODERS, typeName) ? ENCODERS[typeName] : undefined;
  if (!encode) {
    throw new RangeError(
      `Cannot encode ${typeName}: F32, F16, BF16, ${Object.keys(ENCODERS).join(", ")} can be`,
    );
  }
  const { blockValues, blockBytes } = ggufType(typeName);
  if (values.length % blockValues !== 0) {
    throw new RangeError(
      `Cannot encode ${values.length} values as ${typeName}: its blocks hold ${blockValues}`,
    );
  }
  const bytes = new Uint8Array(values.length / blockValues * blockBytes);
  for (let i = 0; i * blockValues < values.length; i++) {
    encode(values, i * blockValues, new DataView(bytes.buffer, i * blockBytes, blockBytes));
  }
  return bytes;
}
