import { ChatTemplate, ChatTemplateError } from "./data/chat_template.ts";
import { DatasetReader, refuseProblems } from "./data/dataset_reader.ts";
import { ExampleHashes } from "./data/duplicates.ts";
import {
  cutExample,
  type Tokenization,
  type TokenizedExample,
  tokenizeExample,
  trainedTokens,
} from "./data/example.ts";
import type { ColumnMapping, DataFormat, Example, RowFormat } from "./data/formats.ts";
import { GrowingArray } from "./data/growing_array.ts";
import { IDS_IN_MEMORY_BYTES } from "./data/id_store.ts";
import { LengthCounts } from "./data/length_counts.ts";
import type { LabelledIds, TrainOn } from "./data/mask.ts";
import { foundFiles } from "./data/path_pattern.ts";
import { type DataReport, reportWarnings } from "./data/report.ts";
import type { Tokenizer } from "./data/tokenizer.ts";
import { type ExampleRows, RowSubset, TokenRows } from "./data/token_rows.ts";
import { DatasetFormatError, type DatasetIssue } from "./errors.ts";
import { logger } from "./logger.ts";
import { permutation, STREAM } from "./random.ts";
import type { ReadableFolder, Scratch } from "./storage.ts";

export type { DataReport } from "./data/report.ts";

/** What `DataManager` needs. */
export interface DataManagerOptions {
  /** Finds the folder and the name of a data file. */
  readonly files: (uri: string) => { readonly folder: ReadableFolder; readonly name: string };
  /** Paths that a path stands for, such as those of a data set that is named as a whole; default itself. */
  readonly dataFiles?: DataFiles;
  /** Not needed for `check()`, which counts no tokens without it. */
  readonly tokenizer?: Tokenizer;
  /** Jinja; default the tokenizer's own. */
  readonly chatTemplate?: string | null;
  /** Whether special-token text inside messages becomes special tokens; default false. */
  readonly allowSpecialTokens?: boolean;
  /** Formats that rows may have; default {@link ROW_FORMATS}. */
  readonly formats?: readonly RowFormat[];
  /** Opens a file for tokens that do not fit the memory; without it all of them are kept there. */
  readonly scratch?: () => Scratch;
  /** Memory that the tokens of one purpose may take before they go to a scratch file; default 16 MiB. */
  readonly memoryBytes?: number;
}

/** Paths that a path stands for, by what the data is for. */
export type DataFiles = (path: string, purpose: DataPurpose) => Promise<readonly string[]>;
/** What data is read for. */
export type DataPurpose = "train" | "eval";

/** One path or several. The last part of a path may hold `*` and `?`, which stand for any letters and for one. */
export type DataPaths = string | readonly string[];

/** Which data, and how it is split. */
export interface LoadOptions {
  /** Files to train on. */
  readonly trainingDataPath: DataPaths;
  /** What `trainingDataPath` is read for; default to train. */
  readonly purpose?: DataPurpose;
  /** Evaluation rows of their own; null to split them off the training rows. */
  readonly evalDataPath: DataPaths | null;
  /** Share of the rows that are split off for evaluation, 0 ≤ share < 1; not used with `evalDataPath`. */
  readonly trainTestSplit: number;
  /** How rows are read; `auto` goes by the first row of each file. */
  readonly dataFormat: DataFormat;
  /** Columns by other names than the format's; default none. */
  readonly columnMapping?: ColumnMapping | null;
  /** Default `completions`. */
  readonly trainOn?: TrainOn;
  /** Longest row in tokens; longer ones keep their start. */
  readonly maxLength: number;
  /** Of the shuffle before the split. */
  readonly seed: number;
}

/** Rows ready to train and evaluate on. */
export interface Dataset {
  /** Rows to train on. */
  readonly train: ExampleRows;
  /** Rows to evaluate on; none where nothing is held out. */
  readonly eval: ExampleRows;
  /** Of the training files, before the split. */
  readonly report: DataReport;
  /** Of the evaluation files; null if there are none. */
  readonly evalReport: DataReport | null;
  /** What was cut, left out or looks odd, in words. */
  readonly warnings: readonly string[];
  /** Gives back what rows take outside of the memory; they are gone then. */
  close(): void;
}

/** What `check()` found in the files of one purpose. */
export interface SourceCheck {
  /** Token counts are 0 without a tokenizer. */
  readonly report: DataReport;
  /** Lines that hold nothing; they are passed over. */
  readonly blankLines: number;
  /** Of rows before cutting, in tokens; without a tokenizer of records, in characters of JSON. */
  readonly lengths: LengthCounts;
  /** Records that cannot be used: the first in words, and how many. */
  readonly issues: readonly DatasetIssue[];
  /** Records that cannot be used, `issues` or not. */
  readonly badLines: number;
  /** What training would warn of. */
  readonly warnings: readonly string[];
  /** Rows that came before already. */
  readonly repeats: number;
  /** The first rows as they are trained; none without a tokenizer. */
  readonly samples: readonly TokenizedExample[];
}

/** What `check()` found. */
export interface DataCheck {
  /** Of the training files. */
  readonly train: SourceCheck;
  /** Of the evaluation files; null if there are none. */
  readonly eval: SourceCheck | null;
  /** Rows held out for evaluation, and how many of them are also trained on. */
  readonly heldOut: number;
  /** Held-out rows that are also trained on. */
  readonly leaked: number;
}

const SPECIAL_TEXT =
  "holds the text of a special token, which is kept as text: allow_special_tokens makes it the token";

const NO_TEMPLATE =
  "has messages, but the model has no chat template: choose an instruction-tuned base model, " +
  "give chat_template_path, or write text rows";

/** Files of one purpose while they are read: what is counted, and rows where they are kept. */
class Source {
  readonly reader: DatasetReader;
  readonly lengths = new LengthCounts();
  readonly hashes = new ExampleHashes();
  readonly samples: TokenizedExample[] = [];
  readonly counts = { kept: 0, cut: 0, dropped: 0, tokens: 0, trainedTokens: 0, lostTokens: 0, unrolled: 0 };
  /** The example that each kept row comes from, by its place in `hashes`. */
  readonly exampleOfRow = new GrowingArray(Uint32Array);
  readonly purpose: DataPurpose;
  readonly #maxLength: number;

  constructor(
    purpose: DataPurpose,
    { dataFormat, columnMapping = null, maxLength }: LoadOptions,
    formats: readonly RowFormat[] | undefined,
  ) {
    this.purpose = purpose;
    this.reader = new DatasetReader({ format: dataFormat, columnMapping, ...(formats ? { formats } : {}) });
    this.#maxLength = maxLength;
  }

  /** Counts an example and its rows, cuts them, and gives those that are kept. */
  *take(example: Example, labelled: readonly LabelledIds[]): Generator<TokenizedExample> {
    const { counts } = this, before = counts.kept;
    if (labelled.length > 1) counts.unrolled++;
    for (const row of labelled) {
      this.lengths.add(row.ids.length);
      const { example: cut, lostTokens } = cutExample(row, this.#maxLength);
      counts.cut += row.ids.length > this.#maxLength ? 1 : 0;
      counts.lostTokens += lostTokens;
      if (!cut) {
        counts.dropped++;
        continue;
      }
      counts.kept++;
      counts.tokens += cut.inputIds.length;
      counts.trainedTokens += trainedTokens(cut.labels);
      this.exampleOfRow.push(this.hashes.length);
      yield cut;
    }
    if (counts.kept > before) this.hashes.add(example);
  }

  /** The report, once all files are read. */
  report(): DataReport {
    const { reader, lengths, counts } = this;
    return {
      file: reader.files.join(", "),
      formats: [...reader.formats],
      sha256: reader.sha256(),
      rows: reader.rows,
      ...counts,
      longestRow: lengths.longest,
    };
  }
}

/** Turns data files into tokenised rows in one pass: checks every record, tokenises, cuts, splits, and tells what it did. */
export class DataManager {
  readonly #options: DataManagerOptions;

  /** Takes where files are found, and the tokenizer that turns rows into ids; reads nothing yet. */
  constructor(options: DataManagerOptions) {
    this.#options = options;
  }

  /**
   * Rows to train on and to evaluate on. Split rows are drawn by the seed: round(rows · share), at least one of two
   * or more where the share is above 0, and at least one stays for training. Rows of one conversation stay together.
   *
   * @throws {DatasetFormatError} With all bad lines of all files, and all rows that the chat template refuses; or
   * if `maxLength` leaves no trained token in any row.
   * @throws {StorageNotFoundError} @throws {StorageDeniedError}
   * @throws {TypeError} If this manager was made without a tokenizer.
   */
  async load(options: LoadOptions): Promise<Dataset> {
    const { evalDataPath, trainTestSplit, maxLength, seed } = options;
    const { tokenizer } = this.#options;
    if (!tokenizer) throw new TypeError("Cannot load data without a tokenizer: give one to the DataManager");
    const { scratch = null, memoryBytes = IDS_IN_MEMORY_BYTES } = this.#options, opened: TokenRows[] = [];
    const read = async (paths: DataPaths, purpose: DataPurpose) => {
      const source = new Source(purpose, options, this.#options.formats),
        rows = new TokenRows(tokenizer.vocabSize, { scratch, memoryBytes });
      opened.push(rows);
      for await (const row of this.#rows(paths, source, options)) rows.push(row);
      return { source, rows };
    };
    const close = () => opened.forEach((rows) => rows.close());
    try {
      const training = await read(options.trainingDataPath, options.purpose ?? "train");
      const evaluation = evalDataPath === null ? null : await read(evalDataPath, "eval");
      const sources = [training, ...(evaluation ? [evaluation] : [])].map(({ source }) => source);
      refuseProblems(sources.map(({ reader }) => reader));
      for (const source of sources) refuseNothingLeft(source, maxLength);
      const held = heldExamples(training.source.hashes.length, evaluation ? 0 : trainTestSplit, seed);
      const { train, held: heldRows } = splitRows(training.rows, training.source.exampleOfRow, held);
      const [report, evalReport = null] = sources.map((source) => source.report());
      for (const found of [report!, evalReport]) if (found) logReport(found);
      return {
        train,
        eval: evaluation?.rows ?? heldRows,
        report: report!,
        evalReport,
        warnings: [
          ...sources.flatMap((source, i) => warningsOf(source, [report!, evalReport!][i]!, maxLength)),
          ...leakWarnings(leaks(training.source, evaluation?.source ?? null, held)),
        ],
        close,
      };
    } catch (error) {
      close();
      throw error;
    }
  }

  /**
   * Counts what `load()` would give, keeps no rows but a few, and tells bad records instead of refusing them.
   *
   * @param shown Rows to keep, the first ones.
   * @throws {StorageNotFoundError} @throws {StorageDeniedError}
   */
  async check(options: LoadOptions, shown: number): Promise<DataCheck> {
    const { evalDataPath, trainTestSplit, maxLength, seed } = options;
    const read = async (paths: DataPaths, purpose: DataPurpose) => {
      const source = new Source(purpose, options, this.#options.formats);
      for await (const row of this.#rows(paths, source, options)) {
        if (source.samples.length < shown) source.samples.push(row);
      }
      return source;
    };
    const training = await read(options.trainingDataPath, options.purpose ?? "train");
    const evaluation = evalDataPath === null ? null : await read(evalDataPath, "eval");
    const held = heldExamples(training.hashes.length, evaluation ? 0 : trainTestSplit, seed);
    return {
      train: checkOf(training, maxLength),
      eval: evaluation && checkOf(evaluation, maxLength),
      ...leaks(training, evaluation, held),
    };
  }

  /** Reads files and gives their rows; without a tokenizer it only counts. */
  async *#rows(paths: DataPaths, source: Source, { trainOn }: LoadOptions): AsyncGenerator<TokenizedExample> {
    const { tokenizer, allowSpecialTokens = false } = this.#options;
    const template = this.#template();
    const how = tokenizer
      ? { tokenizer, template, allowSpecialTokens, ...(trainOn ? { trainOn } : {}) }
      : null;
    const { dataFiles = (path) => Promise.resolve([path]), files } = this.#options;
    const named = [paths].flat().map((path) => dataFiles(path, source.purpose));
    for await (const { folder, name } of foundFiles((await Promise.all(named)).flat(), files)) {
      const file = await folder.open(name);
      try {
        for await (const { example, ...at } of source.reader.read(file)) {
          if (!how) {
            source.lengths.add(JSON.stringify(example).length);
            source.hashes.add(example);
            continue;
          }
          if (example.kind === "messages" && !template) {
            source.reader.refuse({ file: file.uri, message: NO_TEMPLATE });
            break;
          }
          if (!allowSpecialTokens && holdsSpecialText(example, how.tokenizer)) {
            source.reader.remarks.add({ ...at, message: SPECIAL_TEXT });
          }
          const labelled = labelledOr(example, how);
          if (typeof labelled === "string") source.reader.refuse({ ...at, message: labelled });
          else yield* source.take(example, labelled);
        }
      } finally {
        await file.close();
      }
    }
  }

  #template(): ChatTemplate | null {
    const { tokenizer, chatTemplate } = this.#options;
    const source = chatTemplate ?? tokenizer?.chatTemplate ?? null;
    return source === null || !tokenizer ? null : new ChatTemplate(source, tokenizer);
  }
}

/** Whether a message spells a special token. */
function holdsSpecialText(example: Example, tokenizer: Tokenizer): boolean {
  return example.kind === "messages" &&
    example.messages.some(({ content }) => tokenizer.literal(content) !== content);
}

/** The rows of an example, or why it has none. */
function labelledOr(example: Example, how: Tokenization): LabelledIds[] | string {
  try {
    return tokenizeExample(example, how);
  } catch (error) {
    if (error instanceof ChatTemplateError) return error.message;
    throw error;
  }
}

/** Examples that are held out. */
interface HeldOut {
  readonly count: number;
  has(example: number): boolean;
}

function heldExamples(examples: number, share: number, seed: number): HeldOut {
  const wanted = Math.max(Math.round(examples * share), share > 0 ? 1 : 0);
  const count = Math.max(0, Math.min(wanted, examples - 1));
  if (count === 0) return { count, has: () => false };
  const marks = new Uint8Array(examples);
  for (const example of permutation(examples, { seed, stream: STREAM.split }).subarray(0, count)) {
    marks[example] = 1;
  }
  return { count, has: (example) => marks[example] === 1 };
}

function splitRows(rows: TokenRows, exampleOfRow: GrowingArray, held: HeldOut) {
  if (held.count === 0) return { train: rows, held: [] };
  const side = (isHeld: boolean) => {
    const indices = new GrowingArray(Uint32Array);
    for (let row = 0; row < rows.length; row++) {
      if (held.has(exampleOfRow.get(row)) === isHeld) indices.push(row);
    }
    return new RowSubset(rows, indices.whole() as Uint32Array);
  };
  return { train: side(false), held: side(true) };
}

/** How many examples are held out, and how many of them are also trained on. */
function leaks(training: Source, evaluation: Source | null, held: HeldOut) {
  if (!evaluation) {
    const { hashes } = training, isHeld = (example: number) => held.has(example);
    return { heldOut: held.count, leaked: hashes.alsoIn(hashes, isHeld, (example) => !held.has(example)) };
  }
  const every = () => true;
  return {
    heldOut: evaluation.hashes.length,
    leaked: evaluation.hashes.alsoIn(training.hashes, every, every),
  };
}

function leakWarnings({ heldOut, leaked }: { heldOut: number; leaked: number }): string[] {
  return leaked === 0 ? [] : [
    `${leaked} of ${heldOut} evaluation rows are also among the training rows: the evaluation loss looks better ` +
    "than it is",
  ];
}

function checkOf(source: Source, maxLength: number): SourceCheck {
  const { reader, lengths, hashes, samples } = source;
  const report = source.report();
  return {
    report,
    blankLines: reader.blankLines,
    lengths,
    issues: reader.problems.listed(),
    badLines: reader.problems.count,
    warnings: warningsOf(source, report, maxLength),
    repeats: hashes.repeats(),
    samples,
  };
}

function warningsOf({ reader }: Source, report: DataReport, maxLength: number): string[] {
  const { blankLines, remarks } = reader;
  const blank = blankLines === 0 ? [] : [`${report.file}: skipped blank lines: ${blankLines}`];
  return [...blank, ...remarks.listed(), ...reportWarnings(report, maxLength)];
}

/** @throws {DatasetFormatError} If no row has a trained token. */
function refuseNothingLeft({ reader, counts, lengths }: Source, maxLength: number): void {
  if (counts.kept > 0) return;
  throw new DatasetFormatError([{
    file: reader.files.join(", "),
    message: `has no trained token within the first ${maxLength} tokens of any row: raise max_length ` +
      `(the longest row has ${lengths.longest} tokens)`,
  }]);
}

function logReport({ file, sha256, rows, kept, cut, dropped, tokens, trainedTokens }: DataReport): void {
  const facts = { file, sha256, rows, kept, cut, dropped, tokens, trainedTokens };
  logger("data").info("{file}: {kept} of {rows} rows kept, {tokens} tokens, {trainedTokens} trained", facts);
}
