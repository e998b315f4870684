/**
 * Data that is given, and what it is to training.
 *
 * @module
 */
import type { DatasetIssue } from "../../src/errors.ts";
import type { ByteProgress } from "./job.ts";

/** What becomes a file of this name. */
export interface NamedContent {
  readonly name: string;
  readonly content: Blob;
}

/** Data and what it is for. */
export interface KeptData extends NamedContent {
  readonly purpose: "train" | "eval";
}

/** How far data is read, or what it holds so far. */
export type DataNote = { readonly progress: ByteProgress } | { readonly facts: DataFacts };

/** Text of a rendered row. */
export interface TextPiece {
  readonly text: string;
  /** Whether the loss counts its tokens. */
  readonly trained: boolean;
  /** Whether it is one special token. */
  readonly special: boolean;
  readonly tokens: number;
}

/** A row as it is trained. */
export interface DataRow {
  /** Of its first tokens; more than fit a view are left out. */
  readonly pieces: readonly TextPiece[];
  /** Tokens of it, and those that the loss counts. */
  readonly tokens: number;
  readonly trained: number;
  /** Tokens before cutting. */
  readonly length: number;
}

/** What the data of a job is. */
export interface DataFacts {
  /** Whether all files are read; until then they are told as far as they are. */
  readonly isWhole: boolean;
  /** The training files. */
  readonly file: string;
  /** Tokens that rows are cut at. */
  readonly maxLength: number;
  readonly formats: readonly string[];
  /** Usable rows of the training files, and those kept after cutting. */
  readonly rows: number;
  readonly kept: number;
  readonly cut: number;
  readonly dropped: number;
  readonly tokens: number;
  readonly trainedTokens: number;
  /** Rows to evaluate on: split off, or of files of their own. */
  readonly heldOut: number;
  readonly ownEvaluation: boolean;
  /** Held-out rows that are also trained on. */
  readonly leaked: number;
  readonly issues: readonly DatasetIssue[];
  /** Records that cannot be used, `issues` or not. */
  readonly badLines: number;
  /** Lines among them that can be left out, and those that are. */
  readonly skippable: number;
  readonly skipped: number;
  /** Whether training would refuse the data for what is wrong with it. */
  readonly refused: boolean;
  readonly warnings: readonly string[];
  /** Tokens of the longest row before cutting. */
  readonly longest: number;
  /** Rows by tokens before cutting; the last range may be wider than the others. */
  readonly histogram: readonly { readonly from: number; readonly to: number; readonly rows: number }[];
  /** The first rows as they are trained. */
  readonly samples: readonly DataRow[];
  /** Names of the first record's columns. */
  readonly columns: readonly string[];
}
