/**
 * Data as the page's jobs read it: once for its view, its plan and its run.
 *
 * @module
 */
import { isGgufName } from "../../src/checkpoint/gguf_model.ts";
import type { FineTuneJobConfig } from "../../src/config.ts";
import { fileKind } from "../../src/data/file_kind.ts";
import { SharedReadings } from "../../src/data/shared_readings.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { DataManager } from "../../src/data_manager.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { fileAt, type ReadableFolder, readText } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import type { DataFacts, DataNote, DataRow, NamedContent } from "../protocol/data.ts";
import { watchedFolder } from "../storage/watched_folder.ts";
import { columnsOf, factsOf, shownRow } from "./data_facts.ts";
import type { PageFiles } from "./page_files.ts";

/** Bad lines that are shown one by one. */
const MOST_ISSUES = 1000;

/** Bytes of a large file that are looked at before it is kept. */
const PEEK_BYTES = 2 ** 18;
const LINE_FEED = 0x0a;

/** Who waits for data. */
export interface DataWatch {
  /** Ends the reading. */
  readonly signal: AbortSignal;
  /** Told how far the files are read, and what they hold so far. */
  readonly note: (note: DataNote) => void;
}

export class DataDesk {
  /** What jobs of this page read, and share. */
  readonly readings = new SharedReadings({ mostIssues: MOST_ISSUES, excerpts: true });
  readonly #files: PageFiles;
  /** Of the model that was last asked for: parsing it takes longer than a question about a row may. */
  #tokenizer: { readonly uri: string; readonly loaded: Promise<Tokenizer> } | null = null;

  constructor(files: PageFiles) {
    this.#files = files;
  }

  /** What the data of a job is. @throws {StorageNotFoundError} @throws {ModelFormatError} */
  async facts({ job, training }: FineTuneJobConfig, { signal, note }: DataWatch): Promise<DataFacts> {
    const tokenizer = await this.#tokenizerOf(job.baseModel);
    const manager = await this.#manager(
      training,
      tokenizer,
      (uri) => watchedFolder(this.#files.at(uri), { signal, onProgress: (progress) => note({ progress }) }),
    );
    const columns = await columnsOf([job.trainingDataPath].flat()[0]!, this.#files);
    const options = { ...job, ...training }, view = { tokenizer, maxLength: training.maxLength, columns };
    const found = await manager.check(options, SHOWN_ROWS, (train) => {
      const soFar = { train, eval: null, heldOut: 0, leaked: 0 };
      note({ facts: factsOf(soFar, { ...view, isWhole: false }) });
    });
    return factsOf(found, { ...view, isWhole: true });
  }

  /** What the first rows of a large file are; null for a small one, and for one that is no lines. */
  async peek(
    { job, training }: FineTuneJobConfig,
    { name, content }: NamedContent,
  ): Promise<DataFacts | null> {
    if (content.size <= PEEK_BYTES) return null;
    const bytes = new Uint8Array(await content.slice(0, PEEK_BYTES).arrayBuffer());
    const end = bytes.lastIndexOf(LINE_FEED) + 1,
      folder = new MemoryFolder("", { [name]: bytes.subarray(0, end) });
    const file = await folder.open(name), kind = await fileKind(file).catch(() => null);
    if (end === 0 || (kind !== "jsonl" && kind !== "csv")) return null;
    const tokenizer = await this.#tokenizerOf(job.baseModel);
    const manager = await this.#manager(training, tokenizer, () => folder, new SharedReadings());
    const options = { ...job, ...training, trainingDataPath: name, evalDataPath: null, trainTestSplit: 0 };
    const found = await manager.check(options, SHOWN_ROWS), { maxLength } = training;
    return factsOf(found, { tokenizer, maxLength, columns: [], isWhole: false });
  }

  /** A row of it, by its number from 0; null if there is none. */
  async row({ job, training }: FineTuneJobConfig, index: number): Promise<DataRow | null> {
    const tokenizer = await this.#tokenizerOf(job.baseModel);
    const manager = await this.#manager(training, tokenizer, this.#files.at);
    const row = await manager.row({ ...job, ...training }, index);
    return row && shownRow(row, tokenizer);
  }

  /** Models have come or gone: their names may stand for others. */
  forgetModels(): void {
    this.#tokenizer = null;
  }

  async #manager(
    { allowSpecialTokens, chatTemplatePath }: FineTuneJobConfig["training"],
    tokenizer: Tokenizer,
    files: (uri: string) => ReadableFolder,
    readings: SharedReadings = this.readings,
  ): Promise<DataManager> {
    const template = chatTemplatePath === null ? null : fileAt(this.#files.at, chatTemplatePath);
    return new DataManager({
      files: (uri) => fileAt(files, uri),
      tokenizer,
      chatTemplate: template && await readText(template.folder, template.name),
      allowSpecialTokens,
      readings,
    });
  }

  #tokenizerOf(uri: string): Promise<Tokenizer> {
    if (this.#tokenizer?.uri === uri) return this.#tokenizer.loaded;
    const loaded = this.#load(uri), held = { uri, loaded };
    this.#tokenizer = held;
    loaded.catch(() => {
      if (this.#tokenizer === held) this.#tokenizer = null;
    });
    return loaded;
  }

  async #load(uri: string): Promise<Tokenizer> {
    if (!isGgufName(uri)) return await Tokenizer.load(this.#files.at(uri));
    const base = await new ModelManager(this.#files.at).open(uri);
    try {
      return await Tokenizer.load(base.folder);
    } finally {
      await base.weights.close();
    }
  }
}

/** Rows that come with the facts. */
const SHOWN_ROWS = 8;
