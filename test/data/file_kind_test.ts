import assert from "node:assert/strict";
import { fileKind } from "../../src/data/file_kind.ts";
import { DatasetFormatError } from "../../src/errors.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

async function kind(content: string | Uint8Array, name = "x.txt") {
  return await fileKind(await new MemoryFolder("data", { [name]: content }).open(name));
}

Deno.test("fileKind() tells kinds by their first bytes, whatever the name", async () => {
  const cases: [string, string, string?][] = [
    ['{"a":1}\n{"a":2}', "jsonl"],
    ["'{'\nx", "jsonl", "x.jsonl"],
    ['"one text"\n', "jsonl"],
    ["[1,2,3]\nnull\n", "jsonl", "x.jsonl"],
    ['\ufeff\n [\n{"a":1}]', "json array"],
    ["[]", "json array", "x.json"],
    ["prompt,completion\nhi,there\n", "csv"],
    ["text\nhi\n", "csv", "x.csv"],
    ['"a"\t"b"\n1\t2', "csv", "x.tsv"],
    ["PAR1....", "parquet"],
  ];
  for (const [content, want, name] of cases) assert.equal(await kind(content, name), want, content);
});

Deno.test("fileKind() names the files that are something else", async () => {
  const cases: [Uint8Array | string, RegExp][] = [
    ["", /is empty/],
    [Uint8Array.of(0xfe, 0xff, 0, 0x7b), /is UTF-16/],
    [
      Uint8Array.of(0x7b, 0, 0x22, 0, 0x61, 0),
      /contains NUL bytes: if it is UTF-16, convert the file \(iconv -f UTF-16LE/,
    ],
    [Uint8Array.of(0x1f, 0x8b, 8, 0), /is compressed with gzip/],
    ["PK\x03\x04", /is a zip archive/],
  ];
  for (const [content, message] of cases) {
    await assert.rejects(kind(content), (error: Error) => {
      assert.ok(error instanceof DatasetFormatError);
      assert.equal(error.issues.length, 1);
      assert.match(error.message, message);
      return true;
    });
  }
});
