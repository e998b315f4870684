/**
 * Writing a GGUF file, little-endian, version 3. Tensors are asked for one after the other and passed on as they come.
 *
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @module
 */
import { type GgufType, ggufType } from "../quant/gguf_types.ts";
import type { FileWriter, Folder } from "../storage.ts";

/** A metadata value, with the type that the file gives it. */
export type GgufEntry =
  | { readonly kind: "u32" | "f32"; readonly value: number }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "texts"; readonly value: readonly string[] }
  | { readonly kind: "f32s" | "i32s"; readonly value: ArrayLike<number> };

export const u32 = (value: number): GgufEntry => ({ kind: "u32", value });
export const f32 = (value: number): GgufEntry => ({ kind: "f32", value });
export const bool = (value: boolean): GgufEntry => ({ kind: "bool", value });
export const text = (value: string): GgufEntry => ({ kind: "text", value });
export const texts = (value: readonly string[]): GgufEntry => ({ kind: "texts", value });
export const f32s = (value: ArrayLike<number>): GgufEntry => ({ kind: "f32s", value });
export const i32s = (value: ArrayLike<number>): GgufEntry => ({ kind: "i32s", value });

/** A tensor to be written. */
export interface GgufTensorToWrite {
  /** Such as `blk.0.attn_q.weight`. */
  readonly name: string;
  /** As ggml spells it, such as `Q8_0`. */
  readonly type: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** The bytes, row-major, in parts of any length. */
  readonly data: () => AsyncIterable<Uint8Array>;
}

/** What {@link writeGguf} writes. */
export interface GgufToWrite {
  /** In the order of the file; `general.architecture` comes first by custom. */
  readonly metadata: ReadonlyMap<string, GgufEntry>;
  /** In the order of the file. */
  readonly tensors: readonly GgufTensorToWrite[];
}

const MAGIC = "GGUF", VERSION = 3;
/** Bytes that the data and each tensor begin at a multiple of. */
const ALIGNMENT = 32;
const TYPE_IDS = { u32: 4, i32s: 5, f32: 6, f32s: 6, bool: 7, text: 8, texts: 8 } as const, ARRAY = 9;

/** Bytes of a tensor. @throws {RangeError} If its rows are no whole number of blocks, or the type is unknown. */
export function tensorBytes(
  { name, type, shape }: Pick<GgufTensorToWrite, "name" | "type" | "shape">,
): number {
  const { blockValues, blockBytes }: GgufType = ggufType(type);
  if (shape.at(-1)! % blockValues === 0) {
    return shape.reduce((a, b) => a * b) / blockValues * blockBytes;
  }
  throw new RangeError(
    `Cannot write tensor "${name}" [${
      shape.join(", ")
    }] as ${type}: its blocks hold ${blockValues} values of a row`,
  );
}

/**
 * Writes a file, whole or not at all.
 *
 * @throws {RangeError} If a tensor's data is not as long as type and shape demand, or two share a name.
 * @throws {StorageDeniedError}
 */
export async function writeGguf(
  folder: Folder,
  name: string,
  { metadata, tensors }: GgufToWrite,
): Promise<void> {
  const header = formatHeader(metadata, tensors);
  const file = await folder.create(name);
  try {
    await file.write(header);
    await file.write(padding(header.length));
    for (const tensor of tensors) await writeTensor(file, tensor);
    await file.commit();
  } finally {
    await file.abort();
  }
}

async function writeTensor(file: FileWriter, tensor: GgufTensorToWrite): Promise<void> {
  const wanted = tensorBytes(tensor);
  let bytes = 0;
  for await (const part of tensor.data()) {
    bytes += part.length;
    if (bytes > wanted) break;
    await file.write(part);
  }
  if (bytes === wanted) return await file.write(padding(wanted));
  throw new RangeError(
    `Cannot write tensor "${tensor.name}": ${bytes > wanted ? "more than" : "only"} ${
      Math.min(bytes, wanted)
    } ` +
      `bytes came, ${tensor.type} [${tensor.shape.join(", ")}] takes ${wanted}`,
  );
}

function padding(bytes: number): Uint8Array {
  return new Uint8Array(aligned(bytes) - bytes);
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function formatHeader(
  metadata: ReadonlyMap<string, GgufEntry>,
  tensors: readonly GgufTensorToWrite[],
): Uint8Array<ArrayBuffer> {
  const out = new HeaderBytes();
  out.bytes(new TextEncoder().encode(MAGIC));
  out.u32(VERSION);
  out.u64(tensors.length);
  out.u64(metadata.size);
  for (const [key, entry] of metadata) {
    out.text(key);
    out.entry(entry);
  }
  const names = new Set<string>();
  let offset = 0;
  for (const tensor of tensors) {
    if (names.has(tensor.name)) throw new RangeError(`Cannot write two tensors of the name "${tensor.name}"`);
    names.add(tensor.name);
    out.text(tensor.name);
    out.u32(tensor.shape.length);
    for (const size of [...tensor.shape].reverse()) out.u64(size);
    out.u32(ggufType(tensor.type).id);
    out.u64(offset);
    offset += aligned(tensorBytes(tensor));
  }
  return out.joined();
}

/** Little-endian fields, one after the other. */
class HeaderBytes {
  #bytes = new Uint8Array(2 ** 16);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  bytes(part: Uint8Array): void {
    const at = this.#grow(part.length);
    this.#bytes.set(part, at);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.u64(bytes.length);
    this.bytes(bytes);
  }

  entry(entry: GgufEntry): void {
    const id = TYPE_IDS[entry.kind];
    const isArray = entry.kind === "texts" || entry.kind === "f32s" || entry.kind === "i32s";
    this.u32(isArray ? ARRAY : id);
    if (isArray) {
      this.u32(id);
      this.u64(entry.value.length);
    }
    switch (entry.kind) {
      case "u32":
        return this.u32(entry.value);
      case "f32":
        return this.bytes(new Uint8Array(Float32Array.of(entry.value).buffer));
      case "bool":
        return this.bytes(Uint8Array.of(Number(entry.value)));
      case "text":
        return this.text(entry.value);
      case "texts":
        for (const item of entry.value) this.text(item);
        return;
      case "f32s":
        return this.bytes(new Uint8Array(Float32Array.from(entry.value).buffer));
      case "i32s":
        return this.bytes(new Uint8Array(Int32Array.from(entry.value).buffer));
    }
  }

  joined(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** Makes room and gives where it begins. */
  #grow(bytes: number): number {
    const at = this.#length, end = at + bytes;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = end;
    return at;
  }
}
