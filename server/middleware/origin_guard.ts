/**
 * Keeps foreign pages out. A server on loopback without tokens can be reached by every page that its user opens: what
 * tells those requests apart are Origin and Host.
 *
 * @module
 */
import { createMiddleware } from "hono/factory";
import type { ServerEnv } from "../env.ts";
import { ApiError } from "../errors.ts";

const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;

/**
 * Refuses requests from pages of other origins than the server's own and the allowed ones, and, without tokens, names of
 * the server that are not loopback's: a foreign name that resolves to this machine (DNS rebinding).
 */
export function originGuard({ anonymous, allowedOrigins }: {
  readonly anonymous: boolean;
  readonly allowedOrigins: readonly string[];
}) {
  return createMiddleware<ServerEnv>(async (c, next) => {
    const url = new URL(c.req.url), host = c.req.header("host") ?? url.host;
    if (anonymous && !LOOPBACK_HOST.test(host)) {
      const message = "This server has no tokens and answers to localhost only.";
      throw new ApiError(421, message, { code: "wrong_host" });
    }
    const origin = c.req.header("origin");
    const isOwn = origin === undefined || hostOf(origin) === host || allowedOrigins.includes(origin);
    if (!isOwn) {
      const message =
        "Pages of this origin may not use this server: its operator allows them with --allow-origin.";
      throw new ApiError(403, message, { code: "origin_not_allowed" });
    }
    await next();
  });
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null; // "null" is the origin of sandboxed pages
}
