/**
 * The base models that the page can take: of the device's store, of picked files, of the page's server.
 *
 * @module
 */
import { isGgufName } from "../../src/checkpoint/gguf_model.ts";
import { readLicense } from "../../src/checkpoint/model_card.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { StorageDeniedError } from "../../src/errors.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { type Folder, writeFile } from "../../src/storage.ts";
import { filesBelow } from "../../src/storage/files_below.ts";
import type { ChatFacts } from "../protocol/chat.ts";
import type { KeptModel, ModelFacts, PickedFile, PickedFiles } from "../protocol/models.ts";
import { serverModelId, serverModelPath } from "../server_model.ts";
import { copyTo } from "../storage/stored_copy.ts";
import { bytesHere, downloadBytes, isWhole, readDownload } from "./download_record.ts";
import type { PageFiles } from "./page_files.ts";

/** Where models are kept on the device. */
export const SHELF = "device/models";

export class ModelShelf {
  readonly #files: PageFiles;

  constructor(files: PageFiles) {
    this.#files = files;
  }

  /** The models that are kept on the device, and those whose download was begun. */
  async list(): Promise<KeptModel[]> {
    const shelf = this.#files.at(SHELF), found: KeptModel[] = [];
    for (const name of await shelf.folders()) {
      const folder = shelf.folder(name), record = await readDownload(folder);
      const files = await filesBelow(folder), bytes = files.reduce((sum, { size }) => sum + size, 0);
      found.push({
        uri: await modelPath(folder, `${SHELF}/${name}`),
        bytes,
        source: record && { path: record.path, revision: record.revision },
        download: record && !isWhole(record)
          ? { bytes: await bytesHere(folder, record), totalBytes: downloadBytes(record) }
          : null,
      });
    }
    return found;
  }

  /** Paths of the models that the page's server has, base models first; none where there is no server. */
  async listServer(): Promise<string[]> {
    const { server } = this.#files;
    if (!server) return [];
    const { LowrankServer } = await import("../lowrank_server.ts");
    return (await new LowrankServer(server).models()).map(({ id }) => serverModelPath(id));
  }

  /** Whether a model knows conversations, and how long they may be. @throws As {@link facts}. */
  async conversationFacts(uri: string): Promise<Pick<ChatFacts, "hasTemplate" | "contextLength">> {
    const base = await new ModelManager(this.#files.at).open(await this.path(uri));
    try {
      const { chatTemplate } = await Tokenizer.load(base.folder);
      return { hasTemplate: chatTemplate !== null, contextLength: base.config.maxPositionEmbeddings };
    } finally {
      await base.weights.close();
    }
  }

  /** The path by which a folder's model is taken. */
  async path(uri: string): Promise<string> {
    return serverModelId(uri) === null ? uri : await modelPath(this.#files.at(uri), uri);
  }

  /** Makes picked files a model of this visit; gives its path. */
  async pick({ name, files }: PickedFiles): Promise<string> {
    const uri = this.#files.pick(name, new Map(files.map(({ path, file }) => [path, file])));
    return await modelPath(this.#files.at(uri), uri);
  }

  /** Copies picked files into the device's store; gives the model's path there. */
  async keep({ name, files }: PickedFiles): Promise<string> {
    const writer = await this.#files.at(SHELF).createFolder(name);
    try {
      for (const { path, file } of files) await keepFile(writer.folder, path, file);
      await writer.commit();
    } finally {
      await writer.abort();
    }
    return await modelPath(this.#files.at(`${SHELF}/${name}`), `${SHELF}/${name}`);
  }

  /** @throws {StorageDeniedError} While it is downloaded, here or in another tab. */
  async remove(uri: string): Promise<void> {
    const [, name] = new RegExp(`^${SHELF}/([^/]+)`).exec(uri) ?? [];
    if (name === undefined) return;
    const shelf = this.#files.at(SHELF), lock = await shelf.folder(name).lock?.();
    if (lock === null) {
      throw new StorageDeniedError(`Cannot delete "${name}" while it is downloaded: cancel that first`);
    }
    try {
      await shelf.removeFolder(name);
    } finally {
      await lock?.release();
    }
  }

  /** As {@link readModelFacts}. */
  facts(uri: string): Promise<ModelFacts> {
    return readModelFacts(this.#files, uri);
  }
}

/**
 * What a model is, by its description and the headers of its files.
 *
 * @throws {StorageNotFoundError} @throws {UnsupportedModelError} @throws {ModelFormatError}
 */
export async function readModelFacts(files: Pick<PageFiles, "at">, uri: string): Promise<ModelFacts> {
  const base = await new ModelManager(files.at).open(uri);
  try {
    const { modelType, numHiddenLayers, hiddenSize, vocabSize, maxPositionEmbeddings } = base.config;
    const infos = [...base.weights.infos.values()];
    return {
      uri,
      modelType,
      parameters: ModelManager.countParameters(base),
      bytes: infos.reduce((sum, { byteLength }) => sum + byteLength, 0),
      packing: ModelManager.packing(base),
      license: (await readLicense(base.folder))?.license ?? null,
      layers: numHiddenLayers,
      hiddenSize,
      vocabSize,
      contextLength: maxPositionEmbeddings,
    };
  } finally {
    await base.weights.close();
  }
}

/** The folder, or the GGUF file that is its only model. */
async function modelPath(folder: Folder, uri: string): Promise<string> {
  const names = await folder.list();
  const gguf = names.includes("config.json") ? undefined : names.find(isGgufName);
  return gguf === undefined ? uri : `${uri}/${gguf}`;
}

async function keepFile(folder: Folder, path: PickedFile["path"], file: File): Promise<void> {
  const parts = path.split("/"), name = parts.pop()!;
  const into = parts.reduce((outer, part) => outer.folder(part), folder);
  if (file.size === 0) await writeFile(into, name, "");
  else await copyTo(into, name, file);
}
