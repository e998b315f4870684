/**
 * Parameters that chat and plain completions share: how tokens are drawn, how many, and how the answer is sent.
 *
 * @module
 */
import * as z from "zod/mini";
import { badRequest } from "./errors.ts";
import type { GenerationOrder } from "./generation.ts";
import type { JsonSchema } from "./operations.ts";

/** Answers to one prompt, at most. */
export const MOST_CHOICES = 8;

const penalty = z.nullish(z.number().check(z.gte(-2), z.lte(2)));

/** Their declarations, by wire name; null is as if it were absent. */
export const SAMPLING_FIELDS = {
  model: z.string().check(z.minLength(1), z.maxLength(300)),
  temperature: z.nullish(z.number().check(z.gte(0), z.lte(2))),
  top_p: z.nullish(z.number().check(z.gte(0), z.lte(1))),
  seed: z.nullish(z.int()),
  stop: z.nullish(z.union([z.string(), z.array(z.string()).check(z.maxLength(4))])),
  n: z.nullish(z.int().check(z.gte(1), z.lte(MOST_CHOICES))),
  max_tokens: z.nullish(z.int().check(z.gte(1))),
  stream: z.nullish(z.boolean()),
  stream_options: z.nullish(
    z.strictObject({
      include_usage: z.optional(z.boolean()),
      include_obfuscation: z.optional(z.boolean()),
    }),
  ),
  // taken where they change nothing
  frequency_penalty: penalty,
  presence_penalty: penalty,
  logit_bias: z.nullish(z.record(z.string(), z.number())),
  user: z.nullish(z.string()),
  // of this server
  top_k: z.nullish(z.int().check(z.gte(0))),
  repetition_penalty: z.nullish(z.number().check(z.gt(0), z.lte(10))),
} as const;

const samplingSchema = z.object(SAMPLING_FIELDS);

/** What they are after the check. */
export type SamplingParameters = z.output<typeof samplingSchema>;

/** How the engine is to draw. @param maxNewTokens What holds where the request names no number. */
export function optionsFrom(
  { temperature, top_p, top_k, repetition_penalty, seed, stop }: SamplingParameters,
  maxNewTokens: number,
): GenerationOrder["options"] {
  return {
    maxNewTokens,
    temperature: temperature ?? 1,
    topP: Math.max(top_p ?? 1, 1e-9), // 0 leaves the most probable token alone
    topK: top_k ?? 0,
    repetitionPenalty: repetition_penalty ?? 1,
    seed: (seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!) >>> 0,
    stopStrings: [stop ?? []].flat().filter((text) => text !== ""),
  };
}

/**
 * Refuses parameters that would change the answer and are not done here.
 *
 * @param harmless Values, by wire name, under which each changes nothing; null and absence always are.
 * @throws {ApiError} 400 that names the first one.
 */
export function refuseUnsupported(
  body: Readonly<Record<string, unknown>>,
  harmless: Readonly<Record<string, readonly unknown[]>>,
): void {
  for (const [name, values] of Object.entries(harmless)) {
    const value = body[name] ?? null;
    if (value === null || isEmpty(value) || values.includes(value)) continue;
    const otherwise = values.length > 0
      ? ` other than ${values.map((one) => JSON.stringify(one)).join(", ")}`
      : "";
    throw badRequest(
      `Unsupported parameter: '${name}'${otherwise} is not supported by this server.`,
      name,
      "unsupported_parameter",
    );
  }
  if (body.stream_options && body.stream !== true) {
    throw badRequest("'stream_options' needs 'stream': true.", "stream_options", "invalid_value");
  }
}

/** The schema of a request's body as the OpenAPI document has it: without values that {@link refuseUnsupported} refuses. */
export function documentedBody(
  checked: JsonSchema,
  harmless: Readonly<Record<string, readonly unknown[]>>,
  others: JsonSchema = {},
): JsonSchema {
  const declared = checked.properties as Record<string, JsonSchema>;
  const narrowed = Object.entries(harmless).map((
    [name, values],
  ) => [name, harmlessSchema(declared[name]!, values)]);
  return { ...checked, properties: { ...declared, ...Object.fromEntries(narrowed), ...others } };
}

function harmlessSchema(declared: JsonSchema, values: readonly unknown[]): JsonSchema {
  if (values.length > 0) return { enum: [...values, null] };
  const [{ type } = declared] = (declared.anyOf ?? []) as JsonSchema[];
  if (type === "array") return { type: ["array", "null"], maxItems: 0 };
  return type === "integer" ? { type: "null" } : { type: ["object", "null"], maxProperties: 0 };
}

/** Of {@link SAMPLING_FIELDS}, what is taken where it changes nothing. */
export const HARMLESS_SAMPLING: Readonly<Record<string, readonly unknown[]>> = {
  frequency_penalty: [0],
  presence_penalty: [0],
  logit_bias: [],
};

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && Object.keys(value!).length === 0;
}
