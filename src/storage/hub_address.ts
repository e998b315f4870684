/**
 * Names of data sets on the Hub of Hugging Face, and which of their files are meant where none is named.
 *
 * @module
 */
import { StorageNotFoundError } from "../errors.ts";

/** What `hf://datasets/OWNER/NAME@REVISION/PATH` names. */
export interface DatasetAddress {
  /** Without a path: `hf://datasets/OWNER/NAME`. */
  readonly uri: string;
  /** `OWNER/NAME` */
  readonly repo: string;
  /** Branch, tag or commit; `main` where none is given. */
  readonly revision: string;
  /** From the data set's root; empty for the root. */
  readonly path: string;
}

/** What a data set is read for. */
export type DataPurpose = "train" | "eval";

const ADDRESS = /^hf:\/\/datasets\/([\w.-]+\/[\w.-]+)(?:@([^/]+))?(?:\/(.*))?$/;
const DATA_FILE = /\.(jsonl|json|csv|tsv|parquet)$/i;
/** Descriptions that lie beside the data. */
const NO_DATA = /(^|\/)(\.|dataset_infos?\.json$|dataset_dict\.json$|state\.json$)/;

/** Words of splits in names of files, the wanted first. */
const SPLITS: Readonly<Record<DataPurpose, readonly string[]>> = {
  train: ["train", "training"],
  eval: ["validation", "valid", "val", "dev", "eval", "test"],
};

/** Null for what is no address of a data set. A slash at the end does not count. */
export function parseDatasetAddress(uri: string): DatasetAddress | null {
  const [, repo, revision, path = ""] = ADDRESS.exec(uri.replace(/\/+$/, "")) ?? [];
  if (repo === undefined) return null;
  const at = revision === undefined ? "" : `@${revision}`;
  return {
    uri: `hf://datasets/${repo}${at}`,
    repo,
    revision: decodeURIComponent(revision ?? "main"),
    path,
  };
}

/**
 * The files of a split: those whose name has its word, all in one folder and of one kind. A data set of one file has no
 * other choice.
 *
 * @throws {StorageNotFoundError} If it cannot be told; with the files that there are.
 */
export function splitFiles(
  { uri }: DatasetAddress,
  paths: readonly string[],
  purpose: DataPurpose,
): string[] {
  const data = paths.filter((path) => DATA_FILE.test(path) && !NO_DATA.test(path)).sort();
  for (const word of SPLITS[purpose]) {
    const named = data.filter((path) => new RegExp(`(^|[/_.-])${word}([/_.-]|$)`, "i").test(path));
    if (named.length === 0) continue;
    const kinds = new Set(named.map((path) => path.replace(/[^/]*(?=\.\w+$)/, "")));
    if (kinds.size === 1) return named;
    throw unclear(uri, named, `has several sets of "${word}" files`);
  }
  if (purpose === "train" && data.length === 1) return data;
  if (data.length > 0) throw unclear(uri, data, `has no file named after "${SPLITS[purpose][0]}"`);
  const found = paths.slice(0, 8).join(", ") || "none";
  throw new StorageNotFoundError(
    `Cannot take data from "${uri}" as it has no JSON Lines, JSON, CSV or Parquet file (found ${found})`,
  );
}

function unclear(uri: string, paths: readonly string[], problem: string): StorageNotFoundError {
  const shown = paths.slice(0, 6).join(", ") + (paths.length > 6 ? `, and ${paths.length - 6} more` : "");
  return new StorageNotFoundError(
    `Cannot tell which files of "${uri}" are meant as it ${problem} (${shown}): name one, or a pattern, ` +
      `such as "${uri}/${paths[0]}"`,
  );
}
