import assert from "node:assert/strict";
import { IGNORE_INDEX } from "../src/data/mask.ts";
import { Tokenizer } from "../src/data/tokenizer.ts";
import { DataManager, type LoadOptions } from "../src/data_manager.ts";
import { DatasetFormatError, StorageNotFoundError } from "../src/errors.ts";
import { readText } from "../src/storage.ts";
import { LocalFolder } from "../src/storage/local.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { CHAT_TEMPLATE, chatTokenizer } from "./helpers/tiny_tokenizer.ts";

const shared = new LocalFolder(new URL("../../shared", import.meta.url).pathname);
const present = await shared.folder("data").exists("identity.messages.jsonl");

const OPTIONS: LoadOptions = {
  trainingDataPath: "train.jsonl",
  evalDataPath: null,
  trainTestSplit: 0,
  dataFormat: "auto",
  maxLength: 512,
  seed: 42,
};

/** A manager over files in memory. Without a tokenizer it can only validate. */
function managerOf(files: Record<string, string>, tokenizer?: Tokenizer, chatTemplate: string | null = null) {
  const folder = new MemoryFolder("data", files);
  return new DataManager({
    files: (name) => ({ folder, name }),
    chatTemplate,
    ...(tokenizer ? { tokenizer } : {}),
  });
}

const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row) + "\n").join("");
const chat = (user: string, assistant: string) => ({
  messages: [{ role: "user", content: user }, { role: "assistant", content: assistant }],
});
const texts = (n: number) => lines(Array.from({ length: n }, (_, i) => ({ text: `row ${i}` })));

Deno.test("load() tokenises, cuts, leaves out and reports", async () => {
  const tokenizer = await chatTokenizer();
  const rows = [chat("q", "short"), chat("q", "an answer that is cut"), chat("q".repeat(60), "never seen")];
  const dataset = await managerOf({ "train.jsonl": "\n" + lines(rows) }, tokenizer).load({
    ...OPTIONS,
    maxLength: 32,
  });
  const { sha256, ...report } = dataset.report;
  assert.match(sha256, /^[0-9a-f]{64}$/);
  // <|start|>user\nq<|end|>\n is 9 tokens, <|start|>assistant\n 11, "short" 5, its <|end|>\n 2.
  assert.deepEqual(report, {
    file: "data/train.jsonl",
    formats: ["messages"],
    rows: 3,
    skipped: 0,
    skippedLines: [],
    kept: 2,
    cut: 2,
    dropped: 1,
    tokens: 27 + 32,
    trainedTokens: 6 + 12,
    lostTokens: 10 + 11,
    longestRow: 91,
    unrolled: 0,
  });
  assert.deepEqual([...dataset.train].map(({ inputIds }) => inputIds.length), [27, 32]);
  assert.deepEqual([...dataset.eval], []);
  assert.equal(dataset.evalReport, null);
  assert.deepEqual(dataset.warnings, [
    "data/train.jsonl: skipped blank lines: 1",
    "data/train.jsonl: cut 2 of 3 rows to max_length 32, losing 21 trained tokens; the longest row has 91",
    "data/train.jsonl: left out 1 of 3 rows, as no trained token is left in them",
  ]);
});

Deno.test("load() hashes the file's bytes", async () => {
  const { report } = await managerOf({ "train.jsonl": '{"text":"abc"}\n' }, await chatTokenizer()).load(
    OPTIONS,
  );
  assert.equal(report.sha256, "f76036ae647fb86e44d8e480b22b505852188842ea8063b52c396d75829f0680");
});

Deno.test("load() splits by the seed, and keeps the file's order on both sides", async () => {
  const manager = managerOf({ "train.jsonl": texts(20) }, await chatTokenizer());
  const load = async (trainTestSplit: number, seed = 42) => {
    const { train, eval: held } = await manager.load({ ...OPTIONS, trainTestSplit, seed });
    return [train, held].map((side) => [...side].map(({ inputIds }) => inputIds.join()));
  };
  const [train, held] = await load(0.25);
  assert.deepEqual([train!.length, held!.length], [15, 5]);
  const [all] = await load(0);
  assert.deepEqual(all!.filter((row) => train!.includes(row)), train);
  assert.deepEqual(all!.filter((row) => held!.includes(row)), held);
  assert.deepEqual(await load(0.25), [train, held]);
  assert.notDeepEqual((await load(0.25, 43))[1], held);
});

Deno.test("load() holds back at least one row, and never the last one left", async () => {
  const tokenizer = await chatTokenizer();
  const sizes = async (n: number, trainTestSplit: number) => {
    const { train, eval: held } = await managerOf({ "train.jsonl": texts(n) }, tokenizer)
      .load({ ...OPTIONS, trainTestSplit });
    return [train.length, held.length];
  };
  assert.deepEqual(await sizes(3, 0.01), [2, 1]);
  assert.deepEqual(await sizes(1, 0.5), [1, 0]);
  assert.deepEqual(await sizes(2, 0.99), [1, 1]);
  assert.deepEqual(await sizes(5, 0), [5, 0]);
});

Deno.test("load() takes evaluation rows from their own file where there is one", async () => {
  const manager = managerOf({ "train.jsonl": texts(4), "eval.jsonl": texts(3) }, await chatTokenizer());
  const dataset = await manager.load({ ...OPTIONS, trainTestSplit: 0.5, evalDataPath: "eval.jsonl" });
  assert.deepEqual([dataset.train.length, dataset.eval.length], [4, 3]);
  assert.equal(dataset.evalReport?.file, "data/eval.jsonl");
});

Deno.test("load() lists the bad lines of both files at once", async () => {
  const manager = managerOf(
    { "train.jsonl": '{"text":"a"}\n{"text":1}\n', "eval.jsonl": "nope\n" },
    await chatTokenizer(),
  );
  await assert.rejects(manager.load({ ...OPTIONS, evalDataPath: "eval.jsonl" }), (error: Error) => {
    assert.ok(error instanceof DatasetFormatError);
    assert.deepEqual(error.issues.map(({ file, line }) => [file, line]), [["data/train.jsonl", 2], [
      "data/eval.jsonl",
      1,
    ]]);
    assert.match(
      error.message,
      /^data\/train\.jsonl:2: "text" is a number, not a string\ndata\/eval\.jsonl:1: is not JSON/,
    );
    return true;
  });
});

Deno.test("load() lists the rows that the chat template refuses", async () => {
  const strict = "{% if messages[0].content == 'no' %}{{ raise_exception('refused') }}{% endif %}" +
    CHAT_TEMPLATE;
  const rows = lines([chat("no", "a"), chat("yes", "a"), chat("no", "b")]);
  await assert.rejects(
    managerOf({ "train.jsonl": rows }, await chatTokenizer(), strict).load(OPTIONS),
    (error: Error) => {
      assert.ok(error instanceof DatasetFormatError);
      assert.deepEqual(error.issues.map(({ line }) => line), [1, 3]);
      assert.equal(error.issues[0]!.message, "the chat template refuses it: refused");
      return true;
    },
  );
});

Deno.test("load() says what to do when no row has a trained token left, or messages have no template", async () => {
  const files = { "train.jsonl": lines([chat("question", "answer")]) };
  await assert.rejects(managerOf(files, await chatTokenizer()).load({ ...OPTIONS, maxLength: 16 }), {
    name: "DatasetFormatError",
    message:
      "data/train.jsonl: has no trained token within the first 16 tokens of any row: raise max_length " +
      "(the longest row has 35 tokens)",
  });
  await assert.rejects(managerOf(files, await chatTokenizer({ chat_template: null })).load(OPTIONS), {
    name: "DatasetFormatError",
    message: /has messages, but the model has no chat template: choose an instruction-tuned base model/,
  });
});

Deno.test("load() counts remarks by kind", async () => {
  const twice = { messages: [chat("a", "b").messages[0], ...chat("a", "b").messages] };
  const { warnings } = await managerOf(
    { "train.jsonl": lines([twice, chat("a", "b"), twice]) },
    await chatTokenizer(),
  )
    .load(OPTIONS);
  assert.deepEqual(warnings, [
    "data/train.jsonl:1 and 1 more: has two turns of one role in a row, which strict chat templates " +
    "(Gemma, Llama 2, Mistral) refuse",
  ]);
});

Deno.test("load() remarks on messages that spell a special token", async () => {
  const manager = managerOf(
    { "train.jsonl": lines([chat("a", "b"), chat("say <|end|>", "b")]) },
    await chatTokenizer(),
  );
  assert.deepEqual((await manager.load(OPTIONS)).warnings, [
    "data/train.jsonl:2: holds the text of a special token, which is kept as text: allow_special_tokens makes it " +
    "the token",
  ]);
});

Deno.test("load() needs a tokenizer and files that are there", async () => {
  await assert.rejects(managerOf({ "train.jsonl": texts(2) }).load(OPTIONS), {
    name: "TypeError",
    message: /without a tokenizer/,
  });
  const manager = managerOf({ "train.jsonl": texts(2) }, await chatTokenizer());
  await assert.rejects(manager.load({ ...OPTIONS, trainingDataPath: "gone.jsonl" }), StorageNotFoundError);
  await assert.rejects(manager.load({ ...OPTIONS, trainingDataPath: "*.csv" }), {
    name: "StorageNotFoundError",
    message: 'Cannot find a file like "*.csv" in "data": correct the pattern',
  });
});

Deno.test("load() reads several files, by list or pattern, as one", async () => {
  const files = { "a1.jsonl": texts(2), "a2.jsonl": texts(3), "b.csv": "text\nhi\n" };
  const manager = managerOf(files, await chatTokenizer());
  const { report, train } = await manager.load({ ...OPTIONS, trainingDataPath: ["b.csv", "a?.j*"] });
  assert.equal(report.file, "data/b.csv, data/a1.jsonl, data/a2.jsonl");
  assert.deepEqual([report.rows, train.length], [6, 6]);
});

Deno.test("load() keeps rows of one conversation on one side of the split", async () => {
  const rewriting =
    "{% for m in messages %}{{ '<|start|>' + m.role + '\n' }}{% if loop.last and m.role == 'assistant' %}!{% endif %}" +
    "{{ m.content + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}";
  const rows = Array.from({ length: 8 }, (_, i) => ({
    messages: [...chat(`q${i}`, `first ${i}`).messages, ...chat("and?", `second ${i}`).messages],
  }));
  const tokenizer = await chatTokenizer();
  const manager = managerOf({ "train.jsonl": lines(rows) }, tokenizer, rewriting);
  const { train, eval: held, report, warnings } = await manager.load({ ...OPTIONS, trainTestSplit: 0.25 });
  assert.deepEqual([train.length, held.length, report.rows, report.kept, report.unrolled], [12, 4, 8, 16, 8]);
  const talks = [train, held].map((side) =>
    new Set([...side].map(({ inputIds }) => /q\d/.exec(tokenizer.decode([...inputIds]))![0]))
  );
  assert.deepEqual(talks.map(({ size }) => size), [6, 2]);
  assert.equal(talks[0]!.union(talks[1]!).size, 8);
  assert.match(warnings.join(), /made several rows of 8 of 8 conversations, one for each trained turn/);
});

Deno.test("load() warns of evaluation rows that are also trained on", async () => {
  const files = { "train.jsonl": texts(4), "eval.jsonl": texts(2) + '{"text":"other"}\n' };
  const manager = managerOf(files, await chatTokenizer());
  const { warnings } = await manager.load({ ...OPTIONS, evalDataPath: "eval.jsonl" });
  assert.deepEqual(warnings, [
    "2 of 3 evaluation rows are also among the training rows: the evaluation loss looks better than it is",
  ]);
  const twice = managerOf({ "train.jsonl": '{"text":"same"}\n'.repeat(4) }, await chatTokenizer());
  assert.match(
    (await twice.load({ ...OPTIONS, trainTestSplit: 0.5 })).warnings.join(),
    /^2 of 2 evaluation rows/,
  );
});

Deno.test("check() counts what load() gives, and tells bad lines instead of refusing them", async () => {
  const tokenizer = await chatTokenizer();
  const files = { "train.jsonl": texts(5) + '{"text":1}\n' + texts(1), "eval.jsonl": texts(2) };
  const options = { ...OPTIONS, evalDataPath: "eval.jsonl" };
  const { train, eval: held, heldOut, leaked } = await managerOf(files, tokenizer).check(options, 2);
  assert.deepEqual([train.report.rows, train.badLines, train.issues[0]!.line, train.repeats], [6, 1, 6, 1]);
  assert.deepEqual([train.lengths.rows, train.lengths.longest, train.report.trainedTokens], [6, 6, 30]);
  assert.deepEqual([held!.report.rows, heldOut, leaked], [2, 2, 2]);
  assert.deepEqual(train.samples.map(({ example }) => tokenizer.decode([...example.inputIds])), [
    "row 0</s>",
    "row 1</s>",
  ]);
  const good = { ...files, "train.jsonl": texts(5) + texts(1) };
  const loaded = await managerOf(good, tokenizer).load(options);
  const { sha256: _, ...report } = loaded.report;
  const { sha256: __, ...counted } = (await managerOf(good, tokenizer).check(options, 0)).train.report;
  assert.deepEqual(counted, report);
});

const BAD = `${texts(2)}{"text":1}\n${texts(1)}nope\n{"other":2}\n`;

Deno.test("load() leaves bad lines out where it is told to, and names them", async () => {
  const tokenizer = await chatTokenizer(), options = { ...OPTIONS, onBadLine: "skip" } as const;
  const kept = await managerOf({ "train.jsonl": BAD }, tokenizer).load(options);
  const good = await managerOf({ "train.jsonl": texts(2) + texts(1) }, tokenizer).load(OPTIONS);
  assert.deepEqual([...kept.train], [...good.train]);
  assert.deepEqual([kept.report.rows, kept.report.skipped], [3, 3]);
  assert.deepEqual(kept.report.skippedLines.map(({ line }) => line), [3, 5, 6]);
  assert.deepEqual(kept.warnings, [
    'data/train.jsonl: skipped 3 lines, which cannot be used (the first at lines 3, 5, 6): line 3 "text" is a number, ' +
    "not a string",
  ]);
  const one = await managerOf({ "train.jsonl": `nope\n${texts(1)}` }, tokenizer).load(options);
  assert.match(
    one.warnings[0]!,
    /^data\/train\.jsonl: skipped 1 line that cannot be used \(line 1\): line 1 is not JSON/,
  );
});

Deno.test("load() skips rows that the chat template refuses", async () => {
  const template = "{% if messages[0]['content'] == 'no' %}{{ raise_exception('not this') }}{% endif %}" +
    CHAT_TEMPLATE;
  const manager = managerOf(
    { "train.jsonl": lines([chat("yes", "a"), chat("no", "b"), chat("yes", "c")]) },
    await chatTokenizer(),
    template,
  );
  const { train, report } = await manager.load({ ...OPTIONS, onBadLine: "skip" });
  assert.deepEqual([train.length, report.rows, report.skipped], [2, 2, 1]);
  assert.match(report.skippedLines[0]!.message, /not this/);
});

Deno.test("load() refuses what leaving lines out does not mend", async () => {
  const tokenizer = await chatTokenizer();
  const refused = async (name: string, content: string, message: RegExp) => {
    const manager = managerOf({ [name]: content }, tokenizer);
    const options = { ...OPTIONS, trainingDataPath: name, onBadLine: "skip" } as const;
    await assert.rejects(manager.load(options), (error: Error) => {
      assert.ok(error instanceof DatasetFormatError);
      assert.equal(error.issues.length, 1);
      assert.match(error.message, message);
      return true;
    });
  };
  await refused("a.jsonl", "nope\nnope\n", /a\.jsonl: has no row that can be used/);
  await refused("b.csv", 'text\nfine\n"open\nrow\n', /b\.csv:3: ends inside a quoted field/);
  await refused("c.json", '[{"text": "a"}, {"text"', /c\.json:2: is cut short/);
  await refused("d.jsonl", '{"chosen":"a","rejected":"b"}\n', /d\.jsonl:1: is a preference row/);
  await refused("e.jsonl", "", /e\.jsonl: is empty/);
});

Deno.test("check() tells how many lines would be left out, and refuses only what training would", async () => {
  const manager = managerOf({ "train.jsonl": BAD }, await chatTokenizer());
  const [strict, lenient] = await Promise.all(
    (["fail", "skip"] as const).map(async (onBadLine) =>
      (await manager.check({ ...OPTIONS, onBadLine }, 0)).train
    ),
  );
  for (const found of [strict!, lenient!]) {
    assert.deepEqual([found.badLines, found.skippable, found.issues.length, found.report.rows], [3, 3, 3, 3]);
  }
  assert.deepEqual([strict!.report.skipped, strict!.refusals.length], [0, 3]);
  assert.deepEqual([lenient!.report.skipped, lenient!.refusals.length], [3, 0]);
});

Deno.test("check() needs no tokenizer to count rows, characters and repeats", async () => {
  const { train, heldOut, leaked } = await managerOf({ "train.jsonl": texts(10) + texts(1) })
    .check({ ...OPTIONS, trainTestSplit: 0.2 }, 3);
  assert.deepEqual([train.report.rows, train.report.tokens, train.repeats, heldOut], [11, 0, 1, 2]);
  assert.ok(leaked <= 1);
  assert.equal(train.lengths.longest, JSON.stringify({ kind: "text", text: "row 0" }).length);
  assert.deepEqual(train.samples, []);
});

Deno.test({
  name: "load() makes rows of real conversations with a real tokenizer (needs shared data)",
  ignore: !present,
  async fn() {
    const tokenizer = await Tokenizer.load(shared.folder("models/stories260K-hf"));
    const manager = new DataManager({
      files: (name) => ({ folder: shared.folder("data"), name }),
      tokenizer,
    });
    const { train, eval: held, report, warnings } = await manager.load({
      ...OPTIONS,
      trainingDataPath: "identity.messages.jsonl",
      trainTestSplit: 0.1,
    });
    assert.deepEqual([train.length, held.length, report.kept, warnings.length], [360, 40, 400, 0]);
    for (const { inputIds, labels } of [...train, ...held]) {
      assert.equal(labels.at(-1), tokenizer.eosTokenId);
      assert.equal(labels[0], IGNORE_INDEX);
      assert.ok(inputIds.every((id) => id >= 0 && id < tokenizer.vocabSize));
    }
  },
});

Deno.test({
  name: "load() warns of the good lines of the malformed sample: cut, strict templates (needs shared data)",
  ignore: !present,
  async fn() {
    const content = await readText(shared.folder("data/fixtures"), "bad-lines.messages.jsonl");
    const kept = content.split("\n").filter((_, i) => [1, 2, 19, 20, 21, 22, 23, 24].includes(i + 1));
    const tokenizer = await Tokenizer.load(shared.folder("models/stories260K-hf"));
    const { report, warnings } = await managerOf({ "train.jsonl": kept.join("\n") }, tokenizer).load(OPTIONS);
    assert.deepEqual([report.rows, report.kept, report.cut], [7, 7, 1]);
    assert.deepEqual(warnings.map((warning) => warning.split(/, (?:which|losing)/)[0]), [
      "data/train.jsonl: skipped blank lines: 1",
      "data/train.jsonl:4: starts with an assistant turn",
      "data/train.jsonl:6: has two turns of one role in a row",
      "data/train.jsonl: cut 1 of 7 rows to max_length 512",
    ]);
  },
});
