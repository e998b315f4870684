/**
 * An id for each request, in `x-request-id`, where OpenAI's clients look for it. What a client sends is not taken over.
 *
 * @module
 */
import { createMiddleware } from "hono/factory";
import type { ServerEnv } from "../env.ts";
import { randomWord } from "../ids.ts";

export const requestId = createMiddleware<ServerEnv>(async (c, next) => {
  c.set("requestId", `req_${randomWord(24)}`);
  await next();
  c.header("x-request-id", c.var.requestId);
});
