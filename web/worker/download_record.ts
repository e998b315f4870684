/**
 * What lies beside a model that is copied onto the device: where it comes from, and which of its files are whole. Until
 * all are, the model does not count; a model without it is one that the user picked.
 *
 * @module
 */
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import type { StoredFile } from "../../src/storage_manager.ts";

/** Written before the first file and after each that is whole. */
export const DOWNLOAD_FILE = "download.json";

export interface DownloadRecord {
  readonly version: 1;
  /** Where the model is, as the server names it. */
  readonly path: string;
  /** As `RemoteModel` has it. */
  readonly revision: string;
  /** All files of the model, by their names in its folder here. */
  readonly files: readonly StoredFile[];
  /** Names of those that are here and verified. */
  readonly whole: readonly string[];
}

/** Null where there is none, or none that this version reads: its model is begun again then. */
export async function readDownload(folder: Folder): Promise<DownloadRecord | null> {
  if (!await folder.exists(DOWNLOAD_FILE)) return null;
  try {
    const record = JSON.parse(await readText(folder, DOWNLOAD_FILE));
    return record?.version === 1 ? record : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

export async function writeDownload(folder: Folder, record: DownloadRecord): Promise<void> {
  await writeFile(folder, DOWNLOAD_FILE, `${JSON.stringify(record)}\n`);
}

/** Whether every file is here. */
export function isWhole({ files, whole }: DownloadRecord): boolean {
  return files.every(({ name }) => whole.includes(name));
}

/** Bytes of all files. */
export function downloadBytes({ files }: DownloadRecord): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

/** Bytes of a download that are here, those of unfinished files among them. */
export async function bytesHere(folder: Folder, { files, whole }: DownloadRecord): Promise<number> {
  let bytes = 0;
  for (const { name, size } of files) {
    bytes += whole.includes(name) ? size : Math.min(size, await sizeOf(folder, name));
  }
  return bytes;
}

/** Bytes of a file; 0 where there is none. */
async function sizeOf(folder: Folder, name: string): Promise<number> {
  if (!await folder.exists(name)) return 0;
  const reader = await folder.open(name);
  await reader.close();
  return reader.size;
}
