import assert from "node:assert/strict";
import { Crc32c, crc32c, joinedCrc32c } from "../src/crc32c.ts";

Deno.test("crc32c() gives the values of RFC 3720", () => {
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
});

Deno.test("Crc32c sums pieces of any length to what the whole gives", () => {
  const bytes = Uint8Array.from({ length: 1009 }, (_, i) => i * 73 >> 2);
  for (const cuts of [[0], [1], [7, 8, 9], [500, 501], [1009], [3, 3, 1001]]) {
    const sum = new Crc32c();
    let from = 0;
    for (const to of [...cuts, bytes.length]) sum.update(bytes.subarray(from, from = to));
    assert.equal(sum.value, crc32c(bytes), `cut at ${cuts}`);
  }
  assert.equal(crc32c(new Uint8Array()), 0);
});

Deno.test("joinedCrc32c() gives the sum of two byte strings one after the other", () => {
  const bytes = Uint8Array.from({ length: 70_001 }, (_, i) => i * 7919 >> 3);
  for (const at of [0, 1, 2, 8, 63, 64, 4096, 65_537, 70_000, 70_001]) {
    const [first, second] = [bytes.subarray(0, at), bytes.subarray(at)];
    assert.equal(joinedCrc32c(crc32c(first), crc32c(second), second.length), crc32c(bytes), `cut at ${at}`);
  }
});
