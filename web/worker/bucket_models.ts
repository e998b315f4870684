/**
 * The models in buckets of the page's server as the worker has them: listed, looked at where they are, copied onto the device.
 * Loaded when somebody asks.
 *
 * @module
 */
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { StorageInterruptedError } from "../../src/errors.ts";
import type { RetryPolicy } from "../../src/storage/retry.ts";
import type { StoredFile } from "../../src/storage_manager.ts";
import type { JobPlan, Wire } from "../protocol/job.ts";
import type {
  BucketCatalog,
  BucketModelFacts,
  BucketModelOrder,
  BucketPlaces,
  DownloadProgress,
} from "../protocol/models.ts";
import { type PlainError, plainError } from "../protocol/plain_error.ts";
import { BucketReader } from "../storage/bucket_reader.ts";
import { BucketStore } from "../storage/bucket_store.ts";
import { ListedFolder } from "../storage/listed_folder.ts";
import { findModel, modelBytes, modelsAmong } from "./bucket_catalog.ts";
import { downloadModel } from "./model_download.ts";
import { readModelFacts, SHELF } from "./model_shelf.ts";
import type { PageFiles } from "./page_files.ts";
import { planJob } from "./plan_job.ts";

/** Files of a place that are looked through for models. */
const MOST_FILES = 20_000;

/** A download goes on by itself when the connection comes back within a minute or two. */
const DOWNLOAD_RETRIES: RetryPolicy = { attempts: 12, pauseMs: 500, stallMs: 30_000 };

/** Between two notes, ms. */
const NOTE_MS = 200;

/** Lists the models below some places. One that cannot be listed does not hide the others. */
export async function listBucketModels(
  { server, places }: BucketPlaces,
  signal: AbortSignal,
): Promise<BucketCatalog> {
  const storage = new BucketReader(new BucketStore(server));
  const models = new Map<string, BucketCatalog["models"][number]>();
  const problems: { place: string; problem: PlainError }[] = [], cut: string[] = [];
  for (const place of places) {
    try {
      const files: StoredFile[] = [];
      for await (const file of storage.list(`${place}/`, signal)) {
        if (files.push(file) < MOST_FILES) continue;
        cut.push(place);
        break;
      }
      for (const model of modelsAmong(files)) {
        const { path, name, revision } = model;
        models.set(path, { path, name, revision, bytes: modelBytes(model) });
      }
    } catch (error) {
      signal.throwIfAborted();
      problems.push({ place, problem: plainError(error) });
    }
  }
  return { models: [...models.values()].sort((a, b) => a.name < b.name ? -1 : 1), problems, cut };
}

/** What a model is, and what a run with it would take, from its description and the headers of its files alone. */
export async function lookAtBucketModel(
  { server, path, config }: BucketModelOrder & { readonly config: Wire | null },
  files: PageFiles,
  signal: AbortSignal,
): Promise<BucketModelFacts> {
  const storage = new BucketReader(new BucketStore(server));
  const model = await findModel(storage, path, signal);
  const folder = new ListedFolder(storage, model.folder, model.files, signal), uri = storage.uriOf(path);
  const at = { at: (name: string) => name.startsWith(folder.uri) ? folder : files.at(name) };
  const facts = await readModelFacts(at, uri);
  let plan: JobPlan | null = null, problem: PlainError | null = null;
  try {
    if (config) plan = await planJob(parseFineTuneJobConfig({ ...config, base_model: uri }), at, signal);
  } catch (error) {
    signal.throwIfAborted();
    problem = plainError(error);
  }
  return { facts, downloadBytes: modelBytes(model), plan, problem };
}

/** How {@link keepBucketModel} reaches the outside. */
export interface KeepOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: DownloadProgress) => void;
  /** Default: the browser's own. */
  readonly fetch?: typeof fetch;
  readonly retries?: RetryPolicy;
  /** Bytes that may still be kept, null where nobody tells. Default: as the browser has it. */
  readonly room?: () => Promise<number | null>;
}

/** Copies a model onto the device; gives its path there. */
export async function keepBucketModel(
  { server, path }: BucketModelOrder,
  files: Pick<PageFiles, "at">,
  { signal, onProgress, fetch: fetcher, retries = DOWNLOAD_RETRIES, room = browserRoom }: KeepOptions,
): Promise<string> {
  let here = 0, received = 0, totalBytes = 0, problem: PlainError | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const note = () => {
    clearTimeout(timer);
    timer = undefined;
    onProgress({ bytes: Math.min(here + received, totalBytes), totalBytes, received, problem });
  };
  const store = new BucketStore(server, {
    ...(fetcher ? { fetch: fetcher } : {}),
    ...(retries.stallMs === undefined ? {} : { stallMs: retries.stallMs }),
    onReceived: (bytes) => {
      if (totalBytes === 0) return; // of what is read to find the files
      received += bytes;
      problem = null;
      timer ??= setTimeout(note, NOTE_MS);
    },
    onBreak: (error) => {
      if (!(error instanceof StorageInterruptedError)) return;
      problem = plainError(error);
      note();
    },
  });
  const storage = new BucketReader(store, retries);
  const shelf = files.at(SHELF);
  try {
    const name = await downloadModel({
      ...{ shelf, storage, signal, room },
      look: () => findModel(storage, path, signal),
      onProgress: (progress) => {
        [here, received, totalBytes] = [progress.bytes, 0, progress.totalBytes];
        note();
      },
    });
    return `${SHELF}/${name}`;
  } finally {
    clearTimeout(timer);
  }
}

/** Bytes that the browser will still take; null where it does not tell. */
async function browserRoom(): Promise<number | null> {
  const { quota, usage } = await navigator.storage?.estimate?.() ?? {};
  return quota === undefined ? null : quota - (usage ?? 0);
}
