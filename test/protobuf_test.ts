import assert from "node:assert/strict";
import { bytesField, bytesHeader, doubleField, floatField, joined, varintField } from "../src/protobuf.ts";

// the examples of https://protobuf.dev/programming-guides/encoding
Deno.test("varintField() writes seven bits a byte, the least first", () => {
  assert.deepEqual([...varintField(1, 0)], [0x08, 0]);
  assert.deepEqual([...varintField(1, 127)], [0x08, 0x7f]);
  assert.deepEqual([...varintField(1, 128)], [0x08, 0x80, 0x01]);
  assert.deepEqual([...varintField(1, 150)], [0x08, 0x96, 0x01]);
  assert.deepEqual([...varintField(16, 1)], [0x80, 0x01, 1]); // a field number of two bytes
});

Deno.test("varintField() writes a negative number as ten bytes of two's complement", () => {
  assert.deepEqual([...varintField(1, -2)], [0x08, 0xfe, ...Array(8).fill(0xff), 0x01]);
});

Deno.test("varintField() writes 64 bits of a bigint", () => {
  assert.deepEqual([...varintField(2, 2n ** 64n - 1n)], [0x10, ...Array(9).fill(0xff), 0x01]);
});

Deno.test("bytesField() writes text, bytes and messages behind their length", () => {
  assert.deepEqual([...bytesField(2, "testing")], [0x12, 7, ...new TextEncoder().encode("testing")]);
  assert.deepEqual([...bytesField(2, "é")], [0x12, 2, 0xc3, 0xa9]);
  assert.deepEqual([...bytesField(3, [varintField(1, 150)])], [0x1a, 3, 0x08, 0x96, 0x01]);
  assert.deepEqual(bytesField(3, new Uint8Array(300)), joined([bytesHeader(3, 300), new Uint8Array(300)]));
});

Deno.test("floatField() and doubleField() write little-endian bits", () => {
  assert.deepEqual([...floatField(1, 1)], [0x0d, 0, 0, 0x80, 0x3f]);
  assert.deepEqual([...doubleField(1, 1)], [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
});
