/**
 * Plain completions in OpenAI's shapes.
 *
 * @module
 */
import * as z from "zod/mini";
import { usageSchema } from "./chat_wire.ts";
import type { AnswerShape } from "./completion_answer.ts";
import { badRequest } from "./errors.ts";
import type { GenerationInput, GenerationOrder } from "./generation.ts";
import type { JsonSchema } from "./operations.ts";
import {
  documentedBody,
  HARMLESS_SAMPLING,
  optionsFrom,
  refuseUnsupported,
  SAMPLING_FIELDS,
} from "./sampling_parameters.ts";

/** New tokens of an answer whose request names no number: OpenAI's. */
const DEFAULT_MAX_TOKENS = 16;

/** Answers to all prompts of a request, at most. */
const MOST_ROWS = 64;

const tokens = z.array(z.int().check(z.gte(0))).check(z.minLength(1));

export const completionRequestSchema = z.strictObject({
  prompt: z.nullish(z.union([
    z.string(),
    z.array(z.string()).check(z.minLength(1), z.maxLength(MOST_ROWS)),
    tokens,
    z.array(tokens).check(z.minLength(1), z.maxLength(MOST_ROWS)),
  ])),
  ...SAMPLING_FIELDS,
  echo: z.nullish(z.boolean()),
  suffix: z.nullish(z.string()),
  best_of: z.nullish(z.int()),
  logprobs: z.nullish(z.int()),
});

export type CompletionRequest = z.output<typeof completionRequestSchema>;

const HARMLESS = { ...HARMLESS_SAMPLING, echo: [false], suffix: [""], logprobs: [] };

/** {@link completionRequestSchema} as the OpenAPI document has it: without what is refused. */
export function documentedCompletion(checked: JsonSchema): JsonSchema {
  const best_of = { type: "null", description: "The same as `n`: leave it out" };
  return documentedBody(checked, HARMLESS, { best_of });
}

/** What the engine is to do. @throws {ApiError} 400 for what cannot be done. */
export function completionOrder(request: CompletionRequest): Omit<GenerationOrder, "model"> {
  const count = request.n ?? 1;
  refuseUnsupported(request, { ...HARMLESS, best_of: [count] });
  const input = inputFrom(request.prompt ?? "");
  const prompts = input.kind === "tokens"
    ? input.prompts.length
    : input.kind === "texts"
    ? input.texts.length
    : 1;
  if (prompts * count > MOST_ROWS) {
    throw badRequest(
      `'prompt' and 'n' make ${prompts * count} answers: up to ${MOST_ROWS} are given.`,
      "prompt",
    );
  }
  return { input, count, options: optionsFrom(request, request.max_tokens ?? DEFAULT_MAX_TOKENS) };
}

function inputFrom(prompt: string | readonly (string | number | readonly number[])[]): GenerationInput {
  if (typeof prompt === "string") return { kind: "texts", texts: [prompt] };
  if (typeof prompt[0] === "string") return { kind: "texts", texts: prompt as string[] };
  const prompts = typeof prompt[0] === "number" ? [prompt as number[]] : prompt as number[][];
  return { kind: "tokens", prompts };
}

export const COMPLETION_SHAPE: AnswerShape = {
  idPrefix: "cmpl-",
  object: "text_completion",
  chunkObject: "text_completion",
  choice: (index, { text, finishReason }) => choiceOf(index, text, finishReason),
  opening: () => [],
  delta: choiceOf,
};

function choiceOf(index: number, text: string, finish_reason: "stop" | "length" | null): object {
  return { index, text, logprobs: null, finish_reason };
}

/** A whole answer, for the OpenAPI document. */
export const completionAnswerSchema = z.object({
  id: z.string(),
  object: z.literal("text_completion"),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(z.object({
    index: z.int(),
    text: z.string(),
    logprobs: z.null(),
    finish_reason: z.enum(["stop", "length"]),
  })),
  usage: usageSchema,
});
