/**
 * `lowrank export ollama`: the model or its adapter, and the Modelfile that makes them one of Ollama's.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { chatParts } from "../export/chat_parts.ts";
import { exportGgufLora } from "../export/gguf_lora.ts";
import { type GgufVocabulary, ggufVocabulary } from "../export/gguf_vocabulary.ts";
import { goTemplate, modelfile } from "../export/modelfile.ts";
import { type Folder, writeFile } from "../storage.ts";
import { modelType, TYPE_WORDS, writeModel } from "./export_gguf.ts";
import { besideModel, choiceIssues, type ExportTask, type ExportWriter } from "./export_task.ts";
import { painter, wantsColor } from "./paint.ts";
import { isOn, readFlagFile, textOf } from "./generate_flags.ts";

const MODELFILE = "Modelfile";

/** Writes a folder for `ollama create`. */
export const ollama: ExportWriter = {
  check: (flags) => choiceIssues(flags, "type", TYPE_WORDS),
  async write(task) {
    const { flags, source, io, files } = task;
    const uri = (textOf(flags, "out") ?? besideModel(task.model, "ollama")).replace(/(?<=.)\/+$/, "");
    const folder = files(uri), from = textOf(flags, "from");
    await refuseUsed(folder, uri, isOn(flags, "overwrite"));
    const { base, chatTemplate } = source;
    const vocabulary = await ggufVocabulary(base.folder, base.config, chatTemplate);
    const template = await templateOf(task, vocabulary); // before gigabytes are written
    const file = from === null
      ? `${source.name}-${modelType(task).toLowerCase()}.gguf`
      : `${source.name}-lora.gguf`;
    if (from === null) await writeModel(task, { folder, name: file, uri: `${uri}/${file}` });
    else await exportGgufLora(folder, file, { source, type: "F32" });
    const text = modelfile({
      from: from ?? `./${file}`,
      adapter: from === null ? null : `./${file}`,
      template,
      system: textOf(flags, "system"),
      stops: vocabulary.stops,
    });
    await writeFile(folder, MODELFILE, text);
    if (!isOn(flags, "quiet")) io.stdout.write(`ollama create ${source.name} -f ${uri}/${MODELFILE}\n`);
  },
};

async function refuseUsed(folder: Folder, uri: string, overwrite: boolean): Promise<void> {
  const found = await folder.list();
  if (found.length === 0 || overwrite) return;
  const message = `"${uri}" holds files already (${
    found.slice(0, 3).join(", ")
  }): name another folder, or set --overwrite`;
  throw new ConfigError([{ path: "--out", message }]);
}

/** A template without a place for system messages. @throws {ConfigError} If one was given. */
function refuseSystem(flags: ExportTask["flags"], io: ExportTask["io"]): void {
  if (textOf(flags, "system") !== null) {
    const message = "cannot be set: the model's chat template takes no system message";
    throw new ConfigError([{ path: "--system", message }]);
  }
  const paint = painter(wantsColor(textOf(flags, "color") ?? "auto", io.env, io.stderr));
  io.stderr.write(
    `${paint("yellow", "warning:")} the chat template takes no system message: Ollama will drop them\n`,
  );
}

/** The Go template: that of `--template`, else the model's own translated; null for a model without one. */
async function templateOf({ flags, io }: ExportTask, vocabulary: GgufVocabulary): Promise<string | null> {
  const path = textOf(flags, "template");
  if (path !== null) return await readFlagFile("--template", path, io);
  const { template, addsBos, tokenizer } = vocabulary;
  if (!template) return null;
  const parts = chatParts(template, addsBos ? tokenizer.bosToken : null);
  if (parts && !parts.system) refuseSystem(flags, io);
  if (parts) return goTemplate(parts);
  const message =
    "is missing: the model's chat template cannot be translated into Ollama's language; give a Go template";
  throw new ConfigError([{ path: "--template", message }]);
}
