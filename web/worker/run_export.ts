/**
 * One file of what a run has trained: its adapter, base and adapter merged, or that as GGUF. It goes to a file of the
 * user's where the browser offers one, else through the browser's own storage.
 *
 * @module
 */
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, findAdapter } from "../../src/checkpoint/adapter.ts";
import { copyFile, isLicence } from "../../src/checkpoint/copied_files.ts";
import { mergeModel } from "../../src/checkpoint/merge.ts";
import { MODEL_CARD_FILE } from "../../src/checkpoint/model_card.ts";
import { checkpointName } from "../../src/checkpoint/resume.ts";
import { exportGguf } from "../../src/export/gguf_model.ts";
import { type ExportSource, openExportSource } from "../../src/export/source.ts";
import { mergeParts } from "../../src/model_manager.ts";
import type { Folder } from "../../src/storage.ts";
import type { ByteProgress } from "../protocol/job.ts";
import type { Exported, ExportOrder } from "../protocol/runs.ts";
import { clearStage, stageFolder } from "../storage/stage.ts";
import { blobOf, copyStreamTo } from "../storage/stored_copy.ts";
import { zipOf } from "../storage/zip_folder.ts";
import type { PageFiles } from "./page_files.ts";

/** What an adapter is made of. */
const ADAPTER_FILES: readonly string[] = [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE];

/** What an export needs. */
export interface ExportDeps {
  /** Of the store: runs, and what is staged. */
  readonly root: Folder;
  readonly files: PageFiles;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: ByteProgress) => void;
}

/**
 * Makes the file.
 *
 * @throws {StorageNotFoundError} If the run, its base model or the checkpoint is not there.
 * @throws {UnsupportedModelError} @throws {ModelFormatError} @throws {RangeError} If it cannot be merged or written so.
 * @throws {StorageDeniedError} If there is no room for it. @throws The signal's reason.
 */
export async function exportRun(order: ExportOrder, deps: ExportDeps): Promise<Exported> {
  await clearStage(deps.root);
  const { run, checkpoint, what, ggufType } = order;
  const name = checkpoint === null ? run : `${run}-step-${checkpoint}`;
  switch (what) {
    case "adapter":
      return await delivered(`${name}-adapter.zip`, adapterZip(order, deps), order, deps);
    case "merged":
      return await delivered(`${name}-merged.zip`, mergedZip(order, deps), order, deps);
    case "gguf":
      return await gguf(`${name}-${ggufType.toLowerCase()}.gguf`, order, deps);
  }
}

/** The folder of what was trained. */
function trainedFolder({ run, checkpoint }: ExportOrder): string {
  return checkpoint === null ? `runs/${run}` : `runs/${run}/${checkpointName(checkpoint)}`;
}

function adapterZip(order: ExportOrder, { files, signal }: ExportDeps): ReadableStream<Uint8Array> {
  return zipOf(async (zip) => {
    const trained = files.at(trainedFolder(order));
    const folder = await findAdapter(order.checkpoint === null ? trained.folder("adapter") : trained);
    const others = (await folder.list()).filter((name) => name === MODEL_CARD_FILE || isLicence(name));
    for (const name of [...ADAPTER_FILES, ...others]) await copyFile(folder, zip, name);
  }, signal);
}

function mergedZip(
  order: ExportOrder,
  { files, signal, onProgress }: ExportDeps,
): ReadableStream<Uint8Array> {
  return zipOf((zip) =>
    withSource(order, files, async ({ base, adapter }) => {
      await mergeModel({
        ...mergeParts(base, adapter!),
        out: zip,
        onProgress: (progress) => {
          signal.throwIfAborted();
          onProgress(progress);
        },
      });
    }), signal);
}

/** A GGUF file is read back after it was written, which a stream cannot be. */
async function gguf(name: string, order: ExportOrder, deps: ExportDeps): Promise<Exported> {
  const { files, signal, onProgress } = deps, stage = stageFolder(deps.root);
  await withSource(
    order,
    files,
    (source) => exportGguf(stage, name, { source, type: order.ggufType, signal, onProgress }),
  );
  const content = await blobOf(stage, name);
  if (order.target === null) return { name, content };
  await content.stream().pipeTo(await order.target.createWritable(), { signal });
  await stage.remove(name);
  return { name, content: null };
}

async function withSource(
  order: ExportOrder,
  files: PageFiles,
  act: (source: ExportSource) => Promise<unknown>,
): Promise<void> {
  const nothingElse = { adapter: null, baseModel: null, quantization: null, chatTemplate: null };
  const source = await openExportSource(files.at, { model: trainedFolder(order), ...nothingElse });
  try {
    await act(source);
  } finally {
    await source.close();
  }
}

async function delivered(
  name: string,
  content: ReadableStream<Uint8Array>,
  { target }: ExportOrder,
  { root, signal }: ExportDeps,
): Promise<Exported> {
  if (target) {
    // an interrupted write leaves the user's file as it was
    await content.pipeTo(await target.createWritable() as WritableStream<Uint8Array>, { signal });
    return { name, content: null };
  }
  const stage = stageFolder(root);
  await copyStreamTo(stage, name, content);
  return { name, content: await blobOf(stage, name) };
}
