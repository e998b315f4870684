import assert from "node:assert/strict";
import { corpusExchange, type Exchange, signalRows } from "../../examples/tiny/corpus.ts";
import { tokenizerFiles } from "../../examples/tiny/tokenizer.ts";
import { exampleJob } from "../../src/cli/example_job.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { createFineTuneJob } from "../../src/fine_tune_job.ts";
import { permutation } from "../../src/random.ts";
import { readText } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { onGpu } from "../helpers/device.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const tiny = new LocalFolder(`${ROOT}examples/tiny`);

async function rowsOf(name: string): Promise<Exchange[]> {
  const lines = (await readText(tiny, name)).trimEnd().split("\n");
  return lines.map((line) => {
    const [user, assistant] = JSON.parse(line).messages;
    return { prompt: user.content, answer: assistant.content };
  });
}

function jsonlOf(rows: readonly Exchange[]): string {
  return rows.map(({ prompt, answer }) => {
    const messages = [{ role: "user", content: prompt }, { role: "assistant", content: answer }];
    return `${JSON.stringify({ messages })}\n`;
  }).join("");
}

Deno.test("the bundled data is what its script makes", async () => {
  const heldOut = signalRows(7, 240);
  const words = new Set(heldOut.map(({ prompt }) => prompt.slice("Signal ".length, -1)));
  assert.equal(await readText(tiny, "signals.eval.jsonl"), jsonlOf(heldOut));
  assert.equal(await readText(tiny, "signals.jsonl"), jsonlOf(signalRows(8, 800, words)));
  for (const [name, text] of Object.entries(tokenizerFiles())) {
    assert.equal(await readText(tiny.folder("model"), name), text);
  }
});

Deno.test("the bundled task cannot be solved without reading the prompt", async () => {
  const [train, heldOut] = [await rowsOf("signals.jsonl"), await rowsOf("signals.eval.jsonl")];
  const seen = new Set(train.map(({ prompt }) => prompt));
  assert.ok(heldOut.length >= 200);
  assert.deepEqual(heldOut.filter(({ prompt }) => seen.has(prompt)), []);
  const counts = new Map<string, number>();
  for (const { answer } of heldOut) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  assert.ok(counts.size >= 100, `${counts.size} distinct answers`);
  assert.ok(Math.max(...counts.values()) / heldOut.length < 0.05);
});

Deno.test("the base model's corpus never asks for a signal", () => {
  for (let i = 0; i < 5000; i++) assert.doesNotMatch(corpusExchange(7, i).prompt, /signal /i);
});

onGpu(
  "the bundled job on shuffled answers learns next to nothing that holds for other prompts",
  async (device) => {
    const rows = await rowsOf("signals.jsonl");
    const order = permutation(rows.length, { seed: 3, stream: 99 });
    const shuffled = rows.map(({ prompt }, i) => ({ prompt, answer: rows[order[i]!]!.answer }));
    const disk = new MemoryFolder("disk", { "shuffled.jsonl": jsonlOf(shuffled) });
    const config = parseFineTuneJobConfig({
      ...exampleJob(ROOT, "/"),
      training_data_path: "shuffled.jsonl",
      output_dir: "out",
      save: "adapter",
    });
    const files = (uri: string) =>
      uri.includes("examples/tiny")
        ? new LocalFolder(uri.startsWith("/") ? uri : `/${uri}`)
        : uri === "."
        ? disk
        : disk.folder(uri);
    const shares: number[] = [];
    for await (const event of createFineTuneJob(config, { files, device }).run()) {
      if (event.type === "sampled") shares.push(event.exactMatch!);
    }
    assert.equal(shares.length, 2);
    assert.ok(shares[1]! < 0.2, `${shares[1]} of the held-out prompts are answered exactly`);
  },
);
