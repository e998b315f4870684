/**
 * What is said about a data set's records: problems one by one as far as anyone reads, remarks by kind.
 *
 * @module
 */
import type { DatasetIssue } from "../errors.ts";

/** How many problems are listed; the rest is counted. */
export const MAX_LISTED_ISSUES = 50;

/** Reasons why records cannot be used. */
export class Problems {
  readonly #first: DatasetIssue[] = [];
  #count = 0;

  /** How many there are, listed or not. */
  get count(): number {
    return this.#count;
  }

  add(issue: DatasetIssue): void {
    if (this.#count++ < MAX_LISTED_ISSUES) this.#first.push(issue);
  }

  /** The first problems, and how many more there are. */
  listed(): DatasetIssue[] {
    const rest = this.#count - this.#first.length;
    if (rest === 0) return [...this.#first];
    return [...this.#first, { file: this.#first[0]!.file, message: `and ${rest} more lines with problems` }];
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
