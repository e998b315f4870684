import assert from "node:assert/strict";
import { byteChunks, type Entry, MAX_RECORD_BYTES } from "../../src/data/entries.ts";
import { readJsonl } from "../../src/data/jsonl.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

async function entries(
  content: string | Uint8Array,
  chunkBytes?: number,
  name = "x.jsonl",
): Promise<Entry[]> {
  const file = await new MemoryFolder("data", { [name]: content }).open(name);
  return await Array.fromAsync(readJsonl(byteChunks(file, null, chunkBytes), file.uri));
}

/** Entries without their text. */
const bare = (found: readonly Entry[]) => found.map((entry) => ({ ...entry, text: undefined }));

Deno.test("readJsonl() gives the same lines for every chunk size", async () => {
  const content = '\ufeff{"a":"é"}\r\n\r\n  \n{"a":"世界 🙂"}\n[1]\nnull';
  const want = [
    { kind: "row", line: 1, value: { a: "é" } },
    { kind: "blank", line: 2 },
    { kind: "blank", line: 3 },
    { kind: "row", line: 4, value: { a: "世界 🙂" } },
    { kind: "row", line: 5, value: [1] },
    { kind: "row", line: 6, value: null },
  ];
  for (const chunkBytes of [1, 2, 3, 7, 16, 1000]) {
    assert.deepEqual(bare(await entries(content, chunkBytes)), bare(want as Entry[]));
  }
});

Deno.test("readJsonl() goes on after bad lines and says how to mend them", async () => {
  const bad = new Uint8Array([
    ...new TextEncoder().encode('{\'a\': 1}\n{"a": 1},\n{\n{"a": NaN}\n{"a": '),
    0xe9,
    ...new TextEncoder().encode('}\n{"a": 2}\n'),
  ]);
  const [quotes, comma, pretty, nan, latin1, good] = await entries(bad);
  const says = (entry: Entry | undefined, line: number, message: RegExp) => {
    assert.ok(entry?.kind === "bad");
    assert.equal(entry.line, line);
    assert.match(entry.message, message);
  };
  says(quotes, 1, /use double quotes, as Python's json\.dumps\(\)/);
  says(comma, 2, /remove the comma at its end$/);
  says(pretty, 3, /put each row on one line/);
  says(nan, 4, /NaN and Infinity are not JSON/);
  says(
    latin1,
    5,
    /is not UTF-8: if it is Latin-1, convert the file \(iconv -f LATIN1 -t UTF-8 x\.jsonl > x\.utf8\.jsonl\)$/,
  );
  assert.deepEqual(good, { kind: "row", line: 6, value: { a: 2 }, text: '{"a": 2}' });
  assert.deepEqual([comma, latin1].map((entry) => entry?.kind === "bad" && [entry.text, entry.at]), [
    ['{"a": 1},', 8],
    ['{"a": \ufffd}', 6],
  ]);
});

Deno.test("readJsonl() refuses a line beyond the limit and reads the next", async () => {
  const content = '"' + "x".repeat(MAX_RECORD_BYTES - 2) + '"\n"' + "y".repeat(MAX_RECORD_BYTES) + '"\n3\n';
  const [fits, long, after] = await entries(content);
  assert.equal(fits?.kind, "row");
  assert.deepEqual(long, { kind: "bad", line: 2, message: "is longer than 16777216 bytes: split the row" });
  assert.deepEqual(after, { kind: "row", line: 3, value: 3, text: "3" });
});
