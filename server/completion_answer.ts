/**
 * Answers of the model as clients read them: whole, or as server-sent events while they are written.
 *
 * @module
 */
import { ApiError, errorResponse } from "./errors.ts";
import { type GenerationEvent, refusalOfGeneration } from "./generation.ts";
import { VERSION } from "../src/version.ts";
import { randomWord } from "./ids.ts";
import { eventResponse } from "./server_sent_events.ts";

/** One of the answers. */
export interface Choice {
  readonly text: string;
  readonly finishReason: "stop" | "length";
}

/** Tokens that were read and written. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** The shape of one API's answers. */
export interface AnswerShape {
  readonly idPrefix: string;
  readonly object: string;
  readonly chunkObject: string;
  /** A choice of a whole answer. */
  choice(index: number, choice: Choice): object;
  /** Choices of the chunks before the first token of an answer; none where the API has no such chunks. */
  opening(index: number): object[];
  /** The choice of a chunk; text and reason do not come together. */
  delta(index: number, text: string, finishReason: Choice["finishReason"] | null): object;
}

/** An answer under way. */
export interface AnswerOptions {
  readonly shape: AnswerShape;
  /** As the client named it. */
  readonly model: string;
  readonly choices: number;
  /** The field that the prompt came in. */
  readonly param: string;
  /** Whether a stream's last chunk tells {@link Usage}. */
  readonly includeUsage: boolean;
  /** Seconds since 1970. */
  readonly created: number;
  /** Stops the generation. */
  readonly stop: AbortController;
}

/** The first event, which tells whether there is anything to answer. @throws {ApiError} What the client is told. */
export async function begun(events: AsyncIterator<GenerationEvent>, param: string): Promise<number> {
  try {
    const { value } = await events.next();
    return value?.type === "begun" ? value.promptTokens : 0;
  } catch (error) {
    throw refusalOfGeneration(error, param);
  }
}

/** The whole answer. @throws {ApiError} What the client is told. */
export async function wholeAnswer(
  events: AsyncIterable<GenerationEvent>,
  promptTokens: number,
  { shape, model, choices, param, created }: AnswerOptions,
): Promise<object> {
  const texts = Array<string>(choices).fill(""),
    reasons = Array<Choice["finishReason"]>(choices).fill("stop");
  let tokens = 0;
  try {
    for await (const event of events) {
      if (event.type !== "piece") continue;
      tokens++;
      texts[event.row] += event.text;
      if (event.end) reasons[event.row] = event.end;
    }
  } catch (error) {
    throw refusalOfGeneration(error, param);
  }
  return {
    ...headOf(shape.idPrefix, shape.object, model, created),
    choices: texts.map((text, i) => shape.choice(i, { text, finishReason: reasons[i]! })),
    usage: usageOf(promptTokens, tokens),
  };
}

/**
 * The answer as it is written. Whatever a slow client has not read yet waits here and not in the model: answers are short
 * beside what it would hold up. A client that goes stops the generation.
 */
export function streamedAnswer(
  events: AsyncIterable<GenerationEvent>,
  promptTokens: number,
  options: AnswerOptions,
): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      void (async () => {
        try {
          for await (const data of chunks(events, promptTokens, options)) {
            controller.enqueue(encoder.encode(`data: ${data}\n\n`));
          }
          controller.close();
        } catch {
          // the client has gone
        }
      })();
    },
    cancel: () => options.stop.abort(),
  });
  return eventResponse(body);
}

async function* chunks(
  events: AsyncIterable<GenerationEvent>,
  promptTokens: number,
  { shape, model, choices, param, includeUsage, created, stop }: AnswerOptions,
): AsyncGenerator<string> {
  const head = headOf(shape.idPrefix, shape.chunkObject, model, created);
  const chunk = (choices: readonly object[], usage: Usage | null = null) =>
    JSON.stringify({ ...head, choices, ...(includeUsage ? { usage } : {}) });
  let tokens = 0;
  try {
    for (let i = 0; i < choices; i++) for (const choice of shape.opening(i)) yield chunk([choice]);
    for await (const event of events) {
      if (event.type !== "piece") continue;
      tokens++;
      if (event.text !== "") yield chunk([shape.delta(event.row, event.text, null)]);
      if (event.end) yield chunk([shape.delta(event.row, "", event.end)]);
    }
    if (includeUsage) yield chunk([], usageOf(promptTokens, tokens));
  } catch (error) {
    if (stop.signal.aborted) return;
    yield await errorText(refusalOfGeneration(error, param));
  }
  yield "[DONE]";
}

/** A refusal as the body that it would have had. */
async function errorText(error: ApiError): Promise<string> {
  return await errorResponse(error, "/v1").text();
}

function headOf(prefix: string, object: string, model: string, created: number) {
  return {
    id: `${prefix}${randomWord(24)}`,
    object,
    created,
    model,
    system_fingerprint: `lowrank-${VERSION}`,
  };
}

function usageOf(prompt_tokens: number, completion_tokens: number): Usage {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}
