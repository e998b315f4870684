/**
 * Bodies that are read whole: no longer than a limit, in time, and not nested so deeply that code that walks them runs out of
 * stack.
 *
 * @module
 */
import { createMiddleware } from "hono/factory";
import type { ServerEnv } from "../env.ts";
import { badRequest } from "../errors.ts";
import { textOf } from "../request_body.ts";

/** Arrays and objects of JSON within one another; schemas of tools have some twenty. */
const DEEPEST = 100;

/** Reads the body of every request, for `c.req.text()` and `c.req.json()`, but of those that `isStreamed` names. */
export function smallBodies({ maxBytes, idleMs, isStreamed }: {
  readonly maxBytes: number;
  readonly idleMs: number;
  readonly isStreamed: (method: string, path: string) => boolean;
}) {
  return createMiddleware<ServerEnv>(async (c, next) => {
    const { method, path, raw: { body } } = c.req;
    if (body && !isStreamed(method, path)) {
      const text = await textOf(body, { maxBytes, idleMs });
      if (isNestedDeeper(text, DEEPEST)) {
        throw badRequest(`The body is nested too deeply: ${DEEPEST} levels are taken.`);
      }
      const cache = c.req.bodyCache as { text?: unknown };
      cache.text = Promise.resolve(text); // promises are kept there, whatever the types say
    }
    await next();
  });
}

/** Whether JSON holds more levels of arrays and objects. What stands in strings does not count. */
function isNestedDeeper(text: string, most: number): boolean {
  let depth = 0;
  for (const [mark] of text.matchAll(/"(?:[^"\\]|\\[^])*"?|[[{]|[\]}]/g)) {
    if (mark === "[" || mark === "{") depth++;
    else if (mark === "]" || mark === "}") depth--;
    if (depth > most) return true;
  }
  return false;
}
