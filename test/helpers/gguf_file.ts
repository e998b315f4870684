/**
 * GGUF files of any content, true or lying.
 *
 * @module
 */

/** A metadata value and the type that the file gives it; `element` is the type of an array's elements. */
export interface GgufEntry {
  readonly type: number;
  readonly element?: number;
  readonly value: number | bigint | boolean | string | readonly (number | bigint | boolean | string)[];
}

/** A tensor to write. */
export interface GgufTensorToWrite {
  readonly name: string;
  /** Outermost first, as it reads in code. */
  readonly shape: readonly (number | bigint)[];
  /** ggml's type id. */
  readonly type: number;
  readonly data: Uint8Array;
  /** Where it claims to begin; default where it does. */
  readonly offset?: number | bigint;
}

/** What to write. Everything that is left out is as it should be. */
export interface GgufContent {
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: number | bigint;
  readonly entryCount?: number | bigint;
  readonly entries?: readonly (readonly [string, GgufEntry])[];
  readonly tensors?: readonly GgufTensorToWrite[];
  readonly alignment?: number;
}

export const u32 = (value: number): GgufEntry => ({ type: 4, value });
export const f32 = (value: number): GgufEntry => ({ type: 6, value });
export const bool = (value: boolean): GgufEntry => ({ type: 7, value });
export const text = (value: string): GgufEntry => ({ type: 8, value });
export const texts = (value: readonly string[]): GgufEntry => ({ type: 9, element: 8, value });
export const f32s = (value: readonly number[]): GgufEntry => ({ type: 9, element: 6, value });
export const i32s = (value: readonly number[]): GgufEntry => ({ type: 9, element: 5, value });

/** Collects little-endian bytes. */
class Bytes {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  add(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }

  number(bytes: number, write: (view: DataView) => void): void {
    const part = new Uint8Array(bytes);
    write(new DataView(part.buffer));
    this.add(part);
  }

  u32(value: number): void {
    this.number(4, (view) => view.setUint32(0, value, true));
  }

  u64(value: number | bigint): void {
    this.number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.u64(bytes.length);
    this.add(bytes);
  }

  pad(alignment: number): void {
    this.add(new Uint8Array(Math.ceil(this.length / alignment) * alignment - this.length));
  }

  joined(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

const WRITERS: Readonly<Record<number, (out: Bytes, value: never) => void>> = {
  0: (out, value: number) => out.number(1, (view) => view.setUint8(0, value)),
  1: (out, value: number) => out.number(1, (view) => view.setInt8(0, value)),
  2: (out, value: number) => out.number(2, (view) => view.setUint16(0, value, true)),
  3: (out, value: number) => out.number(2, (view) => view.setInt16(0, value, true)),
  4: (out, value: number) => out.u32(value),
  5: (out, value: number) => out.number(4, (view) => view.setInt32(0, value, true)),
  6: (out, value: number) => out.number(4, (view) => view.setFloat32(0, value, true)),
  7: (out, value: boolean | number) => out.number(1, (view) => view.setUint8(0, Number(value))),
  8: (out, value: string) => out.text(value),
  10: (out, value: number | bigint) => out.u64(value),
  11: (out, value: number | bigint) => out.number(8, (view) => view.setBigInt64(0, BigInt(value), true)),
  12: (out, value: number) => out.number(8, (view) => view.setFloat64(0, value, true)),
};

/** The bytes of a file. An entry of an unknown type has no value. */
export function ggufBytes(content: GgufContent): Uint8Array<ArrayBuffer> {
  const { magic = "GGUF", version = 3, entries = [], tensors = [], alignment = 32 } = content;
  const out = new Bytes();
  out.add(new TextEncoder().encode(magic));
  out.u32(version);
  out.u64(content.tensorCount ?? tensors.length);
  out.u64(content.entryCount ?? entries.length);
  for (const [key, { type, element, value }] of entries) {
    out.text(key);
    out.u32(type);
    if (type !== 9) WRITERS[type]?.(out, value as never);
    else {
      const list = value as readonly unknown[];
      out.u32(element!);
      out.u64(list.length);
      for (const item of list) WRITERS[element!]?.(out, item as never);
    }
  }
  let offset = 0;
  for (const tensor of tensors) {
    out.text(tensor.name);
    out.u32(tensor.shape.length);
    for (const size of [...tensor.shape].reverse()) out.u64(size);
    out.u32(tensor.type);
    out.u64(tensor.offset ?? offset);
    offset = Math.ceil((offset + tensor.data.length) / alignment) * alignment;
  }
  for (const { data } of tensors) {
    out.pad(alignment);
    out.add(data);
  }
  return out.joined();
}
