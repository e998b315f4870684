/**
 * What is said about a data set's records: problems one by one as far as anyone reads, remarks by kind.
 *
 * @module
 */
import type { DatasetIssue } from "../errors.ts";

/** How many problems are listed; the rest is counted. */
export const MAX_LISTED_ISSUES = 50;

/** What becomes of a line that cannot be used: the data are refused, or it is left out. */
export type OnBadLine = "fail" | "skip";

/** Reasons why records cannot be used. */
export class Problems {
  readonly #most: number;
  readonly #first: DatasetIssue[] = [];
  readonly #firstLines: DatasetIssue[] = [];
  readonly #firstOfFiles: DatasetIssue[] = [];
  #count = 0;
  #lines = 0;

  /** @param most How many are listed; default MAX_LISTED_ISSUES. */
  constructor(most: number = MAX_LISTED_ISSUES) {
    this.#most = most;
  }

  /** How many there are, listed or not. */
  get count(): number {
    return this.#count;
  }

  /** Lines among them: records that can be left out. */
  get lines(): number {
    return this.#lines;
  }

  /** @param isLine Whether the file can be used without the record; default where a line is named. */
  add(issue: DatasetIssue, isLine: boolean = issue.line !== undefined): void {
    if (this.#count++ < this.#most) this.#first.push(issue);
    if (isLine) this.#lines++;
    const ofKind = isLine ? this.#firstLines : this.#firstOfFiles;
    if (ofKind.length < this.#most) ofKind.push(issue);
  }

  /** The first problems, and how many more there are. */
  listed(): DatasetIssue[] {
    const rest = this.#count - this.#first.length;
    if (rest === 0) return [...this.#first];
    return [...this.#first, { file: this.#first[0]!.file, message: `and ${rest} more lines with problems` }];
  }

  /** The first of those that are lines. */
  firstLines(): readonly DatasetIssue[] {
    return this.#firstLines;
  }

  /** The first of those that leaving out lines does not mend. */
  ofFiles(): readonly DatasetIssue[] {
    return this.#firstOfFiles;
  }
}

/** Remarks on records that are used nevertheless: one for each kind, with how many records it concerns. */
export class Remarks {
  readonly #kinds = new Map<string, { readonly first: DatasetIssue; count: number }>();

  add(issue: DatasetIssue): void {
    const kind = `${issue.file}\n${issue.message}`;
    const known = this.#kinds.get(kind);
    if (known) known.count++;
    else this.#kinds.set(kind, { first: issue, count: 1 });
  }

  /** One sentence each, such as `train.jsonl:7 and 2 more: starts with an assistant turn`. */
  listed(): string[] {
    return [...this.#kinds.values()].map(({ first: { file, line, message }, count }) =>
      `${file}:${line}${count === 1 ? "" : ` and ${count - 1} more`}: ${message}`
    );
  }
}
