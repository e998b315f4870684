/**
 * HEAD, which Hono answers as GET and without the body: nobody would read that, or end it.
 *
 * @module
 */
import { createMiddleware } from "hono/factory";
import type { ServerEnv } from "../env.ts";

/** Ends the body of an answer to HEAD: it would keep a file open, or a stream of events. */
export const endHeadBodies = createMiddleware<ServerEnv>(async (c, next) => {
  await next();
  if (c.req.method === "HEAD") await c.res.body?.cancel();
});
