/**
 * As much of Protocol Buffers' wire format as event files and ONNX models need: fields are written one after the other
 * and joined, or streamed after a header that tells their length.
 *
 * @see https://protobuf.dev/programming-guides/encoding
 * @module
 */

const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;

/** An integer of up to 53 bits, or up to 64 as a bigint. A negative one is an int64: ten bytes of two's complement. */
export function varintField(field: number, value: number | bigint): Uint8Array {
  return joined([varint(field << 3 | VARINT), varint(value)]);
}

export function doubleField(field: number, value: number): Uint8Array {
  return joined([varint(field << 3 | FIXED64), new Uint8Array(Float64Array.of(value).buffer)]);
}

export function floatField(field: number, value: number): Uint8Array {
  return joined([varint(field << 3 | FIXED32), new Uint8Array(Float32Array.of(value).buffer)]);
}

/** Text, bytes, or a message that is its fields. */
export function bytesField(field: number, value: string | Uint8Array | readonly Uint8Array[]): Uint8Array {
  const content = typeof value === "string"
    ? new TextEncoder().encode(value)
    : value instanceof Uint8Array
    ? value
    : joined(value);
  return joined([bytesHeader(field, content.length), content]);
}

/** What stands before the content of text, bytes or a message of so many bytes. */
export function bytesHeader(field: number, byteLength: number): Uint8Array {
  return joined([varint(field << 3 | BYTES), varint(byteLength)]);
}

/** Parts one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Seven bits a byte, least first; the top bit says that more follow. */
function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...bytes, Number(rest)]);
}
