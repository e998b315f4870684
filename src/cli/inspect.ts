/**
 * `lowrank inspect MODEL`: what the headers of a model or an adapter say.
 *
 * @module
 */
import { ADAPTER_CONFIG_FILE, findAdapter, readAdapter } from "../checkpoint/adapter.ts";
import { ruleNotes } from "../checkpoint/lora_settings.ts";
import { isGgufName } from "../checkpoint/gguf_model.ts";
import type { TensorInfo } from "../checkpoint/safetensors.ts";
import { type FindModel, ModelManager } from "../model_manager.ts";
import type { Folder, ReadableFolder } from "../storage.ts";
import { withBuckets } from "./bucket_folders.ts";
import { formatBytes, formatCount } from "./format.ts";
import { parseFlags } from "./flags.ts";
import { isOn } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";
import { openFolder } from "./open_folder.ts";
import { finderFor } from "./model_source.ts";
import { namedPlugins } from "./plugin_flag.ts";
import { partsOf, type PluginParts } from "./plugin_parts.ts";
import { INSPECT_FLAGS, inspectHelp, oneWord } from "./verb_flags.ts";

/** One tensor of a file. */
type TensorRow = Pick<TensorInfo, "name" | "shape"> & { readonly dtype: string };

type Fact = string | number | readonly string[];

/** What is told of a model or an adapter. */
interface Inspection {
  readonly kind: "model" | "adapter";
  readonly path: string;
  /** Lines of the head, by title; JSON has the same under the same names. */
  readonly facts: Readonly<Record<string, Fact>>;
  readonly parameters: number;
  readonly bytes: number;
  readonly tensors: readonly TensorRow[];
}

/**
 * Prints what PATH holds.
 *
 * @param files Opens a folder by its uri; default those of this machine.
 * @throws {ConfigError} For wrong usage.
 * @throws {StorageNotFoundError} @throws {ModelFormatError} @throws {UnsupportedModelError}
 */
export async function inspect(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "stderr" | "env" | "loadPlugins">,
  files: (uri: string) => Folder = openFolder,
): Promise<void> {
  const flags = parseFlags(args, INSPECT_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(inspectHelp());
  const path = oneWord(flags, "MODEL");
  const parts = partsOf(await namedPlugins(flags, io));
  // a repository of the Hub may be in the cache, which knows models alone
  const mayBeAdapter = !isGgufName(path) && !path.startsWith("hf://");
  const readable = await withBuckets(files, { folders: [mayBeAdapter ? path : null] }, parts.open);
  const isAdapter = mayBeAdapter && await holdsAdapter(readable(path));
  const { findModel } = finderFor(files, io.stderr, parts.open);
  const found = isAdapter
    ? await adapterOf(path, readable(path))
    : await modelOf(path, files, findModel, parts);
  if (isOn(flags, "json")) return io.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  io.stdout.write(textOfInspection(found, isOn(flags, "tensors")));
}

async function modelOf(
  path: string,
  files: (uri: string) => Folder,
  findModel: FindModel | undefined,
  { modelFamilies }: PluginParts,
): Promise<Inspection> {
  const base = await new ModelManager(files, findModel, modelFamilies).open(path);
  try {
    const { config, weights } = base;
    const rows = [...weights.infos.values()];
    return {
      kind: "model",
      path,
      facts: {
        "model type": config.modelType,
        layers: config.numHiddenLayers,
        "hidden size": config.hiddenSize,
        heads:
          `${config.numAttentionHeads} of ${config.headDim}, ${config.numKeyValueHeads} for keys and values`,
        "feed-forward": config.intermediateSize,
        vocabulary: config.vocabSize,
        "longest row": config.maxPositionEmbeddings,
        "quantised in": ModelManager.packing(base) ?? "nothing",
        // the weights of a GGUF file have the names of a folder's
        files: isGgufName(path) ? [path.slice(path.lastIndexOf("/") + 1)] : [...weights.files.keys()],
      },
      parameters: ModelManager.countParameters(base),
      bytes: rows.reduce((sum, { byteLength }) => sum + byteLength, 0),
      tensors: rows.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    };
  } finally {
    await base.weights.close();
  }
}

async function holdsAdapter(place: Folder | ReadableFolder): Promise<boolean> {
  const folder = "folders" in place ? await findAdapter(place) : place;
  return await folder.exists(ADAPTER_CONFIG_FILE);
}

async function adapterOf(path: string, folder: ReadableFolder): Promise<Inspection> {
  const { config, tensors } = await readAdapter(folder), notes = ruleNotes(config);
  const rows = [...tensors].map(([name, { shape }]) => ({ name, dtype: "F32", shape }));
  const parameters = rows.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return {
    kind: "adapter",
    path,
    facts: {
      "base model": config.baseModel ?? "not named",
      rank: config.rank,
      alpha: config.alpha,
      targets: [config.targetModules].flat(),
      ...(notes.length > 0 ? { but: notes } : {}),
    },
    parameters,
    bytes: 4 * parameters,
    tensors: rows,
  };
}

function textOfInspection({ kind, facts, parameters, bytes, tensors }: Inspection, all: boolean): string {
  const byType = new Map<string, number>();
  for (const { dtype } of tensors) byType.set(dtype, 1 + (byType.get(dtype) ?? 0));
  const types = [...byType].map(([dtype, count]) => `${count} ${dtype}`).join(", ");
  const lines: [string, string][] = [
    ...Object.entries(facts).map(([title, fact]): [string, string] => [title, shown(fact)]),
    ["parameters", formatCount(parameters)],
    ["tensors", `${types}; ${formatBytes(bytes)}`],
  ];
  const width = Math.max(...lines.map(([title]) => title.length)) + 2;
  const head = [[kind, ""] as const, ...lines].map(([title, text]) =>
    `${title.padEnd(width)}${text}`.trimEnd()
  );
  const names = Math.max(...tensors.map(({ name }) => name.length)) + 2;
  const list = all
    ? tensors.map(({ name, dtype, shape }) => `${name.padEnd(names)}${dtype.padEnd(6)}[${shape.join(", ")}]`)
    : [];
  return `${[...head, ...list].join("\n")}\n`;
}

function shown(fact: Fact): string {
  if (typeof fact === "number") return formatCount(fact);
  return typeof fact === "string" ? fact : fact.join(", ");
}
