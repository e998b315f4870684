/**
 * How good a model is at rows of data: loss, perplexity, token accuracy and exact greedy answers, of the base model and of
 * an adapter on it side by side.
 *
 * @module
 */
import { bucketLength } from "./data/collate.ts";
import { type ExampleRows, rowLengths, RowSubset } from "./data/token_rows.ts";
import { Tokenizer } from "./data/tokenizer.ts";
import {
  type DataFiles,
  DataManager,
  type DataPaths,
  type Dataset,
  type LoadOptions,
} from "./data_manager.ts";
import { ConfigError, DivergedError } from "./errors.ts";
import {
  type EvaluationEvent,
  type Measured,
  type Metric,
  METRICS,
  type Scores,
} from "./evaluation/events.ts";
import { isExact } from "./generate/exact_match.ts";
import { openGpu } from "./gpu/device.ts";
import { PipelineCache } from "./gpu/pipelines.ts";
import { LanguageModel, type LanguageModelOptions } from "./language_model.ts";
import { ModelManager } from "./model_manager.ts";
import { type HeldOutAnswer, heldOutAnswers, SPARE_TOKENS } from "./samples.ts";
import { withPlugins } from "./plugin.ts";
import { fileAt, readText } from "./storage.ts";

export * from "./evaluation/events.ts";

/** What {@link evaluateModel} needs. */
export interface EvaluationOptions
  extends
    Omit<LanguageModelOptions, "chatTemplate" | "limits">,
    Pick<LoadOptions, "dataFormat" | "maxLength" | "columnMapping" | "onBadLine" | "trainOn"> {
  /** Data to measure on. */
  readonly dataPath: DataPaths;
  /** Paths that a path stands for; default itself. */
  readonly dataFiles?: DataFiles;
  /** Whether special-token text inside messages becomes special tokens; default false. */
  readonly allowSpecialTokens?: boolean;
  /** File of a Jinja template in place of the tokenizer's own. */
  readonly chatTemplatePath?: string | null;
  /** Default all. */
  readonly metrics?: readonly Metric[];
  /** Rows to measure on, the first ones; default all. */
  readonly limit?: number | null;
  /** Rows of a forward pass; default 4. */
  readonly batchRows?: number;
  /** New tokens of an answer at most; default a few more than the longest expected answer. */
  readonly maxNewTokens?: number | null;
  /** Whether the base is measured too where there is an adapter; default true. */
  readonly compareBase?: boolean;
  /** Stops the evaluation between two batches. */
  readonly signal?: AbortSignal;
}

/** Rows ready to be measured. */
interface Questions {
  readonly rows: ExampleRows;
  readonly asked: readonly HeldOutAnswer[];
  readonly maxNewTokens: number;
}

/** One model's scores, and its answers in the order of the questions. */
interface Measurement {
  readonly scores: Scores;
  readonly answers: readonly string[];
}

/**
 * Reads the rows, then measures the adapter on its base, then the base alone: what does not fit together is told before
 * anything is computed.
 *
 * @throws {ConfigError} If no row is a question and nothing but answers was asked for, or a prompt exceeds the context.
 * @throws {DatasetFormatError} With every bad line.
 * @throws {StorageNotFoundError} @throws {ModelFormatError} @throws {UnsupportedModelError} If a file cannot be used.
 * @throws {GpuUnavailableError} @throws {GpuMemoryError} If there is no usable GPU or the model will not fit.
 * @throws {DivergedError} If a logit is not finite.
 * @throws The signal's reason, between batches, when it is aborted.
 */
export async function* evaluateModel(options: EvaluationOptions): AsyncGenerator<EvaluationEvent> {
  const { metrics = METRICS, signal, adapter = null } = options, start = performance.now();
  yield { type: "phase", message: "reading the data" };
  const chatTemplate = await templateOf(options);
  const { dataset, contextLength, tokenizer } = await readRows(options, chatTemplate);
  for (const message of dataset.warnings) yield { type: "warning", message };
  const rows = firstRows(dataset.train, options.limit ?? null);
  const asked = metrics.includes("exact_match") ? heldOutAnswers(rows, tokenizer) : [];
  refuseNothingAsked(metrics, asked);
  for (const message of rowWarnings(rows, asked, metrics, contextLength)) yield { type: "warning", message };
  signal?.throwIfAborted();

  const own = options.device ? null : await openGpu(options.gpu);
  try {
    const device = options.device ?? { gpu: own!, pipelines: new PipelineCache(own!) };
    yield {
      type: "started",
      summary: {
        model: options.model,
        adapter,
        device: device.gpu.name,
        softwareDevice: device.gpu.software,
        rows: rows.length,
        tokens: rowLengths(rows).reduce((sum, length) => sum + length, 0),
        questions: asked.length,
      },
    };
    const longest = asked.reduce((most, { tokens }) => Math.max(most, tokens), 0);
    const questions = { rows, asked, maxNewTokens: options.maxNewTokens ?? longest + SPARE_TOKENS };
    const opened = { ...options, chatTemplate, device };
    const found: Partial<Record<Measured, Measurement>> = {};
    if (adapter !== null) found.adapter = yield* measured("adapter", opened, questions);
    if (adapter === null || (options.compareBase ?? true)) {
      found.base = yield* measured("base", { ...opened, adapter: null }, questions);
    }
    yield {
      type: "finished",
      seconds: (performance.now() - start) / 1000,
      base: found.base?.scores ?? null,
      adapter: found.adapter?.scores ?? null,
      answers: asked.map(({ row, prompt, expected }, i) => {
        const answerOf = (whose: Measured) => found[whose]?.answers[i] ?? null;
        return { row: row + 1, prompt, expected, base: answerOf("base"), adapter: answerOf("adapter") };
      }),
    };
  } finally {
    await own?.close();
  }
}

/** Loads one model, measures it and gives its memory back. */
async function* measured(
  of: Measured,
  options: EvaluationOptions & LanguageModelOptions,
  { rows, asked, maxNewTokens }: Questions,
): AsyncGenerator<EvaluationEvent, Measurement> {
  const { metrics = METRICS, batchRows = 4, signal } = options;
  yield { type: "phase", message: of === "base" ? "loading the base model" : "loading base and adapter" };
  const longest = rowLengths(rows).reduce((most, length) => Math.max(most, length), 1);
  const model = await LanguageModel.open({
    ...options,
    limits: { rows: batchRows, length: bucketLength(longest) },
  });
  try {
    let result = null;
    if (metrics.includes("loss")) {
      const progress = progressOf(of, "loss", rows.length);
      const measuring = model.measure(rows, batchRows, signal);
      for (;;) {
        const { done, value } = await measuring.next();
        if (done) {
          if (value === null) throw notFinite(of);
          result = value;
          break;
        }
        yield progress(value);
      }
    }
    const answers = asked.map(() => "");
    const progress = progressOf(of, "exact_match", asked.length);
    let done = 0;
    const pieces = model.generate(asked.map(({ promptIds }) => promptIds), {
      maxNewTokens,
      ...(signal ? { signal } : {}),
    });
    if (asked.length > 0) {
      for await (const { row, text, end } of pieces) {
        answers[row] += text;
        if (end !== null) yield progress(++done);
      }
    }
    const matches = asked.filter(({ expected }, i) => isExact(answers[i]!, expected)).length;
    const scores = {
      loss: result?.loss ?? null,
      perplexity: result && Math.exp(result.loss),
      tokenAccuracy: result?.accuracy ?? null,
      exactMatch: asked.length > 0 ? matches / asked.length : null,
      matches: asked.length > 0 ? matches : null,
    };
    return { scores, answers };
  } finally {
    await model.close();
  }
}

/** Makes events of one metric, with the time that is left at the speed so far. */
function progressOf(of: Measured, metric: Metric, total: number): (done: number) => EvaluationEvent {
  const start = performance.now();
  return (done) => {
    const seconds = (performance.now() - start) / 1000;
    return { type: "progress", of, metric, done, total, etaSeconds: seconds / done * (total - done) };
  };
}

async function templateOf({ files, chatTemplatePath }: EvaluationOptions): Promise<string | null> {
  if (!chatTemplatePath) return null;
  const { folder, name } = fileAt(files, chatTemplatePath);
  return await readText(folder, name);
}

/** The rows as token ids; weights are opened, not read. */
async function readRows(
  options: EvaluationOptions,
  chatTemplate: string | null,
): Promise<{ dataset: Dataset; contextLength: number; tokenizer: Tokenizer }> {
  const { files, model, allowSpecialTokens = false } = options;
  const { dataFormats, modelFamilies } = withPlugins(options.plugins ?? []);
  const base = await new ModelManager(files, options.findModel, modelFamilies).open(model);
  try {
    const tokenizer = await Tokenizer.load(base.folder);
    const { dataFiles } = options;
    const manager = new DataManager({
      files: (path) => fileAt(files, path),
      ...(dataFiles ? { dataFiles } : {}),
      tokenizer,
      chatTemplate,
      allowSpecialTokens,
      formats: dataFormats,
    });
    const dataset = await manager.load({
      ...options,
      trainingDataPath: options.dataPath,
      purpose: "eval",
      evalDataPath: null,
      trainTestSplit: 0,
      seed: 0,
    });
    return { dataset, contextLength: base.config.maxPositionEmbeddings, tokenizer };
  } finally {
    await base.weights.close();
  }
}

function firstRows(rows: ExampleRows, limit: number | null): ExampleRows {
  if (limit === null || limit >= rows.length) return rows;
  return new RowSubset(rows, Uint32Array.from({ length: limit }, (_, i) => i));
}

function refuseNothingAsked(metrics: readonly Metric[], asked: readonly HeldOutAnswer[]): void {
  if (metrics.includes("loss") || asked.length > 0) return;
  throw new ConfigError([{
    path: "metric",
    message: "cannot be exact_match alone, as no row has a question before its answer: add loss",
  }]);
}

function rowWarnings(
  rows: ExampleRows,
  asked: readonly HeldOutAnswer[],
  metrics: readonly Metric[],
  contextLength: number,
): string[] {
  const longest = rowLengths(rows).reduce((most, length) => Math.max(most, length), 0);
  const without = rows.length - asked.length;
  return [
    ...(metrics.includes("exact_match") && without > 0
      ? [
        `${without} of ${rows.length} rows are trained from their first token on: they have no answer to compare`,
      ]
      : []),
    ...(longest > contextLength
      ? [
        `rows of up to ${longest} tokens exceed the ${contextLength} positions of the model: lower max_length`,
      ]
      : []),
  ];
}

function notFinite(of: Measured): DivergedError {
  const whose = of === "base" ? "base model" : "adapter";
  return new DivergedError(
    `The loss of the ${whose} is not a finite number: it is damaged, or not of this base model`,
    0,
  );
}
