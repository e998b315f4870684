import assert from "node:assert/strict";
import { IGNORE_INDEX } from "../src/data/mask.ts";
import type { TokenizedExample } from "../src/data/example.ts";
import { Tokenizer } from "../src/data/tokenizer.ts";
import { DataManager } from "../src/data_manager.ts";
import { ConfigError, DatasetFormatError, ModelFormatError } from "../src/errors.ts";
import { evaluateModel, type EvaluationEvent, type EvaluationOptions } from "../src/evaluation.ts";
import { collectTexts } from "../src/generate/text.ts";
import type { OpenDevice } from "../src/fine_tune_job.ts";
import { LanguageModel } from "../src/language_model.ts";
import type { TrainableModel } from "../src/models/trainable_model.ts";
import { LocalFolder } from "../src/storage/local.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { logitsWithoutCache, openTinyModel } from "./generate/open_model.ts";
import { onGpu } from "./helpers/device.ts";
import { folderAt, jobDisk } from "./helpers/job_disk.ts";
import { writeTinyAdapter } from "./helpers/adapter_file.ts";

const ROWS = [
  { prompt: "ab", completion: "cde" },
  { prompt: "What is it?", completion: "y" },
  { prompt: "x", completion: "a longer answer" },
];

const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** Measures rows of `train.jsonl` on the disk. */
async function events(
  root: MemoryFolder,
  device: OpenDevice,
  options: Partial<EvaluationOptions> = {},
): Promise<EvaluationEvent[]> {
  const files = (uri: string) => folderAt(root, uri);
  const request = { model: "base", dataPath: "train.jsonl", dataFormat: "auto", maxLength: 64 } as const;
  return await Array.fromAsync(evaluateModel({ ...request, files, device, ...options }));
}

function finished(told: readonly EvaluationEvent[]): Extract<EvaluationEvent, { type: "finished" }> {
  const last = told.at(-1)!;
  assert.ok(last.type === "finished");
  return last;
}

/** Loss and accuracy by f64 over the logits of each row alone. */
async function referenceScores(model: TrainableModel, rows: readonly TokenizedExample[]) {
  let loss = 0, right = 0, tokens = 0;
  for (const { inputIds, labels } of rows) {
    const logits = await logitsWithoutCache(model, [...inputIds]), vocab = logits.length / inputIds.length;
    for (let t = 1; t < labels.length; t++) {
      if (labels[t] === IGNORE_INDEX) continue;
      const row = [...logits.subarray((t - 1) * vocab, t * vocab)], largest = Math.max(...row);
      loss += largest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0)) - row[labels[t]!]!;
      right += row.indexOf(largest) === labels[t] ? 1 : 0;
      tokens++;
    }
  }
  return { loss: loss / tokens, accuracy: right / tokens };
}

onGpu(
  "evaluateModel() measures base and adapter as f64 over their logits does, whatever the batch",
  async (device) => {
    const root = await jobDisk({}, lines(ROWS));
    await writeTinyAdapter(root.folder("adapter"), device);
    const tokenizer = await Tokenizer.load(root.folder("base"));
    const files = (name: string) => ({ folder: root, name });
    const { train } = await new DataManager({ files, tokenizer }).load({
      trainingDataPath: "train.jsonl",
      evalDataPath: null,
      trainTestSplit: 0,
      dataFormat: "auto",
      maxLength: 64,
      seed: 0,
    });
    for (const batchRows of [1, 2, 5]) {
      const told = await events(root, device, { adapter: "adapter", batchRows, metrics: ["loss"] });
      const { base, adapter, answers } = finished(told);
      assert.deepEqual(answers, []);
      for (const [scores, adapted] of [[base, false], [adapter, true]] as const) {
        const model = await openTinyModel(device, { adapted });
        const wanted = await referenceScores(model, [...train]);
        model.destroy();
        assert.ok(
          Math.abs(scores!.loss! - wanted.loss) < 2e-5 * wanted.loss,
          `${scores!.loss} ${wanted.loss}`,
        );
        assert.equal(scores!.tokenAccuracy, wanted.accuracy);
        assert.equal(scores!.perplexity, Math.exp(scores!.loss!));
        assert.equal(scores!.exactMatch, null);
      }
      assert.ok(Math.abs(base!.loss! - adapter!.loss!) > 0.01);
    }
  },
);

onGpu(
  "evaluateModel() counts greedy answers that are the expected text, and tells every one",
  async (device) => {
    const tiny = new LocalFolder(new URL("../examples/tiny/model", import.meta.url).pathname);
    const model = await LanguageModel.open({ files: () => tiny, model: "tiny", device });
    const prompts = ["Once upon a time", "The sea"];
    const said = await collectTexts(
      model.generate(prompts.map((prompt) => model.promptOf(prompt)), { maxNewTokens: 5 }),
      2,
    );
    await model.close();
    const data = new MemoryFolder("data", {
      "rows.jsonl": lines([
        { prompt: prompts[0], completion: said[0] },
        { prompt: prompts[1], completion: `${said[1]}not` },
        { prompt: prompts[1], completion: said[1] },
        { prompt: "beyond the limit", completion: "x" },
      ]),
    });
    const told = await Array.fromAsync(evaluateModel({
      files: (uri) => uri === "tiny" ? tiny : data,
      device,
      model: "tiny",
      dataPath: "rows.jsonl",
      dataFormat: "auto",
      maxLength: 64,
      metrics: ["exact_match"],
      limit: 3,
      maxNewTokens: 5,
    }));
    const { base, adapter, answers } = finished(told);
    assert.equal(adapter, null);
    assert.deepEqual([base!.exactMatch, base!.matches, base!.loss], [2 / 3, 2, null]);
    assert.deepEqual(answers.map(({ row, base, adapter }) => [row, base, adapter]), [
      [1, said[0], null],
      [2, said[1], null],
      [3, said[1], null],
    ]);
    assert.equal(answers[1]!.expected.trim(), `${said[1]}not`.trim());
    const progress = told.filter((event) => event.type === "progress");
    assert.deepEqual(progress.map(({ of, metric, done, total }) => [of, metric, done, total]), [
      ["base", "exact_match", 1, 3],
      ["base", "exact_match", 2, 3],
      ["base", "exact_match", 3, 3],
    ]);
    assert.equal(progress.at(-1)!.etaSeconds, 0);
  },
);

onGpu(
  "evaluateModel() leaves the base out where it is told to, and asks nothing of plain text",
  async (device) => {
    const root = await jobDisk();
    await writeTinyAdapter(root.folder("adapter"), device);
    const told = await events(root, device, { adapter: "adapter", compareBase: false });
    const { base, adapter, answers } = finished(told);
    assert.deepEqual([base, adapter!.exactMatch, answers], [null, null, []]);
    assert.ok(adapter!.loss! > 0);
    assert.deepEqual(told.flatMap((event) => event.type === "warning" ? [event.message] : []), [
      "10 of 10 rows are trained from their first token on: they have no answer to compare",
    ]);
    await assert.rejects(events(root, device, { metrics: ["exact_match"] }), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /metric: cannot be exact_match alone/);
      return true;
    });
  },
);

onGpu(
  "evaluateModel() refuses bad rows, and an adapter of another model before anything is measured",
  async (device) => {
    const root = await jobDisk({}, '{"text":1}\n');
    await assert.rejects(events(root, device), DatasetFormatError);
    const other = await jobDisk({ config: { intermediate_size: 48 } }, lines(ROWS));
    await writeTinyAdapter(other.folder("adapter"), device);
    const told: EvaluationEvent[] = [];
    const files = (uri: string) => folderAt(other, uri);
    const evaluation = evaluateModel({
      files,
      device,
      model: "base",
      adapter: "adapter",
      dataPath: "train.jsonl",
      dataFormat: "auto",
      maxLength: 64,
    });
    await assert.rejects(
      async () => {
        for await (const event of evaluation) told.push(event);
      },
      ModelFormatError,
    );
    assert.ok(told.every(({ type }) => type !== "progress"));
  },
);

onGpu("evaluateModel() stops between batches by the signal", async (device) => {
  const root = await jobDisk({}, lines(ROWS)), stop = new AbortController();
  const evaluation = evaluateModel({
    files: (uri) => folderAt(root, uri),
    device,
    model: "base",
    dataPath: "train.jsonl",
    dataFormat: "auto",
    maxLength: 64,
    batchRows: 1,
    signal: stop.signal,
  });
  let batches = 0;
  await assert.rejects(async () => {
    for await (const { type } of evaluation) {
      if (type !== "progress") continue;
      batches++;
      stop.abort(new Error("enough"));
    }
  }, /enough/);
  assert.equal(batches, 1);
});
