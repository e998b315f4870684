import { ChatTemplate, ChatTemplateError } from "./data/chat_template.ts";
import { DatasetReader, refuseProblems } from "./data/dataset_reader.ts";
import { type Tokenization, tokenizeExample } from "./data/example.ts";
import {
  type ColumnMapping,
  type DataFormat,
  type Example,
  ROW_FORMATS,
  type RowFormat,
} from "./data/formats.ts";
import { heldOut, leaks, leakWarnings } from "./data/hold_out.ts";
import { IDS_IN_MEMORY_BYTES } from "./data/id_store.ts";
import type { LengthCounts } from "./data/length_counts.ts";
import type { LabelledIds, TrainOn } from "./data/mask.ts";
import { type FoundFile, foundFiles } from "./data/path_pattern.ts";
import type { OnBadLine } from "./data/problems.ts";
import { type CutReading, type KeptTokens, Reading, type ShownRow, WHOLE_ROWS } from "./data/reading.ts";
import type { SharedReadings } from "./data/shared_readings.ts";
import { type DataReport, reportWarnings } from "./data/report.ts";
import type { Tokenizer } from "./data/tokenizer.ts";
import { type ExampleRows, TokenRows } from "./data/token_rows.ts";
import { DatasetFormatError, type DatasetIssue } from "./errors.ts";
import { logger } from "./logger.ts";
import type { ReadableFolder, Scratch } from "./storage.ts";

export type { ShownRow } from "./data/reading.ts";
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
  /**
   * What was read before, for several managers: files that have not changed are not read again for the same tokenizer and
   * options. Their rows are kept whole, and in memory. Default: each reads by itself.
   */
  readonly readings?: SharedReadings;
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
  /** What becomes of lines that cannot be used; default `fail`. */
  readonly onBadLine?: OnBadLine;
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
  /** Lines among them, which `onBadLine: skip` leaves out. */
  readonly skippable: number;
  /** Why training would refuse the files; empty if it would not. */
  readonly refusals: readonly DatasetIssue[];
  /** What training would warn of. */
  readonly warnings: readonly string[];
  /** Rows that came before already. */
  readonly repeats: number;
  /** The first rows as they are trained; none without a tokenizer. */
  readonly samples: readonly ShownRow[];
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

/** Readings of all purposes. */
interface AllRead {
  readonly training: Reading;
  readonly evaluation: Reading | null;
  /** Gives back what rows take outside of the memory. */
  readonly close: () => void;
}

/** Until it is told how far files are read, at first and from then on, milliseconds. */
const FIRST_PROGRESS_MS = 200;
const PROGRESS_MS = 1000;

const SPECIAL_TEXT =
  "holds the text of a special token, which is kept as text: allow_special_tokens makes it the token";

const NO_TEMPLATE =
  "has messages, but the model has no chat template: choose an instruction-tuned base model, " +
  "give chat_template_path, or write text rows";

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
    const { maxLength, onBadLine = "fail" } = options;
    if (!this.#options.tokenizer) {
      throw new TypeError("Cannot load data without a tokenizer: give one to the DataManager");
    }
    const read = await this.#read(options, { most: maxLength, rows: Infinity });
    try {
      const readings = [read.training, ...(read.evaluation ? [read.evaluation] : [])];
      refuseProblems(readings.map(({ reader }) => reader), onBadLine);
      const [training, evaluation = null] = readings.map((reading) => reading.cut(maxLength));
      for (const cut of [training!, evaluation]) if (cut) refuseNothingLeft(cut, maxLength);
      const held = heldOut(training!, evaluation, options);
      const sides = held.count === 0 ? { train: training!.rows, held: [] } : training!.split(held.has);
      const report = training!.report(onBadLine), evalReport = evaluation?.report(onBadLine) ?? null;
      for (const found of [report, evalReport]) if (found) logReport(found);
      return {
        train: sides.train,
        eval: evaluation?.rows ?? sides.held,
        report,
        evalReport,
        warnings: [
          ...warningsOf(training!, report, maxLength),
          ...(evaluation && evalReport ? warningsOf(evaluation, evalReport, maxLength) : []),
          ...leakWarnings(leaks(training!, evaluation, held)),
        ],
        close: read.close,
      };
    } catch (error) {
      read.close();
      throw error;
    }
  }

  /**
   * Counts what `load()` would give, keeps no rows but a few, and tells bad records instead of refusing them.
   *
   * @param shown Rows to keep, the first ones.
   * @param onProgress Told now and then of the training files as far as they are read.
   * @throws {StorageNotFoundError} @throws {StorageDeniedError}
   */
  async check(
    options: LoadOptions,
    shown: number,
    onProgress?: (training: SourceCheck) => void,
  ): Promise<DataCheck> {
    const { maxLength } = options;
    const told = onProgress &&
      ((reading: Reading) => onProgress(checkOf(reading.cut(maxLength), options, shown, false)));
    const read = await this.#read(options, { most: maxLength, rows: shown }, told);
    try {
      const training = read.training.cut(maxLength), evaluation = read.evaluation?.cut(maxLength) ?? null;
      const held = heldOut(training, evaluation, options);
      return {
        train: checkOf(training, options, shown),
        eval: evaluation && checkOf(evaluation, options, shown),
        ...leaks(training, evaluation, held),
      };
    } finally {
      read.close();
    }
  }

  /**
   * One row as `load()` would give it before the split, with its tokens before cutting; null if there is none of the
   * number. Fast only where readings are shared.
   *
   * @param index From 0, in the order of the training files.
   */
  async row(options: LoadOptions, index: number): Promise<ShownRow | null> {
    const { maxLength } = options;
    const { training, close } = await this.#read(options, { most: maxLength, rows: index + 1 });
    try {
      return training.cut(maxLength).shown(index) ?? null;
    } finally {
      close();
    }
  }

  /** Reads the files of all purposes, or takes them from those who read them before. */
  async #read(
    options: LoadOptions,
    kept: KeptTokens,
    onProgress?: (training: Reading) => void,
  ): Promise<AllRead> {
    const { readings } = this.#options, { evalDataPath } = options, opened: TokenRows[] = [];
    const close = () => opened.forEach((rows) => rows.close());
    const read = async (paths: DataPaths, purpose: DataPurpose, told?: (reading: Reading) => void) => {
      const make = async (keeps: KeptTokens, memoryOnly: boolean) => {
        const reading = this.#newReading(options, keeps, memoryOnly);
        opened.push(reading.rows);
        await this.#fill(reading, await this.#found(paths, purpose), options, told);
        return reading;
      };
      if (!readings) return await make(kept, false);
      const key = await this.#keyOf(await this.#found(paths, purpose), options);
      if (key === null) return await make(kept, false);
      return await readings.of(purpose, key, () => make(WHOLE_ROWS, true));
    };
    try {
      const training = await read(options.trainingDataPath, options.purpose ?? "train", onProgress);
      const evaluation = evalDataPath === null ? null : await read(evalDataPath, "eval");
      return { training, evaluation, close };
    } catch (error) {
      close();
      throw error;
    }
  }

  #newReading(
    { dataFormat, columnMapping = null }: LoadOptions,
    kept: KeptTokens,
    memoryOnly: boolean,
  ): Reading {
    const { tokenizer, formats, readings } = this.#options;
    const { scratch = null, memoryBytes = IDS_IN_MEMORY_BYTES } = this.#options;
    const reader = new DatasetReader({
      format: dataFormat,
      columnMapping,
      ...(formats ? { formats } : {}),
      ...readings?.options,
    });
    const spill = { scratch: memoryOnly ? null : scratch, memoryBytes };
    return new Reading(reader, new TokenRows(tokenizer?.vocabSize ?? 0, spill), kept);
  }

  /** The files that paths stand for. */
  async #found(paths: DataPaths, purpose: DataPurpose): Promise<FoundFile[]> {
    const { dataFiles = (path: string) => Promise.resolve([path]), files } = this.#options;
    const named = [paths].flat().map((path) => dataFiles(path, purpose));
    return await Array.fromAsync(foundFiles((await Promise.all(named)).flat(), files));
  }

  /** What decides a reading's content; null where a file does not tell whether it changes. */
  async #keyOf(found: readonly FoundFile[], options: LoadOptions): Promise<string | null> {
    const { tokenizer, allowSpecialTokens = false, formats = ROW_FORMATS } = this.#options,
      versions: string[] = [];
    for (const { folder, name } of found) {
      const file = await folder.open(name);
      await file.close();
      if (file.version === undefined) return null;
      versions.push(file.uri, String(file.size), file.version);
    }
    const { dataFormat, columnMapping = null, trainOn = null } = options;
    const template = this.#template()?.source ?? null, names = formats.map(({ name }) => name);
    return JSON.stringify([
      versions,
      tokenizer?.fingerprint() ?? null,
      template,
      allowSpecialTokens,
      names,
      dataFormat,
      columnMapping,
      trainOn,
    ]);
  }

  /** Reads files into a reading; without a tokenizer it only counts. */
  async #fill(
    reading: Reading,
    found: readonly FoundFile[],
    { trainOn }: LoadOptions,
    onProgress?: (reading: Reading) => void,
  ): Promise<void> {
    const { tokenizer, allowSpecialTokens = false } = this.#options, { reader } = reading;
    const template = this.#template();
    const how = tokenizer
      ? { tokenizer, template, allowSpecialTokens, ...(trainOn ? { trainOn } : {}) }
      : null;
    let nextTold = performance.now() + FIRST_PROGRESS_MS;
    for (const { folder, name } of found) {
      const file = await folder.open(name);
      try {
        for await (const { example, ...at } of reader.read(file)) {
          if (!how) {
            reading.count(example);
            continue;
          }
          if (example.kind === "messages" && !template) {
            reader.refuse({ file: file.uri, message: NO_TEMPLATE });
            break;
          }
          if (!allowSpecialTokens && holdsSpecialText(example, how.tokenizer)) {
            reader.remarks.add({ ...at, message: SPECIAL_TEXT });
          }
          const labelled = labelledOr(example, how);
          if (typeof labelled === "string") reader.refuse({ ...at, message: labelled });
          else reading.add(example, labelled);
          if (onProgress && performance.now() > nextTold) {
            onProgress(reading);
            nextTold = performance.now() + PROGRESS_MS;
          }
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

function checkOf(cut: CutReading, options: LoadOptions, shown: number, isWhole = true): SourceCheck {
  const { reader, lengths } = cut.reading, { onBadLine = "fail", maxLength } = options;
  const report = cut.report(onBadLine, isWhole);
  return {
    report,
    blankLines: reader.blankLines,
    lengths,
    issues: reader.problems.listed(),
    badLines: reader.problems.count,
    skippable: reader.problems.lines,
    refusals: reader.refusals(onBadLine),
    warnings: isWhole ? warningsOf(cut, report, maxLength) : [],
    repeats: isWhole ? cut.hashes.repeats() : 0,
    samples: cut.first(shown),
  };
}

function warningsOf({ reading: { reader } }: CutReading, report: DataReport, maxLength: number): string[] {
  const { blankLines, remarks } = reader;
  const blank = blankLines === 0 ? [] : [`${report.file}: skipped blank lines: ${blankLines}`];
  return [...blank, ...remarks.listed(), ...reportWarnings(report, maxLength)];
}

/** @throws {DatasetFormatError} If no row has a trained token. */
function refuseNothingLeft({ reading: { reader, lengths }, counts }: CutReading, maxLength: number): void {
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
