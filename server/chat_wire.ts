/**
 * Chat completions in OpenAI's shapes.
 *
 * @module
 */
import * as z from "zod/mini";
import { type Message, parseMessage, ROLES } from "../src/data/message.ts";
import type { AnswerShape } from "./completion_answer.ts";
import { badRequest } from "./errors.ts";
import type { GenerationOrder } from "./generation.ts";
import type { JsonSchema } from "./operations.ts";
import {
  documentedBody,
  HARMLESS_SAMPLING,
  optionsFrom,
  refuseUnsupported,
  SAMPLING_FIELDS,
} from "./sampling_parameters.ts";

/** New tokens of an answer whose request names no number. */
export const DEFAULT_MAX_TOKENS = 1024;

const anything = z.nullish(z.unknown());

/** A request. What follows `messages` and the shared parameters is taken where it changes nothing. */
export const chatRequestSchema = z.strictObject({
  messages: z.array(z.looseObject({ role: z.string() })).check(z.minLength(1), z.maxLength(10_000)),
  ...SAMPLING_FIELDS,
  max_completion_tokens: z.nullish(z.int().check(z.gte(1))),
  response_format: z.nullish(z.looseObject({ type: z.string() })),
  modalities: z.nullish(z.array(z.string())),
  logprobs: z.nullish(z.boolean()),
  top_logprobs: z.nullish(z.int()),
  tools: z.nullish(z.array(z.unknown())),
  tool_choice: anything,
  functions: z.nullish(z.array(z.unknown())),
  function_call: anything,
  audio: anything,
  prediction: anything,
  web_search_options: anything,
  // about how OpenAI runs a request, or whom it is for
  ...Object.fromEntries(
    [
      "metadata",
      "moderation",
      "parallel_tool_calls",
      "prompt_cache_key",
      "prompt_cache_options",
      "prompt_cache_retention",
      "reasoning_effort",
      "safety_identifier",
      "service_tier",
      "store",
      "verbosity",
    ].map((name) => [name, anything]),
  ),
});

export type ChatRequest = z.output<typeof chatRequestSchema>;

const HARMLESS = {
  ...HARMLESS_SAMPLING,
  logprobs: [false],
  top_logprobs: [0],
  tools: [],
  tool_choice: ["none", "auto"],
  functions: [],
  function_call: ["none", "auto"],
  audio: [],
  prediction: [],
  web_search_options: [],
};

const text = { type: "string" };

/** Content as one text or in parts. @param spoken What each text must be besides. */
function contentSchema(spoken: JsonSchema = {}): JsonSchema {
  const part = {
    type: "object",
    required: ["type", "text"],
    properties: { type: { const: "text" }, text: { ...text, ...spoken } },
  };
  return { anyOf: [{ ...text, ...spoken }, { type: "array", items: part, minItems: 1 }] };
}

const MESSAGE_FIELDS = {
  name: { type: ["string", "null"] },
  weight: { enum: [0, 1, null] },
  function_call: { type: "null" },
};

const TOOL_CALL = {
  type: "object",
  required: ["function"],
  properties: {
    function: {
      type: "object",
      required: ["name", "arguments"],
      properties: {
        name: text,
        arguments: {
          anyOf: [{ type: "object" }, {
            ...text,
            contentMediaType: "application/json",
            contentSchema: { type: "object" },
          }],
        },
      },
    },
  },
};

/** Turns of a conversation, as {@link parseMessage} takes them. */
const MESSAGE_SCHEMAS = [
  {
    type: "object",
    required: ["role", "content"],
    properties: {
      role: { enum: ROLES.filter((role) => role !== "assistant") },
      content: contentSchema(),
      ...MESSAGE_FIELDS,
    },
  },
  {
    type: "object",
    required: ["role", "content"],
    properties: {
      role: { const: "assistant" },
      content: contentSchema({ pattern: "\\S" }),
      tool_calls: { type: ["array", "null"], items: TOOL_CALL },
      ...MESSAGE_FIELDS,
    },
  },
  {
    type: "object",
    required: ["role", "tool_calls"],
    properties: {
      role: { const: "assistant" },
      content: { type: "null" },
      tool_calls: { type: "array", items: TOOL_CALL, minItems: 1 },
      ...MESSAGE_FIELDS,
    },
  },
];

/** {@link chatRequestSchema} as the OpenAPI document has it: without what is refused. */
export function documentedChat(checked: JsonSchema): JsonSchema {
  const { messages } = checked.properties as Record<string, JsonSchema>;
  return documentedBody(checked, HARMLESS, {
    messages: { ...messages, items: { anyOf: MESSAGE_SCHEMAS } },
    response_format: {
      anyOf: [{ type: "object", required: ["type"], properties: { type: { const: "text" } } }, {
        type: "null",
      }],
    },
    modalities: { type: ["array", "null"], items: { const: "text" } },
  });
}

/** What the engine is to do. @throws {ApiError} 400 for what cannot be done. */
export function chatOrder(request: ChatRequest): Omit<GenerationOrder, "model"> {
  refuseUnsupported(request, HARMLESS);
  const { response_format: format, modalities } = request;
  if (format && format.type !== "text") {
    throw badRequest(
      'Unsupported value: \'response_format\' other than {"type": "text"} is not supported by this server.',
      "response_format",
      "unsupported_value",
    );
  }
  if (modalities?.some((word) => word !== "text")) {
    throw badRequest("Unsupported value: only text is generated.", "modalities", "unsupported_value");
  }
  const most = request.max_completion_tokens ?? request.max_tokens ?? DEFAULT_MAX_TOKENS;
  return {
    input: { kind: "chat", messages: request.messages.map(messageFrom) },
    count: request.n ?? 1,
    options: optionsFrom(request, most),
  };
}

/** A turn as templates take it: parts of text as one, and `developer` by the name that templates know. */
function messageFrom(given: Readonly<Record<string, unknown>>, i: number): Message {
  const content = textOf(given.content, `messages.${i}.content`);
  const parsed = parseMessage({
    ...given,
    content,
    role: given.role === "developer" ? "system" : given.role,
  });
  if ("message" in parsed) return parsed.message;
  throw badRequest(`Invalid value: message ${i + 1} ${parsed.problem}.`, `messages.${i}`, "invalid_value");
}

function textOf(content: unknown, param: string): unknown {
  if (!Array.isArray(content)) return content;
  return content.map((part) => {
    if (part?.type === "text" && typeof part.text === "string") return part.text;
    throw badRequest("Invalid value: only parts of the type text are taken.", param, "invalid_value");
  }).join("");
}

export const CHAT_SHAPE: AnswerShape = {
  idPrefix: "chatcmpl-",
  object: "chat.completion",
  chunkObject: "chat.completion.chunk",
  choice: (index, { text, finishReason }) => ({
    index,
    message: { role: "assistant", content: text, refusal: null },
    logprobs: null,
    finish_reason: finishReason,
  }),
  opening: (index) => [chunkChoice(index, { role: "assistant", content: "" }, null)],
  delta: (index, text, finishReason) =>
    chunkChoice(index, finishReason ? {} : { content: text }, finishReason),
};

function chunkChoice(index: number, delta: object, finish_reason: "stop" | "length" | null): object {
  return { index, delta, logprobs: null, finish_reason };
}

const finishReason = z.enum(["stop", "length"]);

/** Tokens that were read and written. */
export const usageSchema = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
});

/** A whole answer, for the OpenAPI document. */
export const chatAnswerSchema = z.object({
  id: z.string(),
  object: z.literal("chat.completion"),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(z.object({
    index: z.int(),
    message: z.object({
      role: z.literal("assistant"),
      content: z.string(),
      refusal: z.null(),
    }),
    logprobs: z.null(),
    finish_reason: finishReason,
  })),
  usage: usageSchema,
});
