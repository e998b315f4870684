/**
 * One turn of a conversation: what it may hold, and what is wrong with one that does not.
 *
 * @module
 */
import { isRow, kindOf, type Row } from "./row.ts";

/** Who may speak in a `messages` row. */
export type Role = "system" | "developer" | "user" | "assistant" | "tool";
/** Every {@link Role}. */
export const ROLES: readonly Role[] = ["system", "developer", "user", "assistant", "tool"];

/** A call of a tool by the assistant, as chat templates take it. */
export interface ToolCall {
  /** `function`, where it is given. */
  readonly type?: string;
  /** What the answer of the tool names as `tool_call_id`. */
  readonly id?: string;
  /** Which function, with what. */
  readonly function: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> };
}

/** One turn of a conversation. */
export interface Message {
  /** Who speaks. */
  readonly role: Role;
  /** What is said. */
  readonly content: string;
  /** Speaker's name, for templates that print it. */
  readonly name?: string;
  /** 0 on an assistant turn that is context only; trained otherwise. */
  readonly weight?: 0 | 1;
  /** What an assistant turn calls; its content may be empty then. */
  readonly tool_calls?: readonly ToolCall[];
  /** The call that a tool turn answers. */
  readonly tool_call_id?: string;
}

/** Whether the loss counts this turn's content. */
export function isTrained({ role, weight }: Message): boolean {
  return role === "assistant" && weight !== 0;
}

/** A JSON value as a turn, or the reason why it is none, such as `has no "content"`. */
export function parseMessage(value: unknown): { message: Message } | { problem: string } {
  const problem = messageProblem(value);
  if (problem) return { problem };
  // tables write null for what is absent
  const given = Object.entries(value as Row).filter(([, field]) => field !== null);
  const { role, content, name, weight, tool_calls: calls, tool_call_id: call } = Object.fromEntries(given) as
    & Omit<Message, "content">
    & { content?: string };
  const read = toolCalls(calls);
  if (typeof read === "string") return { problem: read };
  return {
    message: {
      role,
      content: content ?? "",
      ...(name === undefined ? {} : { name }),
      ...(weight === undefined ? {} : { weight }),
      ...(read.length === 0 ? {} : { tool_calls: read }),
      ...(typeof call === "string" ? { tool_call_id: call } : {}),
    },
  };
}

function messageProblem(message: unknown): string | null {
  if (!isRow(message)) return `is ${kindOf(message)}, not an object with "role" and "content"`;
  const { role, content, tool_calls: calls } = message, name = message.name ?? undefined;
  const weight = message.weight ?? undefined;
  if (!ROLES.includes(role as Message["role"])) {
    return `role ${JSON.stringify(role) ?? "is missing and"} is not one of ${ROLES.join(", ")}${
      roleAdvice(role)
    }`;
  }
  if (message.function_call !== undefined && message.function_call !== null) {
    return `has "function_call": write it as "tool_calls", [{"function": {"name": ..., "arguments": ...}}]`;
  }
  const callsTools = role === "assistant" && Array.isArray(calls) && calls.length > 0;
  if (!callsTools || (content !== undefined && content !== null)) {
    if (content === undefined) return `has no "content"`;
    if (Array.isArray(content)) return `"content" is an array of parts: join their texts into one string`;
    if (typeof content !== "string") return `"content" is ${kindOf(content)}, not a string`;
    if (role === "assistant" && content.trim() === "" && !callsTools) {
      return `is an assistant turn with empty "content"`;
    }
  }
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

/** Calls with their arguments as objects, which templates want and OpenAI writes as JSON text; or what is wrong. */
function toolCalls(calls: unknown): ToolCall[] | string {
  if (calls === undefined || calls === null) return [];
  if (!Array.isArray(calls)) return `"tool_calls" is ${kindOf(calls)}, not an array`;
  const read: ToolCall[] = [];
  for (const [i, call] of calls.entries()) {
    const called = isRow(call) ? call.function : null;
    if (!isRow(called) || typeof called.name !== "string") {
      return `tool_calls[${i}] has no "function" with a "name"`;
    }
    const given = argumentsOf(called.arguments);
    if (!given) return `tool_calls[${i}] has "arguments" that are no JSON object`;
    read.push({ ...call, function: { ...called, name: called.name, arguments: given } });
  }
  return read;
}

function argumentsOf(given: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof given !== "string") return isRow(given) ? given : null;
  try {
    const value = JSON.parse(given);
    return isRow(value) ? value : null;
  } catch {
    return null;
  }
}

/** What strict chat templates refuse, though others take it. */
export function turnRemarks(turns: readonly Message[]): string[] {
  const remarks: string[] = [];
  const spoken = turns.filter(({ role }) => role === "user" || role === "assistant");
  if (spoken[0]?.role === "assistant") {
    remarks.push(
      "starts with an assistant turn, which strict chat templates (Gemma, Llama 2, Mistral) refuse",
    );
  }
  const toolsSpeak = turns.some(({ role }) => role === "tool");
  if (!toolsSpeak && spoken.some(({ role }, i) => role === spoken[i - 1]?.role)) {
    remarks.push(
      "has two turns of one role in a row, which strict chat templates (Gemma, Llama 2, Mistral) refuse",
    );
  }
  return remarks;
}
