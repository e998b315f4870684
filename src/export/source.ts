/**
 * What is exported: a base model and, unless it is merged already, the adapter that was trained on it. Found from the
 * folder of a run, of a model or of an adapter, or from a GGUF file.
 *
 * @module
 */
import {
  type Adapter,
  ADAPTER_CONFIG_FILE,
  findAdapter,
  type LoraUpdate,
  loraUpdates,
  readAdapter,
} from "../checkpoint/adapter.ts";
import { isGgufName } from "../checkpoint/gguf_model.ts";
import { checkUpdates } from "../checkpoint/merge.ts";
import type { QuantizationWord } from "../config.ts";
import { ConfigError, ModelFormatError, StorageNotFoundError } from "../errors.ts";
import { type BaseModel, type FindModel, ModelManager, withWholeTensors } from "../model_manager.ts";
import { CONFIG_FILE } from "../models/config.ts";
import { MODEL_FAMILIES, type ModelFamilies } from "../models/registry.ts";
import { RUN_FILE, type RunRecord } from "../run_files.ts";
import { type Folder, type ReadableFolder, readText } from "../storage.ts";
import { isRemote } from "../storage_uri.ts";

/** Where to look. Null where nothing was said. */
export interface ExportRequest {
  /** Folder of a run, a model or an adapter, or a GGUF file. */
  readonly model: string;
  /** Folder of an adapter, where `model` is a base model. */
  readonly adapter: string | null;
  /** Where the base model is, if not where the adapter says. */
  readonly baseModel: string | null;
  /** What the base's linear maps were kept in while the adapter was trained; null for what the run says. */
  readonly quantization: QuantizationWord | null;
  /** A file of Jinja in place of the template that was trained with; null for that. */
  readonly chatTemplate: string | null;
}

/** Where {@link openExportSource} finds what is in no folder of this machine. */
export interface ExportDeps {
  /** Finds the base model by its name; default: the name is the uri of a folder or a GGUF file. */
  readonly findModel?: FindModel | undefined;
  /** Those that a model may be of; default the ones that come with Lowrank. */
  readonly families?: ModelFamilies;
  /** Opens the folder of an adapter or a chat template; default as every other. */
  readonly read?: (uri: string) => ReadableFolder;
}

/** An open model, ready to be written in another format. */
export interface ExportSource {
  /** Last part of what was named: what files are called after. */
  readonly name: string;
  /** Its weights give the values that the adapter was trained on. */
  readonly base: BaseModel;
  /** Null for a model without one, and for a merged one. */
  readonly adapter: Adapter | null;
  /** By the name of the base's tensor; empty without an adapter. Each fits its tensor. */
  readonly updates: ReadonlyMap<string, LoraUpdate>;
  /** Jinja in place of the tokenizer's own; null for that. */
  readonly chatTemplate: string | null;
  /** Closes the files of base and adapter. */
  close(): Promise<void>;
}

/** Where base and adapter are. */
interface Places {
  readonly base: string;
  readonly adapter: string | null;
  /** What run.json says of the base's linear maps. */
  readonly quantization: QuantizationWord;
  /** The file of the template that the run trained with; null for the tokenizer's own. */
  readonly chatTemplate: string | null;
}

/**
 * Opens what a request names.
 *
 * @throws {ConfigError} If the parts of the request do not go together.
 * @throws {StorageNotFoundError} If the model, the adapter or its base model is not there.
 * @throws {ModelFormatError} @throws {UnsupportedModelError} If one of them cannot be used, or they do not belong together.
 */
export async function openExportSource(
  files: (uri: string) => Folder,
  request: ExportRequest,
  { findModel, families = MODEL_FAMILIES, read: readable = files }: ExportDeps = {},
): Promise<ExportSource> {
  const places = await findPlaces(
    files,
    { ...request, model: trimmed(request.model) },
    findModel !== undefined,
  );
  const templatePath = request.chatTemplate ?? places.chatTemplate;
  const chatTemplate = templatePath === null ? null : await readTemplate(readable, templatePath);
  const read = places.adapter === null ? null : await readAdapter(readable(places.adapter));
  const opened = await new ModelManager(files, findModel, families).open(places.base);
  try {
    const adapter = read && ModelManager.named(opened, read);
    const word = adapter ? request.quantization ?? places.quantization : "none";
    const how = { loadIn4bit: word === "4bit", loadIn8bit: word === "8bit", doubleQuant: true };
    const quantised = ModelManager.quantized(opened, how);
    const base = adapter ? withWholeTensors(quantised, adapter) : quantised;
    const updates = adapter ? loraUpdates(adapter) : new Map<string, LoraUpdate>();
    checkUpdates(base.weights, updates, base.uri);
    const name = nameOf(request.model), close = () => opened.weights.close();
    return { name, base, adapter, updates, chatTemplate, close };
  } catch (error) {
    await opened.weights.close();
    throw error;
  }
}

async function findPlaces(
  files: (uri: string) => Folder,
  { model, adapter, baseModel, quantization }: ExportRequest,
  mayBeElsewhere: boolean,
): Promise<Places> {
  if (isGgufName(model) || await isBase(files, model, mayBeElsewhere)) {
    const moved = baseModel !== null &&
      { path: "--base-model", message: `is not expected: "${model}" is a base model` };
    const alone = quantization !== null && adapter === null &&
      {
        path: "--quantization",
        message: "is not expected without --adapter: it says what one was trained on",
      };
    if (moved || alone) throw new ConfigError([moved, alone].filter((issue) => issue !== false));
    return { base: model, adapter, ...NO_RUN };
  }
  const folder = files(model);
  if (adapter !== null) {
    const message = `is not expected: "${model}" is no base model; name one, or the adapter alone`;
    throw new ConfigError([{ path: "--adapter", message }]);
  }
  const inRun = await (await findAdapter(folder.folder("adapter"))).exists(ADAPTER_CONFIG_FILE);
  if (!inRun && await folder.folder("merged").exists(CONFIG_FILE)) {
    const { chatTemplate } = await runFacts(folder);
    return { base: `${model}/merged`, adapter: null, quantization: "none", chatTemplate };
  }
  if (!inRun && !await (await findAdapter(folder)).exists(ADAPTER_CONFIG_FILE)) {
    throw nothingThere(model, await folder.list());
  }
  const found = inRun ? `${model}/adapter` : model, run = inRun ? model : parentOf(model);
  const { config } = await readAdapter(files(found));
  const base = baseModel ?? config.baseModel;
  if (base === null) {
    throw new ConfigError([{
      path: "--base-model",
      message: `is missing: the adapter in "${found}" does not name it`,
    }]);
  }
  return { base, adapter: found, ...await runFacts(files(run)) };
}

/** Whether a name is that of a base model: a folder of one, or what is no folder here and may be found elsewhere. */
async function isBase(
  files: (uri: string) => Folder,
  model: string,
  mayBeElsewhere: boolean,
): Promise<boolean> {
  if (isRemote(model)) return true;
  const folder = files(model);
  if (await folder.exists(CONFIG_FILE)) return true;
  const isEmpty = (await folder.list()).length === 0 && (await folder.folders()).length === 0;
  return mayBeElsewhere && isEmpty && /^[\w.-]+\/[\w.-]+(@.+)?$/.test(model);
}

/** What a run says that its adapter does not. */
type RunFacts = Pick<Places, "quantization" | "chatTemplate">;

const NO_RUN: RunFacts = { quantization: "none", chatTemplate: null };

/** What the base's linear maps were trained in and are merged in, and the template, by the run's own record. */
async function runFacts(run: Folder): Promise<RunFacts> {
  if (!await run.exists(RUN_FILE)) return NO_RUN;
  let record: Partial<RunRecord> | null;
  try {
    record = JSON.parse(await readText(run, RUN_FILE));
  } catch (error) {
    throw new ModelFormatError(`Cannot read "${run.uri}/${RUN_FILE}" as JSON: ${(error as Error).message}`);
  }
  const { load_in_4bit, load_in_8bit, merge_base, chat_template_path } = record?.config ?? {};
  const trained = load_in_4bit === true ? "4bit" : load_in_8bit === true ? "8bit" : "none";
  return {
    quantization: merge_base === "original" ? "none" : trained,
    chatTemplate: typeof chat_template_path === "string" ? chat_template_path : null,
  };
}

async function readTemplate(files: (uri: string) => ReadableFolder, path: string): Promise<string> {
  const slash = path.lastIndexOf("/"), folder = files(slash < 0 ? "." : path.slice(0, slash + 1));
  if (await folder.exists(path.slice(slash + 1))) return await readText(folder, path.slice(slash + 1));
  throw new StorageNotFoundError(
    `Cannot find the chat template "${path}": say where it is by --chat-template`,
  );
}

function nothingThere(model: string, files: readonly string[]): StorageNotFoundError {
  const found = files.length === 0 ? "is empty or does not exist" : `holds ${files.slice(0, 5).join(", ")}`;
  return new StorageNotFoundError(
    `Cannot find anything to export at "${model}": the folder ${found}; name the output folder of a run, a model's ` +
      `folder (${CONFIG_FILE}), an adapter's (${ADAPTER_CONFIG_FILE}) or a GGUF file`,
  );
}

function trimmed(uri: string): string {
  return uri.replace(/(?<=.)\/+$/, "");
}

function parentOf(uri: string): string {
  const slash = uri.lastIndexOf("/");
  return slash < 0 ? "." : uri.slice(0, slash) || "/";
}

/** `runs/ember/` -> `ember`, `models/tiny.gguf` -> `tiny`, `runs/ember/merged` -> `ember`. */
function nameOf(uri: string): string {
  const parts = trimmed(uri).split("/").filter((part) => part !== "" && part !== "." && part !== "..");
  const last = parts.at(-1) ?? "model";
  const isPart = parts.length > 1 && /^(adapter|merged|checkpoint-\d+)$/.test(last);
  return isPart ? parts.at(-2)! : last.replace(/\.gguf$/i, "");
}
