/**
 * The weights of a model folder as Hugging Face lays them out: one `model.safetensors`, or several files
 * and a `model.safetensors.index.json` that says which tensor lies in which.
 *
 * @module
 */

import { BF16, F16, type GroupedFormat, wordsOf } from "../../kernels/packed/kernel.ts";
import { ModelFormatError, StorageNotFoundError } from "../errors.ts";
import { type ReadableFolder, readText } from "../storage.ts";
import { SafetensorsFile, type TensorInfo, type TensorSource } from "./safetensors.ts";

/** The file that holds all weights when they are not split. */
export const SINGLE_FILE = "model.safetensors";

/** The file that maps tensor names to files when they are split. */
export const INDEX_FILE = "model.safetensors.index.json";

/** All tensors of a model. */
export interface ModelWeights extends TensorSource {
  /** Names of the files, sorted, each with the tensors it contributes. */
  readonly files: ReadonlyMap<string, readonly TensorInfo[]>;
}

/** All tensors of a model folder, whichever file they lie in. */
export class WeightFiles implements ModelWeights {
  /** By name, file by file in the order of the data. */
  readonly infos: ReadonlyMap<string, TensorInfo>;
  readonly files: ReadonlyMap<string, readonly TensorInfo[]>;
  readonly #uri: string;
  readonly #sources: ReadonlyMap<string, SafetensorsFile>;
  readonly #opened: readonly SafetensorsFile[];

  private constructor(uri: string, opened: ReadonlyMap<string, SafetensorsFile>, fileOf: FileOf | null) {
    this.#uri = uri;
    this.#opened = [...opened.values()];
    this.files = new Map(
      [...opened].map(([file, { infos }]) => {
        return [file, [...infos.values()].filter(({ name }) => !fileOf || fileOf.get(name) === file)];
      }),
    );
    this.#sources = new Map(
      [...this.files].flatMap(([file, infos]) => infos.map(({ name }) => [name, opened.get(file)!] as const)),
    );
    this.infos = new Map([...this.files.values()].flat().map((info) => [info.name, info]));
  }

  /**
   * Opens `model.safetensors`, or else every file that the index names.
   *
   * @throws {StorageNotFoundError} If the folder holds neither.
   * @throws {ModelFormatError} If a file is damaged, the index names a file that is missing, or a tensor that
   * its file does not hold.
   */
  static async open(folder: ReadableFolder): Promise<WeightFiles> {
    if (await folder.exists(SINGLE_FILE)) {
      const file = await SafetensorsFile.open(folder, SINGLE_FILE);
      return new WeightFiles(folder.uri, new Map([[SINGLE_FILE, file]]), null);
    }
    if (!await folder.exists(INDEX_FILE)) throw noWeights(folder.uri, await folder.list());
    const fileOf = parseIndex(await readText(folder, INDEX_FILE), `${folder.uri}/${INDEX_FILE}`);
    const opened = new Map<string, SafetensorsFile>();
    try {
      for (const name of [...new Set(fileOf.values())].sort()) {
        opened.set(name, await openShard(folder, name));
      }
      checkIndex(fileOf, opened, folder.uri);
      return new WeightFiles(folder.uri, opened, fileOf);
    } catch (error) {
      await Promise.all([...opened.values()].map((file) => file.close()));
      throw error;
    }
  }

  /** Whether the model has a tensor of this name. */
  has(name: string): boolean {
    return this.#sources.has(name);
  }

  async readRaw(name: string, firstByte?: number, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#source(name).readRaw(name, firstByte, byteLength);
  }

  async readF32(name: string): Promise<Float32Array<ArrayBuffer>> {
    return await this.#source(name).readF32(name);
  }

  async readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>> {
    return await this.#source(name).readRowsF32(name, firstRow, rowCount);
  }

  /** Halves can stay as they are on the GPU. */
  formatOf(name: string): GroupedFormat | null {
    const dtype = this.infos.get(name)?.dtype;
    return dtype === "F16" ? F16 : dtype === "BF16" ? BF16 : null;
  }

  /** Rows of halves, two values a word. */
  async readWords(name: string, firstRow: number, rowCount: number): Promise<Uint32Array<ArrayBuffer>> {
    const { shape, byteLength } = this.infos.get(name)!, rowBytes = byteLength / shape[0]!;
    return wordsOf(await this.readRaw(name, firstRow * rowBytes, rowCount * rowBytes));
  }

  /** Closes every file. */
  async close(): Promise<void> {
    await Promise.all(this.#opened.map((file) => file.close()));
  }

  #source(name: string): SafetensorsFile {
    const source = this.#sources.get(name);
    if (source) return source;
    throw new ModelFormatError(
      `Cannot read tensor "${name}" of "${this.#uri}": ${[...this.files.keys()].join(", ")} hold ` +
        `${this.infos.size} tensors, none of that name`,
    );
  }
}

/** File name by tensor name. */
type FileOf = ReadonlyMap<string, string>;

async function openShard(folder: ReadableFolder, name: string): Promise<SafetensorsFile> {
  if (!await folder.exists(name)) {
    throw new ModelFormatError(
      `Cannot read the model in "${folder.uri}": ${INDEX_FILE} names "${name}", which is missing; fetch it`,
    );
  }
  return await SafetensorsFile.open(folder, name);
}

function parseIndex(text: string, uri: string): FileOf {
  const fail = (problem: string) => new ModelFormatError(`Cannot read "${uri}": ${problem}`);
  let root: { weight_map?: unknown } | null;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw fail(`it is not JSON: ${(error as Error).message}`);
  }
  const map = root?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map) || Object.keys(map).length === 0) {
    throw fail("weight_map is missing or empty, a map of tensor names to files is wanted");
  }
  return new Map(
    Object.entries(map).map(([tensor, file]) => {
      if (typeof file === "string" && /^[^/\\]+\.safetensors$/.test(file)) return [tensor, file];
      throw fail(
        `weight_map gives tensor "${tensor}" the file ${JSON.stringify(file)}, NAME.safetensors is wanted`,
      );
    }),
  );
}

function checkIndex(fileOf: FileOf, opened: ReadonlyMap<string, SafetensorsFile>, uri: string): void {
  for (const [tensor, file] of fileOf) {
    if (opened.get(file)!.infos.has(tensor)) continue;
    throw new ModelFormatError(
      `Cannot read the model in "${uri}": ${INDEX_FILE} says that "${file}" holds tensor "${tensor}", ` +
        "which it does not; fetch both again",
    );
  }
}

function noWeights(uri: string, found: readonly string[]): StorageNotFoundError {
  return new StorageNotFoundError(
    `Cannot find weights in "${uri}": neither ${SINGLE_FILE} nor ${INDEX_FILE} is there ` +
      `(found: ${found.join(", ") || "nothing"}); convert other formats to safetensors first`,
  );
}
