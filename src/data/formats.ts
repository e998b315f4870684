/**
 * What one row of training data may look like, and what is wrong with one that does not.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Entry } from "./entries.ts";
import { isTrained, type Message, parseMessage, turnRemarks } from "./message.ts";
import { fromCell, illFormedAt, isRow, keysOf, kindOf, type Row } from "./row.ts";

export { isTrained, type Message, type Role, ROLES, type ToolCall } from "./message.ts";

/** `auto` takes the format of the first row that has one; else the name of a {@link RowFormat}. */
export type DataFormat = string;

/** Which column of the data holds what the format calls otherwise: `{ prompt: "question" }`. */
export type ColumnMapping = Readonly<Record<string, string>>;

/** A conversation with what its template may want to know. */
export interface Conversation {
  /** Turns, the oldest first. */
  readonly messages: readonly Message[];
  /** Tools that the assistant may call, as JSON Schema. */
  readonly tools?: readonly Row[];
  /** Variables of the chat template, such as `enable_thinking`. */
  readonly chatTemplateKwargs?: Row;
}

/** One usable row. */
export type Example =
  /** Every token is trained. */
  | { readonly kind: "text"; readonly text: string }
  /** Text as it is written; the completion is trained. */
  | { readonly kind: "pair"; readonly prompt: string; readonly completion: string }
  /** A request and its answer, which a chat template or a plain form puts into words. */
  | {
    readonly kind: "request";
    readonly instruction: string;
    readonly input: string;
    readonly output: string;
  }
  | ({ readonly kind: "messages" } & Conversation);

/** A row as read: an example with remarks, or the reason why it is none. */
export type ParsedRow =
  | { readonly example: Example; readonly warnings: readonly string[] }
  | { readonly problem: string };

/** How one kind of row looks, and what is trained of it. */
export interface RowFormat {
  /** What the option `data_format` calls it. */
  readonly name: string;
  /** Fields that a row must have. */
  readonly needs: readonly string[];
  /** Fields any of which tells the format where another is missing; default those it needs. */
  readonly marks?: readonly string[];
  /** A row as people would write it, for messages. */
  readonly sample: string;
  /**
   * Reads the records of a file of a kind of its own. Used where the format is named; default: JSON Lines, JSON, CSV and
   * Parquet, whatever the file is.
   */
  readFile?(chunks: AsyncIterable<Uint8Array>, uri: string): AsyncIterable<Entry>;
  /** Whether rows of it are known only to be refused by their name; default false. */
  readonly isRefused?: boolean;
  /** Reads a row that has all needed fields. */
  parse(row: Row): ParsedRow;
}

const MESSAGES_SAMPLE =
  '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}';

const REFUSED_PREFERENCE =
  "is a preference row, a format that is not trained: keep the prompt and the chosen answer as user and " +
  `assistant, ${MESSAGES_SAMPLE}`;

/** The formats that are known. The first whose needs are all there names a row, else the first with one of its marks. */
export const ROW_FORMATS: readonly RowFormat[] = [
  {
    name: "messages",
    needs: ["messages"],
    sample: MESSAGES_SAMPLE,
    parse: parseMessages,
  },
  {
    name: "sharegpt",
    needs: ["conversations"],
    sample: '{"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}',
    parse: parseShareGpt,
  },
  {
    name: "preference",
    needs: ["chosen"],
    marks: ["chosen", "rejected", "preferred_output"],
    sample: MESSAGES_SAMPLE,
    isRefused: true,
    parse: () => ({ problem: REFUSED_PREFERENCE }),
  },
  {
    name: "instruction",
    needs: ["instruction", "output"],
    marks: ["instruction"],
    sample: '{"instruction": "...", "input": "...", "output": "..."}',
    parse: parseRequest,
  },
  {
    name: "prompt_completion",
    needs: ["prompt", "completion"],
    sample: '{"prompt": "...", "completion": "..."}',
    parse: parsePair,
  },
  {
    name: "input_output",
    needs: ["input", "output"],
    sample: '{"input": "...", "output": "..."}',
    parse: parseRequest,
  },
  { name: "text", needs: ["text"], sample: '{"text": "..."}', parse: parseText },
];

/** @throws {ConfigError} If there is none of the name that rows may have. */
export function formatNamed(name: string, formats: readonly RowFormat[] = ROW_FORMATS): RowFormat {
  const found = formats.find((format) => format.name === name && !format.isRefused);
  if (found) return found;
  const names = formats.filter(({ isRefused }) => !isRefused).map((format) => format.name);
  throw new ConfigError([{
    path: "data_format",
    message: `must be one of auto, ${names.join(", ")}: current value is "${name}"`,
  }]);
}

/** The format that a JSON value has the shape of; null if it has none's. */
export function formatOf(value: unknown, formats: readonly RowFormat[] = ROW_FORMATS): RowFormat | null {
  if (!isRow(value)) return null;
  return formats.find(({ needs }) => needs.every((key) => key in value)) ??
    formats.find(({ marks, needs }) => (marks ?? needs).some((key) => key in value)) ?? null;
}

/**
 * A row with its columns named as formats name them.
 *
 * @returns The row, or what is wrong: a column that is not there.
 */
export function renameColumns(row: Row, mapping: ColumnMapping): Row | string {
  const renamed: Record<string, unknown> = { ...row };
  for (const column of Object.values(mapping)) delete renamed[column];
  for (const [field, column] of Object.entries(mapping)) {
    if (!Object.hasOwn(row, column)) {
      return `has no "${column}", which column_mapping takes as "${field}" (found ${keysOf(row)})`;
    }
    renamed[field] = row[column];
  }
  return renamed;
}

/**
 * Reads a JSON value as a row of a format.
 *
 * @param decidedBy Line of the row that decided the format; absent when the user named it.
 * @param formats Those that a row of another one may be of.
 */
export function parseRow(
  value: unknown,
  format: RowFormat,
  decidedBy?: number,
  formats: readonly RowFormat[] = ROW_FORMATS,
): ParsedRow {
  if (!isRow(value)) return { problem: `is ${kindOf(value)}, not an object: write ${format.sample}` };
  if (!format.needs.every((key) => key in value)) {
    return { problem: otherRow(value, format, decidedBy, formatOf(value, formats)) };
  }
  const parsed = format.parse(value);
  if ("problem" in parsed) return parsed;
  const at = illFormedAt(value, "");
  if (at === null) return parsed;
  return {
    problem:
      `${at} contains half of a surrogate pair (such as \\ud83d alone), which is no character: remove it, ` +
      `or write the emoji whole`,
  };
}

/** Why a row that lacks the format's fields does not belong here, and what to do. */
function otherRow(
  row: Row,
  format: RowFormat,
  decidedBy: number | undefined,
  shape: RowFormat | null,
): string {
  const readAs = decidedBy === undefined
    ? `it is read as ${format.name}`
    : `line ${decidedBy} made this a file of ${format.name} rows`;
  if (!shape) {
    const needs = format.needs.map((key) => `"${key}"`).join(" and ");
    return `has no ${needs} (found ${keysOf(row)}): write ${format.sample}, or name your columns by ` +
      `column_mapping`;
  }
  const article = /^[aeiou]/.test(shape.name) ? "an" : "a";
  const missing = shape.needs.filter((key) => !(key in row)).map((key) => `"${key}"`).join(" and ");
  const lacks = missing === "" ? "" : `; ${missing} is missing`;
  if (shape.isRefused) {
    const parsed = shape.parse(row);
    if ("problem" in parsed) return parsed.problem;
  }
  if (shape === format) return `is ${article} ${shape.name} row${lacks}: write ${format.sample}`;
  return `is ${article} ${shape.name} row, but ${readAs}${lacks}: keep one format a file, or convert it to ` +
    format.sample;
}

function parseText({ text }: Row): ParsedRow {
  if (typeof text !== "string") return { problem: `"text" is ${kindOf(text)}, not a string` };
  if (text.trim() === "") return { problem: `"text" is empty: remove the row` };
  return { example: { kind: "text", text }, warnings: [] };
}

/** `instruction` may be absent, as in input/output rows; `input` may be absent or null beside an instruction. */
function parseRequest(row: Row): ParsedRow {
  const { instruction = "", output } = row, input = row.input ?? "";
  for (const [name, value] of Object.entries({ instruction, input, output })) {
    if (typeof value !== "string") return { problem: `"${name}" is ${kindOf(value)}, not a string` };
  }
  const request = { instruction, input, output } as Record<"instruction" | "input" | "output", string>;
  if (`${instruction}${input}`.trim() === "") return { problem: "asks nothing: remove the row" };
  if (request.output.trim() === "") return { problem: `"output" is empty: there is nothing to learn from` };
  return { example: { kind: "request", ...request }, warnings: [] };
}

/** Two texts, or two lists of messages of which the second is trained. */
function parsePair({ prompt: given, completion: answer, ...rest }: Row): ParsedRow {
  const [prompt, completion] = [fromCell(given), fromCell(answer)];
  if (Array.isArray(prompt) && Array.isArray(completion)) {
    const context = prompt.map((turn) => isRow(turn) ? { ...turn, weight: 0 } : turn);
    return parseMessages({ ...rest, messages: [...context, ...completion] });
  }
  if (typeof given !== "string") return { problem: `"prompt" is ${kindOf(given)}, not a string` };
  if (typeof answer !== "string") return { problem: `"completion" is ${kindOf(answer)}, not a string` };
  if (answer.trim() === "") return { problem: `"completion" is empty: there is nothing to learn from` };
  return { example: { kind: "pair", prompt: given, completion: answer }, warnings: [] };
}

/** Who speaks in ShareGPT's `from`, by the role it means. */
const SPEAKERS: Readonly<Record<string, Message["role"]>> = {
  human: "user",
  user: "user",
  gpt: "assistant",
  chatgpt: "assistant",
  assistant: "assistant",
  system: "system",
  tool: "tool",
  observation: "tool",
};

function parseShareGpt(row: Row): ParsedRow {
  const turns = fromCell(row.conversations);
  if (!Array.isArray(turns)) return { problem: `"conversations" is ${kindOf(turns)}, not an array` };
  const messages: unknown[] = [];
  for (const [i, turn] of turns.entries()) {
    if (!isRow(turn)) return { problem: `conversations[${i}] is ${kindOf(turn)}, not an object` };
    if ("role" in turn) {
      messages.push(turn);
      continue;
    }
    const { from, value, ...more } = turn;
    if (typeof from !== "string" || !Object.hasOwn(SPEAKERS, from)) {
      const known = Object.keys(SPEAKERS).join(", ");
      return {
        problem: `conversations[${i}] "from" is ${JSON.stringify(from) ?? "missing"}, not one of ${known}`,
      };
    }
    if (typeof value !== "string") {
      return { problem: `conversations[${i}] "value" is ${kindOf(value)}, not a string` };
    }
    messages.push({ ...more, role: SPEAKERS[from], content: value });
  }
  const system = typeof row.system === "string" && row.system !== ""
    ? [{ role: "system", content: row.system }]
    : [];
  return parseMessages({ tools: row.tools, messages: [...system, ...messages] });
}

function parseMessages(row: Row): ParsedRow {
  const given = fromCell(row.messages), tools = fromCell(row.tools);
  if (!Array.isArray(given)) return { problem: `"messages" is ${kindOf(given)}, not an array` };
  if (given.length === 0) return { problem: `"messages" is empty: remove the row` };
  if (Array.isArray(row.functions)) return { problem: `has "functions": write them as "tools"` };
  const toolsGiven = tools !== undefined && tools !== null;
  if (toolsGiven && !(Array.isArray(tools) && tools.every(isRow))) {
    return { problem: `"tools" is ${kindOf(tools)}, not an array of objects` };
  }
  const messages: Message[] = [];
  for (const [i, value] of given.entries()) {
    const parsed = parseMessage(value);
    if ("problem" in parsed) return { problem: `messages[${i}] ${parsed.problem}` };
    messages.push(parsed.message);
  }
  if (!messages.some(isTrained)) {
    return { problem: `has no assistant turn to learn from: add {"role": "assistant", "content": "..."}` };
  }
  const kwargs = fromCell(row.chat_template_kwargs);
  return {
    example: {
      kind: "messages",
      messages,
      ...(toolsGiven && tools.length > 0 ? { tools } : {}),
      ...(isRow(kwargs) ? { chatTemplateKwargs: kwargs } : {}),
    },
    warnings: turnRemarks(messages),
  };
}
