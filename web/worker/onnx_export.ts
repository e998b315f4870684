/**
 * A model as transformers.js runs it, made by the page itself: base and adapter merged, written as ONNX into the browser's
 * own storage. Nothing is computed on a GPU.
 *
 * @module
 */
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { exportOnnx } from "../../src/export/onnx_model.ts";
import { openExportSource } from "../../src/export/source.ts";
import { filesBelow } from "../../src/storage/files_below.ts";
import type { ExportedModel, OnnxOrder } from "../protocol/chat.ts";
import { clearStage, stageFolder } from "../storage/stage.ts";
import { blobOf } from "../storage/stored_copy.ts";
import { chatPlace } from "./chat_place.ts";
import type { ExportDeps } from "./run_export.ts";

/**
 * Exports what is to be talked to.
 *
 * @throws As {@link exportOnnx}, and if the run or its base model is not there.
 */
export async function onnxModel(
  { subject, side }: OnnxOrder,
  { root, files, signal }: Omit<ExportDeps, "onProgress">,
): Promise<ExportedModel> {
  const { baseModel, adapter, chatTemplatePath, examples } = await chatPlace(subject, files.at);
  await clearStage(root);
  const source = await openExportSource(files.at, {
    model: side === "adapter" ? adapter! : baseModel,
    adapter: null,
    baseModel: null,
    quantization: null,
    chatTemplate: chatTemplatePath,
  });
  try {
    const tokenizer = await Tokenizer.load(source.base.folder), out = stageFolder(root);
    // of a call only the last token is wanted; floats of 32 bits are what WebAssembly computes with
    await exportOnnx(out, { source, type: "F32", logits: "last", signal });
    const found = await filesBelow(out);
    return {
      files: await Promise.all(
        found.map(async ({ name: path, folder, file }) => ({ path, content: await blobOf(folder, file) })),
      ),
      hasTemplate: (source.chatTemplate ?? tokenizer.chatTemplate) !== null,
      contextLength: source.base.config.maxPositionEmbeddings,
      examples,
    };
  } finally {
    await source.close();
  }
}
