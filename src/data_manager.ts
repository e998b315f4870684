import { ChatTemplate, ChatTemplateError } from "./data/chat_template.ts";
import { type DatasetFile, listed, readDatasetFile } from "./data/dataset_file.ts";
import {
  cutExample,
  type Tokenization,
  type TokenizedExample,
  tokenizeExample,
  trainedTokens,
} from "./data/example.ts";
import type { DataFormat } from "./data/formats.ts";
import { type DataReport, lineWarnings, reportWarnings } from "./data/report.ts";
import type { Tokenizer } from "./data/tokenizer.ts";
import { DatasetFormatError, type DatasetIssue } from "./errors.ts";
import { permutation, STREAM } from "./random.ts";
import type { Folder } from "./storage.ts";

export type { DataReport } from "./data/report.ts";

/** What `DataManager` needs. */
export interface DataManagerOptions {
  /** Finds the folder and the name of a data file. */
  readonly files: (uri: string) => { readonly folder: Folder; readonly name: string };
  /** Not needed for `validate()`. */
  readonly tokenizer?: Tokenizer;
  /** Jinja; default the tokenizer's own. */
  readonly chatTemplate?: string | null;
  /** Whether special-token text inside messages becomes special tokens; default false. */
  readonly allowSpecialTokens?: boolean;
}

/** Which data, and how it is split. */
export interface LoadOptions {
  readonly trainingDataPath: string;
  /** Evaluation rows of their own; null to split them off the training rows. */
  readonly evalDataPath: string | null;
  /** Share of the rows that are split off for evaluation, 0 ≤ share < 1; not used with `evalDataPath`. */
  readonly trainTestSplit: number;
  readonly dataFormat: DataFormat;
  /** Longest row in tokens; longer ones keep their start. */
  readonly maxLength: number;
  readonly seed: number;
}

/** Rows ready to train and evaluate on. */
export interface Dataset {
  readonly train: readonly TokenizedExample[];
  readonly eval: readonly TokenizedExample[];
  /** Of the training file, before the split. */
  readonly report: DataReport;
  /** Of the evaluation file; null if there is none. */
  readonly evalReport: DataReport | null;
  readonly warnings: readonly string[];
}

interface Rows {
  readonly examples: readonly TokenizedExample[];
  readonly report: DataReport;
  readonly warnings: readonly string[];
}

/** Turns data files into tokenised rows: checks every line, tokenises, cuts, splits, and tells what it did. */
export class DataManager {
  readonly #options: DataManagerOptions;

  constructor(options: DataManagerOptions) {
    this.#options = options;
  }

  /**
   * Checks every line of a file. Needs no tokenizer, so it can run before a model is fetched.
   *
   * @throws {DatasetFormatError} With all bad lines.
   * @throws {StorageNotFoundError} @throws {StorageDeniedError}
   */
  async validate(path: string, format: DataFormat): Promise<DatasetFile> {
    const { folder, name } = this.#options.files(path);
    const file = await folder.open(name);
    try {
      return await readDatasetFile(file, format);
    } finally {
      await file.close();
    }
  }

  /**
   * Rows to train on and to evaluate on. Split rows are drawn by the seed: round(rows · share), at least one of two
   * or more where the share is above 0, and at least one stays for training.
   *
   * @throws {DatasetFormatError} With all bad lines of both files; with all rows that the chat template refuses; or
   * if `maxLength` leaves no trained token in any row.
   * @throws {StorageNotFoundError} @throws {StorageDeniedError}
   * @throws {TypeError} If this manager was made without a tokenizer.
   */
  async load(options: LoadOptions): Promise<Dataset> {
    const { trainingDataPath, evalDataPath, trainTestSplit, maxLength, seed } = options;
    const paths = evalDataPath === null ? [trainingDataPath] : [trainingDataPath, evalDataPath];
    const files = await this.#validateAll(paths, options.dataFormat);
    const rows: Rows[] = [];
    for (const [i, file] of files.entries()) rows.push(await this.#tokenize(paths[i]!, file, maxLength));
    const [training, evaluation] = rows as [Rows, Rows?];
    const split = evaluation ? 0 : trainTestSplit;
    const { train, held } = splitRows(training.examples, split, seed);
    return {
      train,
      eval: evaluation?.examples ?? held,
      report: training.report,
      evalReport: evaluation?.report ?? null,
      warnings: rows.flatMap(({ warnings }) => warnings),
    };
  }

  async #validateAll(paths: readonly string[], format: DataFormat): Promise<DatasetFile[]> {
    const files: DatasetFile[] = [];
    const issues: DatasetIssue[] = [];
    for (const path of paths) {
      try {
        files.push(await this.validate(path, format));
      } catch (error) {
        if (!(error instanceof DatasetFormatError)) throw error;
        issues.push(...error.issues);
      }
    }
    if (issues.length > 0) throw new DatasetFormatError(issues);
    return files;
  }

  async #tokenize(path: string, file: DatasetFile, maxLength: number): Promise<Rows> {
    const how = this.#tokenization(file);
    const issues: DatasetIssue[] = [];
    const examples: TokenizedExample[] = [];
    const counts = { cut: 0, dropped: 0, lostTokens: 0, longestRow: 0, onlyLastTurn: 0 };
    for (const { line, example } of file.examples) {
      const row = orRefusal(() => tokenizeExample(example, how));
      if (row instanceof ChatTemplateError) {
        issues.push({ file: file.uri, line, message: row.message });
        continue;
      }
      const cut = cutExample(row, maxLength);
      if (cut.example) examples.push(cut.example);
      counts.cut += row.ids.length > maxLength ? 1 : 0;
      counts.dropped += cut.example ? 0 : 1;
      counts.lostTokens += cut.lostTokens;
      counts.longestRow = Math.max(counts.longestRow, row.ids.length);
      counts.onlyLastTurn += row.onlyLastTurn ? 1 : 0;
    }
    if (issues.length > 0) throw new DatasetFormatError(listed(issues));
    if (examples.length === 0) throw nothingLeft(file.uri, maxLength, counts.longestRow);
    const report = {
      file: file.uri,
      format: file.format,
      sha256: await this.#sha256(path),
      rows: file.examples.length,
      kept: examples.length,
      ...counts,
      tokens: examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
      trainedTokens: examples.reduce((sum, { labels }) => sum + trainedTokens(labels), 0),
    };
    return { examples, report, warnings: [...lineWarnings(file), ...reportWarnings(report, maxLength)] };
  }

  #tokenization(file: DatasetFile): Tokenization {
    const { tokenizer, chatTemplate, allowSpecialTokens = false } = this.#options;
    if (!tokenizer) throw new TypeError("Cannot load data without a tokenizer: give one to the DataManager");
    const source = chatTemplate ?? tokenizer.chatTemplate;
    if (file.format === "messages" && source === null) {
      throw new DatasetFormatError([{
        file: file.uri,
        message:
          "has messages, but the model has no chat template: choose an instruction-tuned base model, " +
          "give chat_template_path, or write text rows",
      }]);
    }
    const template = file.format === "messages" && source !== null
      ? new ChatTemplate(source, tokenizer)
      : null;
    return { tokenizer, template, allowSpecialTokens };
  }

  async #sha256(path: string): Promise<string> {
    const { folder, name } = this.#options.files(path);
    const file = await folder.open(name);
    try {
      const digest = await crypto.subtle.digest("SHA-256", await file.read(0, file.size));
      return new Uint8Array(digest).toHex();
    } finally {
      await file.close();
    }
  }
}

/** What the function gives, or the chat template's refusal. */
function orRefusal<T>(make: () => T): T | ChatTemplateError {
  try {
    return make();
  } catch (error) {
    if (error instanceof ChatTemplateError) return error;
    throw error;
  }
}

function splitRows(rows: readonly TokenizedExample[], share: number, seed: number) {
  const wanted = Math.max(Math.round(rows.length * share), share > 0 ? 1 : 0);
  const count = Math.min(wanted, rows.length - 1);
  const held = new Set(permutation(rows.length, { seed, stream: STREAM.split }).subarray(0, count));
  return { train: rows.filter((_, i) => !held.has(i)), held: rows.filter((_, i) => held.has(i)) };
}

function nothingLeft(file: string, maxLength: number, longestRow: number): DatasetFormatError {
  return new DatasetFormatError([{
    file,
    message: `has no trained token within the first ${maxLength} tokens of any row: raise max_length ` +
      `(the longest row has ${longestRow} tokens)`,
  }]);
}
