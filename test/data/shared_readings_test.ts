import assert from "node:assert/strict";
import { SharedReadings } from "../../src/data/shared_readings.ts";
import type { Tokenizer } from "../../src/data/tokenizer.ts";
import { DataManager, type LoadOptions } from "../../src/data_manager.ts";
import { rowsFingerprint } from "../../src/checkpoint/fingerprint.ts";
import type { FileReader, ReadableFolder } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { chatTokenizer } from "../helpers/tiny_tokenizer.ts";

const chat = (user: string, assistant: string) =>
  `${
    JSON.stringify({ messages: [{ role: "user", content: user }, { role: "assistant", content: assistant }] })
  }\n`;
const DATA =
  Array.from({ length: 60 }, (_, i) => chat("q".repeat(i % 17), `answer ${"x".repeat(i % 29)}`)).join("") +
  "not JSON\n";

/** A folder whose files tell their version, and that counts the bytes that are read. */
function versioned(files: Record<string, string>, version: { now: string | undefined }) {
  const memory = new MemoryFolder("data", files);
  let bytes = 0;
  const folder: ReadableFolder = {
    uri: memory.uri,
    list: () => memory.list(),
    exists: (name) => memory.exists(name),
    async open(name) {
      const file = await memory.open(name);
      const read: FileReader["read"] = async (offset, length) => {
        bytes += length;
        return await file.read(offset, length);
      };
      const of = version.now === undefined ? {} : { version: version.now };
      return { uri: file.uri, size: file.size, ...of, read, close: () => file.close() };
    },
  };
  return { folder, bytes: () => bytes };
}

const OPTIONS: LoadOptions = {
  trainingDataPath: "train.jsonl",
  evalDataPath: null,
  trainTestSplit: 0.2,
  dataFormat: "auto",
  onBadLine: "skip",
  maxLength: 64,
  seed: 42,
};

function managerOf(folder: ReadableFolder, tokenizer: Tokenizer, readings?: SharedReadings) {
  return new DataManager({
    files: (name) => ({ folder, name }),
    tokenizer,
    ...(readings ? { readings } : {}),
  });
}

Deno.test("Shared readings give the rows, counts and warnings of readings of one's own, whatever the options", async () => {
  const tokenizer = await chatTokenizer(), { folder } = versioned({ "train.jsonl": DATA }, { now: "1" });
  const readings = new SharedReadings();
  for (const maxLength of [64, 512, 40, 30]) {
    for (const [trainTestSplit, seed] of [[0.2, 42], [0, 42], [0.5, 7]] as const) {
      const options = { ...OPTIONS, maxLength, trainTestSplit, seed };
      const own = await managerOf(folder, tokenizer).load(options);
      const shared = await managerOf(folder, await chatTokenizer(), readings).load(options);
      assert.equal(
        await rowsFingerprint(shared.train, shared.eval),
        await rowsFingerprint(own.train, own.eval),
      );
      assert.deepEqual([shared.report, shared.warnings], [own.report, own.warnings]);
      assert.deepEqual([...shared.train.lengths!()], [...own.train.lengths!()]);
      shared.close();
    }
  }
});

Deno.test("Files are read once for all who share, and anew where something that decides their rows changes", async () => {
  const version = { now: "1" as string | undefined }, tokenizer = await chatTokenizer();
  const { folder, bytes } = versioned({ "train.jsonl": DATA, "eval.jsonl": DATA }, version);
  const readings = new SharedReadings();
  const isRead = async (changes: Partial<LoadOptions> = {}, by = tokenizer) => {
    const before = bytes();
    await managerOf(folder, by, readings).check({ ...OPTIONS, ...changes }, 2);
    return bytes() > before;
  };
  assert.equal(await isRead(), true);
  assert.equal(await isRead(), false);
  assert.equal(await isRead({ maxLength: 20, trainTestSplit: 0, seed: 1, onBadLine: "fail" }), false);
  assert.equal(await isRead({}, await chatTokenizer()), false);
  assert.equal(await isRead({ trainOn: "all" }), true);
  assert.equal(await isRead({ trainOn: "all" }), false);
  assert.equal(await isRead({ trainOn: "all" }, await chatTokenizer({ eos_token: "<|end|>" })), true);
  version.now = "2";
  assert.equal(await isRead(), true);
  assert.equal(await isRead({ evalDataPath: "eval.jsonl" }), true); // the second file, not the first
  assert.equal(await isRead({ evalDataPath: "eval.jsonl" }), false);
  version.now = undefined;
  assert.equal(await isRead(), true);
  assert.equal(await isRead(), true);
});

Deno.test("Who waits for a reading that its maker gives up makes it anew", async () => {
  const tokenizer = await chatTokenizer(), { folder } = versioned({ "train.jsonl": DATA }, { now: "1" });
  const readings = new SharedReadings(), begun = Promise.withResolvers<void>();
  const end = Promise.withResolvers<never>();
  const read = () => {
    begun.resolve();
    return end.promise;
  };
  const broken = { ...folder, open: async (name: string) => ({ ...await folder.open(name), read }) };
  const first = managerOf(broken, tokenizer, readings).check(OPTIONS, 1);
  await begun.promise;
  const second = managerOf(folder, tokenizer, readings).check(OPTIONS, 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  end.reject(new Error("given up"));
  await assert.rejects(first, /given up/);
  assert.equal((await second).train.report.rows, 60);
});

Deno.test("row() gives any row as it is trained, with its tokens before cutting", async () => {
  const tokenizer = await chatTokenizer(), { folder } = versioned({ "train.jsonl": DATA }, { now: "1" });
  for (const readings of [undefined, new SharedReadings()]) {
    const manager = managerOf(folder, tokenizer, readings);
    const { train } = await manager.load({ ...OPTIONS, trainTestSplit: 0 });
    const whole = await manager.load({ ...OPTIONS, trainTestSplit: 0, maxLength: 512 });
    for (const index of [0, 28, train.length - 1]) {
      assert.deepEqual((await manager.row(OPTIONS, index))!.example, train.at(index));
      assert.deepEqual((await manager.row(OPTIONS, index))!.length, whole.train.at(index)!.inputIds.length);
    }
    assert.equal(await manager.row(OPTIONS, 60), null);
  }
});

Deno.test("check() tells how far it is, with problems that show their lines", async () => {
  const tokenizer = await chatTokenizer();
  const { folder } = versioned({ "train.jsonl": `${chat("a", "b")}{"text": nope}\n`.repeat(3000) }, {
    now: "1",
  });
  const told: number[] = [], readings = new SharedReadings({ mostIssues: 1000, excerpts: true });
  const { train } = await managerOf(folder, tokenizer, readings).check(
    OPTIONS,
    2,
    ({ report, samples, lengths }) => {
      told.push(report.rows);
      assert.deepEqual([samples.length, lengths.rows, report.kept], [2, report.rows, report.rows]);
    },
  );
  assert.deepEqual(told, [...told].sort((a, b) => a - b));
  assert.deepEqual([train.report.rows, train.badLines, train.issues.length], [3000, 3000, 1001]);
  assert.deepEqual(train.issues[0]!.excerpt, { text: '{"text": nope}', before: 0, after: 0, at: 9 });
});
