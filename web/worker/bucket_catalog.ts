/**
 * The models among the files of a bucket: folders with config.json and safetensors, and GGUF files.
 *
 * @module
 */
import { isGgufName } from "../../src/checkpoint/gguf_model.ts";
import { INDEX_FILE, SINGLE_FILE } from "../../src/checkpoint/weight_files.ts";
import { Crc32c } from "../../src/crc32c.ts";
import { StorageNotFoundError } from "../../src/errors.ts";
import { neededFiles, shardsOf } from "../../src/model_source/needed_files.ts";
import { CONFIG_FILE } from "../../src/models/config.ts";
import { readText } from "../../src/storage.ts";
import { crcHex } from "../../src/storage/checksums.ts";
import type { StoredFile } from "../../src/storage_manager.ts";
import type { BucketReader } from "../storage/bucket_reader.ts";
import { ListedFolder } from "../storage/listed_folder.ts";

/** A model of a bucket. */
export interface RemoteModel {
  /** Of its folder, or of its GGUF file, as the server names it. */
  readonly path: string;
  /** Of the folder that its files lie in. */
  readonly folder: string;
  /** The last part of its path, without the ending of a file. */
  readonly name: string;
  /** What a copy of it has to hold; of weights in several files, all that may be among them. */
  readonly files: readonly StoredFile[];
  /** Another one whenever a file is another one. */
  readonly revision: string;
}

/** A part of a GGUF model, which is not read. */
const SPLIT_GGUF = /-\d{5}-of-\d{5}\.gguf$/i;
const SHARD = /-\d{5}-of-\d{5}\.safetensors$/;

/** Models by their paths, each of which lies directly in one folder. */
export function modelsAmong(files: readonly StoredFile[]): RemoteModel[] {
  const found: RemoteModel[] = [];
  for (const [folder, inside] of Map.groupBy(files, ({ name }) => name.slice(0, name.lastIndexOf("/")))) {
    const named = new Map(inside.map((file) => [file.name.slice(folder.length + 1), file]));
    const names = [...named.keys()];
    if (named.has(CONFIG_FILE) && (named.has(SINGLE_FILE) || named.has(INDEX_FILE))) {
      const { names: needed, index } = neededFiles(folder, names, null, true);
      const all = index === null ? needed : [...needed, index, ...possibleShards(names)];
      found.push(model(folder, folder, all.map((name) => named.get(name)!)));
    }
    for (const name of names) {
      if (isGgufName(name) && !SPLIT_GGUF.test(name)) {
        found.push(model(`${folder}/${name}`, folder, [named.get(name)!]));
      }
    }
  }
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

/**
 * The model at a path by now, with the files that its copy has to hold and no other.
 *
 * @throws {StorageNotFoundError} If it is not there any more, or its index names a file that is not.
 */
export async function findModel(
  storage: BucketReader,
  path: string,
  signal: AbortSignal,
): Promise<RemoteModel> {
  const folder = isGgufName(path) ? path.slice(0, path.lastIndexOf("/")) : path;
  const files = await Array.fromAsync(storage.list(`${folder}/`, signal));
  const found = modelsAmong(files).find((model) => model.path === path);
  if (!found) {
    throw new StorageNotFoundError(
      `Cannot find a model at "${storage.uriOf(path)}" any more: list the models again`,
    );
  }
  const index = found.files.find(({ name }) => name === `${folder}/${INDEX_FILE}`);
  if (!index || isGgufName(path)) return found;
  const shards = shardsOf(await readText(new ListedFolder(storage, folder, [index], signal), INDEX_FILE));
  const missing = shards.find((shard) => !found.files.some(({ name }) => name === `${folder}/${shard}`));
  if (missing !== undefined) {
    throw new StorageNotFoundError(
      `Cannot take the model at "${
        storage.uriOf(path)
      }" as its index names "${missing}", which is not there: ` +
        "put the file there, or take another model",
    );
  }
  const isOther = (name: string) => name.endsWith(".safetensors") && !shards.includes(lastPart(name));
  return { ...found, files: found.files.filter(({ name }) => !isOther(name)) };
}

/** Bytes of a model's files. */
export function modelBytes({ files }: Pick<RemoteModel, "files">): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

/** The part of a path after its last slash. */
export function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Numbered ones, or all where none is: the index tells more, and is not read yet. */
function possibleShards(names: readonly string[]): string[] {
  const numbered = names.filter((name) => SHARD.test(name));
  return numbered.length > 0 ? numbered : names.filter((name) => name.endsWith(".safetensors"));
}

function model(path: string, folder: string, files: readonly StoredFile[]): RemoteModel {
  const sum = new Crc32c();
  for (const { name, size, version } of files.toSorted((a, b) => a.name < b.name ? -1 : 1)) {
    sum.update(new TextEncoder().encode(JSON.stringify([name, size, version])));
  }
  const name = lastPart(path).replace(/\.gguf$/i, "");
  return { path, folder, name, files, revision: crcHex(sum.value) };
}
