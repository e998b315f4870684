/**
 * What one row of training data may look like, and what is wrong with one that does not.
 *
 * @module
 */

/** Formats that are trained; `auto` takes the format of the first usable row. */
export type DataFormat = "auto" | TrainedFormat;
/** A format that is trained. */
export type TrainedFormat = "text" | "messages";

/** Who may speak in a `messages` row. */
export const ROLES = ["system", "developer", "user", "assistant", "tool"] as const;

/** One turn of a conversation. */
export interface Message {
  readonly role: typeof ROLES[number];
  readonly content: string;
  /** Speaker's name, for templates that print it. */
  readonly name?: string;
  /** 0 on an assistant turn that is context only; trained otherwise. */
  readonly weight?: 0 | 1;
}

/** One usable row. */
export type Example =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "messages"; readonly messages: readonly Message[] };

/** A row as read: an example with remarks, or the reason why it is none. */
export type ParsedRow =
  | { readonly example: Example; readonly warnings: readonly string[] }
  | { readonly problem: string };

type Row = Readonly<Record<string, unknown>>;

/** A shape that is known by name: what marks it, what it must have, how it becomes `messages`. */
interface Shape {
  readonly name: string;
  readonly marks: (row: Row) => boolean;
  readonly needs: readonly string[];
  readonly conversion: string;
}

/** Shapes that people have and that are not trained. The first that marks a row names it. */
const OTHER_SHAPES: readonly Shape[] = [
  {
    name: "sharegpt",
    marks: (row) => "conversations" in row,
    needs: ["conversations"],
    conversion:
      `rename "conversations" to "messages", "from" to "role" (human: user, gpt: assistant) and "value" to "content"`,
  },
  {
    name: "preference",
    marks: (row) => "chosen" in row || "rejected" in row || "preferred_output" in row,
    needs: [],
    conversion: `keep the prompt and the chosen answer as user and assistant "messages"`,
  },
  {
    name: "instruction",
    marks: (row) => "instruction" in row,
    needs: ["output"],
    conversion:
      `make "instruction" (and "input") a user message and "output" an assistant message in "messages"`,
  },
  {
    name: "prompt/completion",
    marks: (row) => "prompt" in row || "completion" in row,
    needs: ["prompt", "completion"],
    conversion: `make "prompt" a user message and "completion" an assistant message in "messages"`,
  },
  {
    name: "input/output",
    marks: (row) => "input" in row || "output" in row,
    needs: ["input", "output"],
    conversion: `make "input" a user message and "output" an assistant message in "messages"`,
  },
];

/** What a format looks like, for messages. */
const SAMPLES: Readonly<Record<TrainedFormat, string>> = {
  text: '{"text": "..."}',
  messages: '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}',
};

/** The trained format that a JSON value has the shape of; null if it has neither's. */
export function formatOf(value: unknown): TrainedFormat | null {
  if (!isRow(value)) return null;
  return "messages" in value ? "messages" : "text" in value ? "text" : null;
}

/** The name of a shape that is known but not trained, such as `sharegpt`; null if there is none. */
export function otherShapeOf(value: unknown): string | null {
  return shapeOf(value)?.name ?? null;
}

/**
 * Reads a JSON value as a row of a format.
 *
 * @param decidedBy Line of the row that decided the format; absent when the user named it.
 */
export function parseRow(value: unknown, format: TrainedFormat, decidedBy?: number): ParsedRow {
  if (!isRow(value)) {
    const found = value === null ? "null" : Array.isArray(value) ? "an array" : `a ${typeof value}`;
    return { problem: `is ${found}, not an object: write ${SAMPLES[format]}` };
  }
  if (!(format in value)) return { problem: otherRow(value, format, decidedBy) };
  const problem = unpairedSurrogate(value);
  if (problem) return { problem };
  return format === "text" ? parseText(value) : parseMessages(value);
}

function parseText({ text }: Row): ParsedRow {
  if (typeof text !== "string") return { problem: `"text" is ${kindOf(text)}, not a string` };
  if (text.trim() === "") return { problem: `"text" is empty: remove the row` };
  return { example: { kind: "text", text }, warnings: [] };
}

function parseMessages({ messages, tools }: Row): ParsedRow {
  if (!Array.isArray(messages)) return { problem: `"messages" is ${kindOf(messages)}, not an array` };
  if (messages.length === 0) return { problem: `"messages" is empty: remove the row` };
  if (Array.isArray(tools) && tools.length > 0) {
    return { problem: `has "tools", which are not trained: remove the row, or "tools" from it` };
  }
  for (const [i, message] of messages.entries()) {
    const problem = messageProblem(message);
    if (problem) return { problem: `messages[${i}] ${problem}` };
  }
  const turns = (messages as Message[]).map(({ role, content, name, weight }): Message => ({
    role,
    content,
    ...(name === undefined ? {} : { name }),
    ...(weight === undefined ? {} : { weight }),
  }));
  if (!turns.some(isTrained)) {
    return { problem: `has no assistant turn to learn from: add {"role": "assistant", "content": "..."}` };
  }
  return { example: { kind: "messages", messages: turns }, warnings: turnWarnings(turns) };
}

/** Whether the loss counts this turn's content. */
export function isTrained({ role, weight }: Message): boolean {
  return role === "assistant" && weight !== 0;
}

function messageProblem(message: unknown): string | null {
  if (!isRow(message)) return `is ${kindOf(message)}, not an object with "role" and "content"`;
  const { role, content, name, weight } = message;
  if (!ROLES.includes(role as Message["role"])) {
    return `role ${JSON.stringify(role) ?? "is missing and"} is not one of ${ROLES.join(", ")}${
      roleAdvice(role)
    }`;
  }
  if (message.tool_calls !== undefined || message.function_call !== undefined) {
    return `has tool calls, which are not trained: write the call into "content", or remove the row`;
  }
  if (content === undefined) return `has no "content"`;
  if (Array.isArray(content)) return `"content" is an array of parts: join their texts into one string`;
  if (typeof content !== "string") return `"content" is ${kindOf(content)}, not a string`;
  if (role === "assistant" && content.trim() === "") return `is an assistant turn with empty "content"`;
  if (name !== undefined && typeof name !== "string") return `"name" is ${kindOf(name)}, not a string`;
  if (weight !== undefined && weight !== 0 && weight !== 1) {
    return `"weight" is ${JSON.stringify(weight)}, not 0 or 1`;
  }
  return null;
}

function roleAdvice(role: unknown): string {
  const meant = { human: "user", gpt: "assistant", model: "assistant", bot: "assistant", function: "tool" };
  return typeof role === "string" && Object.hasOwn(meant, role)
    ? ` (did you mean "${meant[role as keyof typeof meant]}"?)`
    : "";
}

/** What strict chat templates refuse, though others take it. */
function turnWarnings(turns: readonly Message[]): string[] {
  const warnings: string[] = [];
  const spoken = turns.filter(({ role }) => role === "user" || role === "assistant");
  if (spoken[0]?.role === "assistant") {
    warnings.push(
      "starts with an assistant turn, which strict chat templates (Gemma, Llama 2, Mistral) refuse",
    );
  }
  const toolsSpeak = turns.some(({ role }) => role === "tool");
  if (!toolsSpeak && spoken.some(({ role }, i) => role === spoken[i - 1]?.role)) {
    warnings.push(
      "has two turns of one role in a row, which strict chat templates (Gemma, Llama 2, Mistral) refuse",
    );
  }
  return warnings;
}

/** Why a row that lacks the format's field does not belong here, and what to do. */
function otherRow(row: Row, format: TrainedFormat, decidedBy: number | undefined): string {
  const readAs = decidedBy === undefined
    ? `it is read as ${format}`
    : `line ${decidedBy} made this a ${format} file`;
  const other = formatOf(row);
  if (other) return `is a ${other} row, but ${readAs}: keep one format a file`;
  const shape = shapeOf(row);
  if (!shape) {
    const keys = Object.keys(row).slice(0, 8).map((key) => JSON.stringify(key.slice(0, 40))).join(", ") ||
      "no keys";
    return `has no "${format}" (found ${keys}): write ${SAMPLES[format]}`;
  }
  const missing = shape.needs.filter((key) => !(key in row)).map((key) => `"${key}"`);
  const lacks = missing.length === 0 ? "" : `, and ${missing.join(" and ")} is missing`;
  return `is ${
    /^[aeiou]/.test(shape.name) ? "an" : "a"
  } ${shape.name} row${lacks}; that format is not trained: ` +
    `to get ${SAMPLES.messages}, ${shape.conversion}`;
}

function shapeOf(value: unknown): Shape | null {
  return isRow(value) ? OTHER_SHAPES.find(({ marks }) => marks(value)) ?? null : null;
}

/** Half of a surrogate pair has no UTF-8, so it cannot be tokenised. */
function unpairedSurrogate(row: Row): string | null {
  const { text, messages } = row;
  const strings = Array.isArray(messages) ? messages.map((m) => isRow(m) ? m.content : null) : [text];
  const at = strings.findIndex((s) => typeof s === "string" && !s.isWellFormed());
  if (at === -1) return null;
  const where = Array.isArray(messages) ? `messages[${at}].content` : "text";
  return `${where} contains half of a surrogate pair (such as \\ud83d alone), which is no character: remove it, ` +
    `or write the emoji whole`;
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "missing";
  return Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : `a ${typeof value}`;
}
