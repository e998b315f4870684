import assert from "node:assert/strict";
import { attentionSpans, type SpanLayout } from "../../src/nn/attention_spans.ts";

/** What query t may see of a batch row, from the definitions alone: its document, its past, its window; padding itself. */
function sees(row: number, t: number, s: number, { lengths, window, documents }: SpanLayout): boolean {
  const length = lengths[row]!;
  if (t >= length || s >= length) return t === s;
  const documentOf = (position: number) => {
    let stop = 0;
    return (documents?.[row] ?? [length]).findIndex((tokens) => position < (stop += tokens));
  };
  return documentOf(t) === documentOf(s) && s <= t && t - s < (window ?? Infinity);
}

const LAYOUTS: readonly SpanLayout[] = [
  { rowLength: 1, lengths: [1, 0] },
  { rowLength: 9, lengths: [9, 4, 0, 1] },
  ...[1, 2, 5, 9, 10].map((window) => ({ rowLength: 9, lengths: [9, 6], window })),
  { rowLength: 11, lengths: [11, 8], documents: [[1, 7, 3], [3, 0, 5]] },
  { rowLength: 11, lengths: [11, 8], documents: [[1, 7, 3], [8]], window: 3 },
];

for (const layout of LAYOUTS) {
  Deno.test(`attentionSpans() say what a brute-force mask says: ${JSON.stringify(layout)}`, () => {
    const { rowLength, lengths } = layout, spans = attentionSpans(layout);
    assert.equal(spans.length, 2 * lengths.length * rowLength);
    for (let row = 0; row < lengths.length; row++) {
      for (let t = 0; t < rowLength; t++) {
        const [first, end] = spans.subarray(2 * (row * rowLength + t)) as unknown as [number, number];
        for (let s = 0; s < rowLength; s++) {
          const want = sees(row, t, s, layout);
          assert.equal(first <= s && s <= t, want, `row ${row}: query ${t} and key ${s}`);
          assert.equal(t <= s && s < end, sees(row, s, t, layout), `row ${row}: key ${t} and query ${s}`);
        }
      }
    }
  });
}

Deno.test("attentionSpans() never fall along a batch row, so a block is bounded by its first and last position", () => {
  for (const layout of LAYOUTS) {
    const { rowLength, lengths } = layout, spans = attentionSpans(layout);
    for (let i = 1; i < lengths.length * rowLength; i++) {
      if (i % rowLength === 0) continue;
      assert.ok(spans[2 * i]! >= spans[2 * i - 2]! && spans[2 * i + 1]! >= spans[2 * i - 1]!);
    }
  }
});

Deno.test("attentionSpans() refuse documents that do not fill their row, rows that are too long, and no window", () => {
  const row = { rowLength: 9, lengths: [9, 7] };
  assert.throws(
    () => attentionSpans({ ...row, documents: [[9], [3, 3]] }),
    /Cannot pack documents of 3 \+ 3 tokens into batch row 1 of 7 tokens/,
  );
  assert.throws(() => attentionSpans({ ...row, rowLength: 8 }), /Cannot attend to 9 tokens in a row of 8/);
  assert.throws(() => attentionSpans({ ...row, window: 0 }), /within a window of 0 tokens: at least 1/);
});
