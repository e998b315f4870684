/**
 * `/v1/chat/completions` and `/v1/completions`: text of base and fine-tuned models.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { ServerEnv } from "../env.ts";
import { notFound } from "../errors.ts";
import { CHAT_SHAPE, chatAnswerSchema, chatOrder, chatRequestSchema, documentedChat } from "../chat_wire.ts";
import {
  type AnswerOptions,
  type AnswerShape,
  begun,
  streamedAnswer,
  wholeAnswer,
} from "../completion_answer.ts";
import {
  COMPLETION_SHAPE,
  completionAnswerSchema,
  completionOrder,
  completionRequestSchema,
  documentedCompletion,
} from "../completion_wire.ts";
import type { GenerationOrder } from "../generation.ts";
import type { GenerationQueue } from "../generation_queue.ts";
import { requires } from "../middleware/authentication.ts";
import type { ModelCatalog } from "../model_catalog.ts";
import { jsonBody, operation } from "../operations.ts";
import type { SamplingParameters } from "../sampling_parameters.ts";

/** What these routes need. */
export interface CompletionRouteDeps {
  readonly models: ModelCatalog;
  readonly generations: GenerationQueue;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const DESCRIPTION =
  "With `stream`, chunks come as server-sent events and end with `[DONE]`. Parameters that would " +
  "change the answer and are not supported are refused.";

export function completionRoutes({ models, generations, now }: CompletionRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();

  app.post(
    "/chat/completions",
    operation({
      id: "createChatCompletion",
      tag: "Chat",
      summary: "Answer a conversation",
      description: DESCRIPTION,
      scope: "chat",
      ok: { description: "The answer", schema: chatAnswerSchema },
      refusals: [400, 404, 503],
    }),
    requires("chat"),
    jsonBody(chatRequestSchema, documentedChat),
    (c) => {
      const request = c.req.valid("json");
      return answer(c, request, () => chatOrder(request), CHAT_SHAPE, "messages");
    },
  );

  app.post(
    "/completions",
    operation({
      id: "createCompletion",
      tag: "Chat",
      summary: "Continue a text",
      description: DESCRIPTION,
      scope: "chat",
      ok: { description: "The answer", schema: completionAnswerSchema },
      refusals: [400, 404, 503],
    }),
    requires("chat"),
    jsonBody(completionRequestSchema, documentedCompletion),
    (c) => {
      const request = c.req.valid("json");
      return answer(c, request, () => completionOrder(request), COMPLETION_SHAPE, "prompt");
    },
  );

  async function answer(
    c: Context<ServerEnv>,
    { model, stream, stream_options: streamOptions }: SamplingParameters,
    orderOf: () => Omit<GenerationOrder, "model">,
    shape: AnswerShape,
    param: string,
  ): Promise<Response> {
    const found = await models.find(model);
    if (!found) throw notFound("model", model);
    const order = orderOf();
    const stop = new AbortController(), gone = () => stop.abort();
    const { signal } = c.req.raw;
    signal.addEventListener("abort", gone, { once: true });
    try {
      const { basePath, adapterPath, quantization, doubleQuant } = found;
      const events = generations.run(
        { ...order, model: { basePath, adapterPath, quantization, doubleQuant } },
        stop.signal,
      );
      const promptTokens = await begun(events, param);
      const { input, count } = order;
      const prompts = input.kind === "texts"
        ? input.texts.length
        : input.kind === "tokens"
        ? input.prompts.length
        : 1;
      const options: AnswerOptions = {
        shape,
        model,
        choices: prompts * count,
        param,
        includeUsage: streamOptions?.include_usage ?? false,
        created: Math.floor(now() / 1000),
        stop,
      };
      if (stream) return streamedAnswer(events, promptTokens, options);
      return c.json(await wholeAnswer(events, promptTokens, options));
    } finally {
      // from here on a stream knows by itself that its reader has gone
      signal.removeEventListener("abort", gone);
    }
  }

  return app;
}
