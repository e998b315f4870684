import assert from "node:assert/strict";
import { Sha256 } from "../../src/data/sha256.ts";

Deno.test("Sha256 gives what Web Crypto gives, whatever pieces the bytes come in", async () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + 11) & 255);
    const want = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    for (const piece of [1, 7, 64, 200, 1001]) {
      const hash = new Sha256();
      for (let at = 0; at < length; at += piece) hash.update(bytes.subarray(at, at + piece));
      assert.equal(hash.digest(), want, `${length} bytes in pieces of ${piece}`);
    }
  }
});
