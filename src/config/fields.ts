/**
 * The declarations as a flat table: what flags, help, environment and forms iterate over.
 *
 * @module
 */

import * as z from "zod/mini";
import { type GroupName, groupSchemas } from "./declarations.ts";
import { type FieldMeta, fieldMeta, type PluginPart } from "./field_types.ts";

/** What a value is read as when it arrives as text. A `word` may be true or false too. Lists are comma-separated, and so are `pairs` of `name=value`. */
export type FieldKind = "text" | "word" | "number" | "boolean" | "list" | "numbers" | "pairs";

/** One option of a job. */
export interface ConfigField extends FieldMeta {
  readonly wireName: string;
  readonly group: GroupName;
  readonly kind: FieldKind;
  readonly required: boolean;
  /** May be null; as text, the empty value means null. */
  readonly nullable: boolean;
  readonly default: unknown;
  /** The accepted words, where the type is a closed set. */
  readonly choices: readonly string[];
}

/** `quantization: 4bit` stands for two options, as in the original service. */
export type QuantizationWord = "none" | "4bit" | "8bit";

/** Every {@link QuantizationWord}. */
export const QUANTIZATION_WORDS: readonly QuantizationWord[] = ["none", "4bit", "8bit"];

/** The whole configuration as it stands in a file: flat, wire names, no aliases. */
export const flatSchema = z.strictObject({
  ...groupSchemas.job.shape,
  ...groupSchemas.lora.shape,
  ...groupSchemas.quantization.shape,
  ...groupSchemas.training.shape,
});

/** Names that plugins bring. A `Plugin` is one of these. */
export type PluginNames = { readonly [P in PluginPart]?: readonly { readonly name: string }[] };

/** {@link flatSchema} where options take the names that plugins bring, too. */
export function schemaWith(plugins: readonly PluginNames[]): typeof flatSchema {
  const widened = CONFIG_FIELDS.flatMap(({ wireName, pluginPart, choices, default: usual }) => {
    const names = pluginPart ? plugins.flatMap((plugin) => plugin[pluginPart] ?? []) : [];
    if (names.length === 0) return [];
    return [[wireName, z._default(z.enum([...choices, ...names.map(({ name }) => name)]), usual as string)]];
  });
  return z.strictObject({
    ...flatSchema.shape,
    ...Object.fromEntries(widened) as Partial<typeof flatSchema.shape>,
  });
}

/** The type below what gives a default or lets a value be absent or null. */
function bareType(type: z.core.$ZodType): z.core.$ZodTypes {
  const known = type as z.core.$ZodTypes, { def } = known._zod;
  return "innerType" in def ? bareType(def.innerType) : known;
}

/** Every type that a value may have. */
function typesOf(type: z.core.$ZodType): z.core.$ZodTypes[] {
  const bare = bareType(type), { def } = bare._zod;
  return def.type === "union" ? def.options.flatMap(typesOf) : [bare];
}

function kindOf(type: z.core.$ZodType): FieldKind {
  const defs = typesOf(type).map(({ _zod }) => _zod.def), names = defs.map((def) => def.type);
  const list = defs.find((def) => def.type === "array");
  if (list) return bareType(list.element)._zod.def.type === "number" ? "numbers" : "list";
  if (names.includes("record")) return "pairs";
  if (names.includes("boolean")) return names.some(isOfText) ? "word" : "boolean";
  return names.includes("number") ? "number" : "text";
}

function isOfText(name: string): boolean {
  return name === "string" || name === "enum";
}

function describeField(wireName: string, type: z.ZodMiniType, group: GroupName): ConfigField {
  const meta = fieldMeta.get(type);
  if (!meta) {
    throw new TypeError(`Cannot describe option "${wireName}" as its declaration carries no help text`);
  }
  const bare = bareType(type)._zod.def;
  return Object.freeze({
    ...meta,
    wireName,
    group,
    kind: kindOf(type),
    required: !z.safeParse(type, undefined).success,
    nullable: z.safeParse(type, null).success,
    default: type instanceof z.ZodMiniDefault ? type._zod.def.defaultValue : undefined,
    choices: Object.freeze(bare.type === "enum" ? Object.values(bare.entries).map(String) : []),
  });
}

/** Every option, in the order of the declarations. */
export const CONFIG_FIELDS: readonly ConfigField[] = Object.freeze(
  (Object.keys(groupSchemas) as GroupName[]).flatMap((group) =>
    Object.entries(groupSchemas[group].shape).map(([wireName, type]) => describeField(wireName, type, group))
  ),
);

/** Wire name of each option by every name it answers to. */
export const WIRE_NAME_BY_ANY_NAME: ReadonlyMap<string, string> = new Map(
  CONFIG_FIELDS.flatMap(({ wireName, aliases }) =>
    [wireName, ...aliases ?? []].map((name) => [name, wireName])
  ),
);

/**
 * JSON Schema (draft 2020-12) of a configuration file, for editors and other programs.
 * Options with a default are not required. Aliases are accepted by the parser but not listed.
 */
export function configJsonSchema(): Record<string, unknown> {
  const fileSchema = z.strictObject({
    $schema: z.optional(z.string()),
    $versions: z.optional(z.record(z.string(), z.string())),
    ...flatSchema.shape,
    quantization: z.optional(z.enum(QUANTIZATION_WORDS)),
  });
  return z.toJSONSchema(fileSchema, {
    io: "input",
    override: ({ zodSchema, jsonSchema }) => {
      const meta = fieldMeta.get(zodSchema as unknown as z.ZodMiniType);
      if (meta) jsonSchema.description = meta.help;
    },
  }) as Record<string, unknown>;
}
