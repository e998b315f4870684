import assert from "node:assert/strict";
import { readCsv } from "../../src/data/csv.ts";
import { byteChunks, type Entry } from "../../src/data/entries.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

async function entries(content: string | Uint8Array, chunkBytes?: number): Promise<Entry[]> {
  const file = await new MemoryFolder("data", { "x.csv": content }).open("x.csv");
  return await Array.fromAsync(readCsv(byteChunks(file, null, chunkBytes), file.uri));
}

const row = (line: number, value: unknown) => ({ kind: "row", line, value });
/** Entries without their text. */
const bare = (found: readonly Entry[]) =>
  found.map((entry) => Object.fromEntries(Object.entries(entry).filter(([name]) => name !== "text")));

Deno.test("readCsv() gives the same records for every chunk size: quotes, line breaks in them, empty fields", async () => {
  const content = '\ufeffprompt,"the ""answer""",n\r\nhi,"a, ""b""\r\n🙂",\n\n"",,3';
  const want = [
    row(2, { prompt: "hi", 'the "answer"': 'a, "b"\r\n🙂', n: "" }),
    { kind: "blank", line: 4 },
    row(5, { prompt: "", 'the "answer"': "", n: "3" }),
  ];
  for (const chunkBytes of [1, 2, 5, 1000]) assert.deepEqual(bare(await entries(content, chunkBytes)), want);
});

Deno.test("readCsv() takes the separator that the header has most of", async () => {
  assert.deepEqual(bare(await entries('input\toutput\na,b\t"c\td"\n')), [
    row(2, { input: "a,b", output: "c\td" }),
  ]);
  assert.deepEqual(bare(await entries("input;output\n1,5;2\n")), [row(2, { input: "1,5", output: "2" })]);
  assert.deepEqual(await entries("text\none, two\n"), [{
    kind: "bad",
    line: 2,
    message:
      "has 2 fields, the header 1 (text): put fields with a separator, quote or line break in double quotes",
    text: "one, two",
  }]);
});

Deno.test("readCsv() tells an open quote and bytes that are no UTF-8, and stops there", async () => {
  const [good, open, ...more] = await entries('a,b\n1,2\n3,"4\n5,6\n');
  assert.deepEqual(good, { ...row(2, { a: "1", b: "2" }), text: "1,2" });
  assert.deepEqual(open, {
    kind: "bad",
    line: 3,
    message: "ends inside a quoted field: close the quote",
    endsFile: true,
  });
  assert.equal(more.length, 0);
  const [latin1] = await entries(Uint8Array.of(97, 10, 0xe9, 10));
  assert.ok(latin1?.kind === "bad" && latin1.line === 2);
  assert.match(latin1.message, /^is not UTF-8: .*iconv -f LATIN1 -t UTF-8 x\.csv > x\.utf8\.csv/);
});
