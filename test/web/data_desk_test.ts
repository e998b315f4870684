import assert from "node:assert/strict";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import type { DataFacts, DataNote } from "../../web/protocol/data.ts";
import { DataDesk } from "../../web/worker/data_desk.ts";
import { PageFiles } from "../../web/worker/page_files.ts";
import { planJob } from "../../web/worker/plan_job.ts";

const TINY = new URL("../../examples/tiny/model/", import.meta.url);
const row = (word: string) => `{"prompt": "Signal ${word}.", "completion": "${[...word].join("-")}"}\n`;

/** A store with the bundled model and rows, and how much of the rows is read. */
async function storeOf(rows: string) {
  const root = new MemoryFolder("store"), model = root.folder("device/models/tiny");
  for (const name of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]) {
    const bytes = await Deno.readFile(new URL(name, TINY)).catch(() => null);
    if (bytes) await model.append(name, bytes);
  }
  await root.folder("device/data").append("rows.jsonl", new TextEncoder().encode(rows));
  const files = new PageFiles(root, "http://page/"), at = files.at;
  let read = 0;
  const counting = Object.assign(Object.create(files), {
    at: (uri: string) => {
      const folder = at(uri);
      if (!uri.startsWith("device/data")) return folder;
      const open = folder.open.bind(folder);
      folder.open = async (name) => {
        const file = await open(name), whole = file.read.bind(file);
        file.read = (offset, length) => {
          read += length;
          return whole(offset, length);
        };
        return file;
      };
      return folder;
    },
  }) as PageFiles;
  return { root, files: counting, read: () => read };
}

const WIRE = {
  base_model: "device/models/tiny",
  training_data_path: "device/data/rows.jsonl",
  output_model_name: "bell",
  output_dir: "runs/bell",
  ...{ max_length: 24, max_steps: 1, batch_size: 1, train_test_split: 0 },
};

function watch() {
  const notes: DataNote[] = [];
  return { signal: new AbortController().signal, note: (note: DataNote) => void notes.push(note), notes };
}

Deno.test("the data's view, rows and plan are one reading, whatever the length, and changed data are another", async () => {
  const rows = `${row("LAMP")}nope\n${row("LIGHTHOUSE")}`, { root, files, read } = await storeOf(rows);
  const desk = new DataDesk(files), config = parseFineTuneJobConfig({ ...WIRE, on_bad_line: "skip" });
  const facts = await desk.facts(config, watch()), once = read();
  assert.deepEqual([facts.rows, facts.cut, facts.skipped, facts.refused, facts.isWhole], [
    2,
    1,
    1,
    false,
    true,
  ]);
  assert.equal(facts.issues[0]!.excerpt!.text, "nope");
  const before = read();
  const { summary } = await planJob(config, files, new AbortController().signal, desk.readings);
  assert.equal(summary.trainExamples, 2);
  const longer = parseFineTuneJobConfig({ ...WIRE, max_length: 64 });
  const [cut, whole] = [await desk.row(config, 1), await desk.row(longer, 1)];
  assert.deepEqual([cut!.tokens, whole!.tokens, cut!.length], [24, whole!.length, whole!.length]);
  assert.equal(whole!.pieces.at(-1)!.special, true);
  assert.equal(await desk.row(config, 2), null);
  assert.equal(read(), before, "read again");
  await root.folder("device/data").append("rows.jsonl", new TextEncoder().encode(row("TIDE")));
  assert.equal((await desk.facts(longer, watch())).rows, 3);
  assert.ok(read() > once);
});

Deno.test("a file's facts are told while it is read, and reading ends where nobody waits any more", async () => {
  const { files } = await storeOf(row("LAMP LAMP LAMP").repeat(60_000));
  const desk = new DataDesk(files), config = parseFineTuneJobConfig(WIRE), { notes, ...waiting } = watch();
  const facts = await desk.facts(config, waiting);
  const told = notes.flatMap((note): DataFacts[] => "facts" in note ? [note.facts] : []);
  assert.ok(told.length > 0 && told.every(({ isWhole, rows }) => !isWhole && rows > 0 && rows <= facts.rows));
  assert.ok(told[0]!.samples.length > 0 && told[0]!.histogram.length > 0);
  const stopped = new AbortController(), other = parseFineTuneJobConfig({ ...WIRE, train_on: "all" });
  const note = () => stopped.abort(new Error("another file"));
  await assert.rejects(desk.facts(other, { signal: stopped.signal, note }), /another file/);
});

Deno.test("the first rows of a large file of lines are told before it is kept, of no other", async () => {
  const { files } = await storeOf(row("LAMP")), desk = new DataDesk(files);
  const peek = (name: string, text: string) =>
    desk.peek(parseFineTuneJobConfig(WIRE), { name, content: new Blob([text]) });
  const large = row("SHORE").repeat(20_000), facts = await peek("large.jsonl", large);
  assert.ok(facts && facts.rows > 1000 && facts.rows < 20_000 && facts.badLines === 0);
  assert.deepEqual([facts.isWhole, facts.file, facts.samples.length], [false, "/large.jsonl", 8]);
  assert.equal((await peek("large.csv", `text\n${"one, two\n".repeat(60_000)}`))!.isWhole, false);
  assert.equal(await peek("small.jsonl", row("SHORE")), null);
  assert.equal(await peek("large.json", `[${large.trimEnd().replaceAll("\n", ",\n")}]`), null);
  assert.equal(await peek("large.jsonl", "x".repeat(300_000)), null);
});
