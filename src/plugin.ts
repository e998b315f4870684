/**
 * What others add: kinds of data and of models, places to store, records of jobs, trainers. A plugin is one file that
 * exports an object by default.
 *
 * ```ts ignore
 * import { definePlugin } from "lowrank";
 *
 * export default definePlugin({ apiVersion: 1, name: "verses", dataFormats: [verses] });
 * ```
 *
 * @module
 */
import { didYouMean } from "./config/nearest.ts";
import { ROW_FORMATS, type RowFormat } from "./data/formats.ts";
import { ConfigError, type ConfigIssue } from "./errors.ts";
import type { TrackerBackend } from "./job_tracker.ts";
import { MODEL_FAMILIES, type ModelFamilies, type ModelFamily } from "./models/registry.ts";
import type { StorageBackend } from "./storage_manager.ts";
import type { Trainer } from "./training_session.ts";

/** Version of the interfaces that plugins are written for. */
export const PLUGIN_API_VERSION = 1;

/** What one plugin adds. Its parts are of the very interfaces that those of Lowrank are of. */
export interface Plugin {
  /** {@link PLUGIN_API_VERSION} of the Lowrank that it was written for. */
  readonly apiVersion: 1;
  /** For messages. */
  readonly name: string;
  /** Named by `data_format`; `auto` tries them before those of Lowrank. */
  readonly dataFormats?: readonly RowFormat[];
  /** Found by `model_type` of a model's config.json. */
  readonly modelFamilies?: readonly ModelFamily[];
  /** Found by the scheme of a URI. */
  readonly storage?: readonly StorageBackend[];
  /** Named by `tracker`. */
  readonly trackers?: readonly TrackerBackend[];
  /** Named by `trainer`. */
  readonly trainers?: readonly Trainer[];
}

/** The plugin itself, for its types. */
export function definePlugin(plugin: Plugin): Plugin {
  return plugin;
}

/** Everything that can be named. */
export interface Registries {
  /** In the order in which `auto` tries them. */
  readonly dataFormats: readonly RowFormat[];
  readonly modelFamilies: ModelFamilies;
  readonly storage: readonly StorageBackend[];
  readonly trackers: readonly TrackerBackend[];
  readonly trainers: readonly Trainer[];
}

/** What is there before plugins come; default the formats and families of Lowrank, which run anywhere, and none else. */
export type BuiltIns = Partial<Registries>;

/**
 * What Lowrank has and what plugins add.
 *
 * @throws {ConfigError} Listing every plugin that is none, is for another version, lacks a part's member, or takes a name
 * that is taken.
 */
export function withPlugins(plugins: readonly Plugin[], builtIns: BuiltIns = {}): Registries {
  const {
    dataFormats = ROW_FORMATS,
    modelFamilies = MODEL_FAMILIES,
    storage = [],
    trackers = [],
    trainers = [],
  } = builtIns;
  const issues = plugins.flatMap((plugin) => pluginIssues(plugin));
  if (issues.length > 0) throw new ConfigError(issues);
  const families = [...modelFamilies.values()];
  const before = { dataFormats, modelFamilies: families, storage, trackers, trainers };
  const clashing = clashes([{ name: "Lowrank", ...before }, ...plugins]);
  if (clashing.length > 0) throw new ConfigError(clashing);
  const added = <K extends PartKind>(kind: K) =>
    plugins.flatMap((plugin) => (plugin[kind] ?? []) as Part<K>[]);
  return {
    dataFormats: [...added("dataFormats"), ...dataFormats],
    modelFamilies: new Map([...families, ...added("modelFamilies")].map((one) => [one.modelType, one])),
    storage: [...storage, ...added("storage")],
    trackers: [...trackers, ...added("trackers")],
    trainers: [...trainers, ...added("trainers")],
  };
}

/** Kinds of parts. */
type PartKind = "dataFormats" | "modelFamilies" | "storage" | "trackers" | "trainers";
type Part<K extends PartKind> = NonNullable<Plugin[K]>[number];

/** What a kind of part is called, what it must have, and the words by which it is found. */
interface KindRules {
  readonly called: string;
  readonly members: Readonly<Record<string, "string" | "list" | "function" | "object">>;
  readonly names: string;
  /** Words that mean something else already. */
  readonly reserved?: readonly string[];
}

const KINDS: Readonly<Record<PartKind, KindRules>> = {
  dataFormats: {
    called: "data format",
    members: { name: "string", needs: "list", sample: "string", parse: "function" },
    names: "name",
    reserved: ["auto"],
  },
  modelFamilies: {
    called: "model family",
    members: {
      modelType: "string",
      embedding: "string",
      layer: "function",
      finalNorm: "string",
      head: "string",
      linears: "list",
      norms: "object",
      fields: "function",
      read: "function",
    },
    names: "modelType",
  },
  storage: { called: "storage backend", members: { schemes: "list", open: "function" }, names: "schemes" },
  trackers: {
    called: "tracker",
    members: { name: "string", open: "function" },
    names: "name",
    reserved: ["auto", "none"],
  },
  trainers: { called: "trainer", members: { name: "string", train: "function" }, names: "name" },
};
const PART_KINDS = Object.keys(KINDS) as PartKind[];

/**
 * What is wrong with a value that should be a plugin.
 *
 * @param path Where it came from; default `plugins`.
 */
export function pluginIssues(value: unknown, path = "plugins"): ConfigIssue[] {
  const issue = (message: string) => [{ path, message }];
  if (!isObject(value)) return issue("must export a plugin by default: export default definePlugin({ ... })");
  const { apiVersion, name } = value;
  if (typeof name !== "string" || name === "") return issue('must have a "name"');
  if (apiVersion !== PLUGIN_API_VERSION) {
    return issue(
      `plugin "${name}" is for version ${
        apiVersion ?? "none"
      } of the plugin interface, and this Lowrank has ` +
        `version ${PLUGIN_API_VERSION}: take the plugin's release for it`,
    );
  }
  const known = ["apiVersion", "name", ...PART_KINDS];
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  return [
    ...unknown.flatMap((key) =>
      issue(`plugin "${name}": "${key}" is no part of one${didYouMean(key, known)}`)
    ),
    ...PART_KINDS.flatMap((kind) =>
      partIssues(value[kind], kind).flatMap((text) => issue(`plugin "${name}": ${text}`))
    ),
  ];
}

function partIssues(parts: unknown, kind: PartKind): string[] {
  if (parts === undefined) return [];
  if (!Array.isArray(parts)) return [`"${kind}" must be a list`];
  const { called, members, names } = KINDS[kind];
  return parts.flatMap((part, i) => {
    if (!isObject(part)) return [`${called} ${i + 1} is no object`];
    const missing = Object.entries(members).filter(([key, type]) => !isOf(part[key], type));
    const which = typeof part[names] === "string" ? `"${part[names]}"` : String(i + 1);
    return missing.map(([key, type]) => `${called} ${which} lacks "${key}", a ${type}`);
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function isOf(value: unknown, type: KindRules["members"][string]): boolean {
  if (type === "list") return Array.isArray(value) && value.length > 0;
  return type === "object" ? isObject(value) : typeof value === type && value !== "";
}

/** Names that two have. `owners` come in the order of their right. */
function clashes(owners: readonly Pick<Plugin, "name" | PartKind>[]): ConfigIssue[] {
  return PART_KINDS.flatMap((kind) => {
    const { called, names, reserved = [] } = KINDS[kind];
    const taken = new Map(reserved.map((word) => [word, "Lowrank"]));
    return owners.flatMap(({ name: owner, ...parts }) =>
      (parts[kind] ?? []).flatMap((part) =>
        [(part as unknown as Record<string, string | string[]>)[names]!].flat()
      )
        .flatMap((word) => {
          const first = taken.get(word);
          taken.set(word, first ?? owner);
          if (first === undefined) return [];
          return [{
            path: "plugins",
            message: `"${owner}" brings the ${called} "${word}", which ${first} has already`,
          }];
        })
    );
  });
}
