/**
 * Data as FLAN and T5 have it: `{"inputs": "...", "targets": "..."}` a row, and the same as lines of two columns.
 *
 *     lowrank train --plugin examples/plugins/flan.ts --training-data-path flan.jsonl ...
 *     lowrank train --plugin examples/plugins/flan.ts --data-format flan_tsv --training-data-path flan.tsv ...
 *
 * @module
 */
import { type DataEntry, definePlugin, type ParsedRow, type RowFormat } from "lowrank";

/** A row of two texts, of which the second is learnt. */
const flan: RowFormat = {
  name: "flan",
  needs: ["inputs", "targets"],
  sample: '{"inputs": "...", "targets": "..."}',
  parse({ inputs, targets }): ParsedRow {
    if (typeof inputs !== "string") return { problem: '"inputs" is not a string' };
    if (typeof targets !== "string") return { problem: '"targets" is not a string' };
    if (targets.trim() === "") return { problem: '"targets" is empty: there is nothing to learn from' };
    return { example: { kind: "pair", prompt: `${inputs}\n`, completion: targets }, warnings: [] };
  },
};

/** Lines `inputs TAB targets` without a header; `\n` and `\t` stand for what they are in other files. */
const flanTsv: RowFormat = {
  ...flan,
  name: "flan_tsv",
  async *readFile(chunks): AsyncGenerator<DataEntry> {
    let line = 0;
    for await (const text of lines(chunks)) {
      line++;
      const columns = text.split("\t").map((column) =>
        column.replaceAll("\\n", "\n").replaceAll("\\t", "\t")
      );
      const [inputs, targets] = columns;
      if (text.trim() === "") yield { kind: "blank", line };
      else if (columns.length === 2) yield { kind: "row", line, value: { inputs, targets } };
      else {yield {
          kind: "bad",
          line,
          message: `has ${columns.length} columns: write inputs, a tab, targets`,
        };}
    }
  },
};

async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop()!;
    for (const part of parts) yield part.replace(/\r$/, "");
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

export default definePlugin({ apiVersion: 1, name: "flan", dataFormats: [flan, flanTsv] });
