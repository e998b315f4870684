/**
 * TypeScript's view of the options of a job, written from their declarations, so that an editor shows each with its help
 * and the package has declaration files: zod's own types would have to be inferred by whoever reads them.
 *
 *     deno task options    writes src/config/options.ts and src/config/groups.ts
 *
 * @module
 */
import * as z from "zod/mini";
import { CONFIG_FIELDS, type ConfigField } from "../src/config.ts";
import { type GroupName, groupSchemas } from "../src/config/declarations.ts";
import { camelName } from "../src/config/naming.ts";

/** The parts of a JSON Schema that the declarations use. */
interface ValueSchema {
  readonly type?: string | readonly string[];
  readonly anyOf?: readonly ValueSchema[];
  readonly enum?: readonly string[];
  readonly items?: ValueSchema;
  readonly additionalProperties?: ValueSchema;
}

const ROOT = new URL("../", import.meta.url);
const WIDTH = 110;
const MADE_BY = "Written by `deno task options` from the declarations; a test holds the two together.";

const GROUP_TEXTS: Readonly<Record<GroupName, string>> = {
  job: "What to train on what, and where the results go.",
  lora: "The low-rank update.",
  quantization: "How frozen base weights are stored.",
  training: "How long and how fast to learn.",
};

/** What the two files must hold, by their paths from the root. */
export function configTypes(): Map<string, string> {
  return new Map([["src/config/options.ts", optionsFile()], ["src/config/groups.ts", groupsFile()]]);
}

function optionsFile(): string {
  const fields = CONFIG_FIELDS.map((field) => {
    const type = typeOf(field);
    return member(field, `${field.wireName}${field.required ? "" : "?"}: ${type};`);
  });
  return `/**
 * The options of a job by their names in files, REST bodies and (with dashes) on the command line.
 * ${MADE_BY}
 *
 * @module
 */

/** Options of a job as \`parseFineTuneJobConfig\` takes them; what is left out has its default. */
export interface FineTuneJobOptions {
${fields.join("\n")}
  /** Both of load_in_4bit and load_in_8bit in one word, as the original service had it. */
  readonly quantization?: "none" | "4bit" | "8bit";
}
`;
}

function groupsFile(): string {
  const groups = (Object.keys(groupSchemas) as GroupName[]).map((group) => {
    const fields = CONFIG_FIELDS.filter((field) => field.group === group);
    const members = fields.map((field) =>
      member(field, `${camelName(field.wireName, group)}: ${typeOf(field)};`)
    );
    const name = `${group[0]!.toUpperCase()}${group.slice(1)}Values`;
    return `/** ${GROUP_TEXTS[group]} */\nexport interface ${name} {\n${members.join("\n")}\n}\n`;
  });
  return `/**
 * The options of a job as TypeScript sees them, validated, in four groups.
 * ${MADE_BY}
 *
 * @module
 */

${groups.join("\n")}`;
}

function member(field: ConfigField, declaration: string): string {
  const lines = docLines(describe(field));
  const doc = lines.length === 1 ? `/** ${lines[0]} */` : `/**\n   * ${lines.join("\n   * ")}\n   */`;
  return `  ${doc}\n  readonly ${declaration}`;
}

/** The help as sentences, with the default. */
function describe({ help, default: value, defaultText }: ConfigField): string {
  const isPlain = value !== undefined && value !== null && typeof value !== "object";
  const text = defaultText ?? (isPlain ? String(value) : undefined);
  return `${help}.${text === undefined ? "" : ` Default: ${text}.`}`;
}

function docLines(text: string): string[] {
  const lines = [""];
  for (const word of text.replaceAll("*/", "*\\/").split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + word.length + 10 > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

function typeOf({ wireName, group, pluginPart }: ConfigField): string {
  if (pluginPart) return "string"; // plugins bring further words
  const shape = groupSchemas[group].shape as Readonly<Record<string, z.ZodMiniType>>;
  return typeText(z.toJSONSchema(shape[wireName]!, { io: "output" }) as ValueSchema);
}

/** @throws {TypeError} For a schema that no option has had so far. */
function typeText({ type, anyOf, enum: words, items, additionalProperties }: ValueSchema): string {
  if (anyOf) return unionText(anyOf);
  if (typeof type === "object") return unionText(type.map((one) => ({ type: one })));
  if (words) return words.map((word) => JSON.stringify(word)).join(" | ");
  if (type === "array" && items) {
    const item = typeText(items);
    return `readonly ${item.includes("|") ? `(${item})` : item}[]`;
  }
  if (type === "object" && additionalProperties) {
    return `Readonly<Record<string, ${typeText(additionalProperties)}>>`;
  }
  if (type === "integer") return "number";
  if (type === "string" || type === "number" || type === "boolean" || type === "null") return type;
  throw new TypeError(`Cannot write the type of a schema of type ${type}: teach deploy/config_types.ts`);
}

/** Any text includes the words that a union names beside it. */
function unionText(schemas: readonly ValueSchema[]): string {
  const hasText = schemas.some(({ type, enum: words }) => type === "string" && !words);
  const parts = schemas.filter(({ enum: words }) => !(hasText && words)).map(typeText);
  return [...new Set(parts)].join(" | ");
}

/** Text as `deno fmt` leaves it. */
export async function formatted(text: string): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "ts", "-"],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("deno fmt failed");
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  for (const [path, text] of configTypes()) {
    await Deno.writeTextFile(new URL(path, ROOT), await formatted(text));
  }
}
