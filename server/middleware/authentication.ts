/**
 * Who sends a request, and whether they may.
 *
 * @module
 */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { ServerEnv } from "../env.ts";
import { ApiError } from "../errors.ts";
import { ALL_SCOPES, type Caller, type Scope } from "../scopes.ts";
import type { TokenStore } from "../token_store.ts";

const ANYBODY: Caller = { tokenId: null, scopes: new Set(ALL_SCOPES), limits: new Map() };

/** How a 401 tells what was wanted. */
const CHALLENGE = { "www-authenticate": 'Bearer realm="lowrank"' };

/** Longer headers than any token are not looked at. */
const LONGEST_HEADER = 256;

/**
 * Finds out who sends a request, by its bearer token. A wrong one is nobody's: {@link requires} refuses it, behind the limit of
 * requests by address.
 *
 * @param anonymous Whether requests may come without one. A token that is sent is ignored then, as OpenAI's clients always
 * send something.
 */
export function authentication(tokens: TokenStore, anonymous: boolean) {
  return createMiddleware<ServerEnv>(async (c, next) => {
    const header = c.req.header("authorization");
    if (anonymous) c.set("caller", ANYBODY);
    else c.set("caller", header === undefined ? null : callerOf(tokens, header));
    await next();
  });
}

/** What tells callers apart where each may have so much of something: their token, or else their address. */
export function callerKey(c: Context<ServerEnv>): string {
  return c.var.caller?.tokenId ?? `address ${c.env?.remoteAddress ?? ""}`;
}

function callerOf(tokens: TokenStore, header: string): Caller | null {
  const [, token = ""] = header.length <= LONGEST_HEADER ? /^bearer ([^\s]+)$/i.exec(header) ?? [] : [];
  return tokens.callerOf(token);
}

/** Lets only callers on whose token has the scope. */
export function requires(scope: Scope) {
  return createMiddleware<ServerEnv>(async (c, next) => {
    const caller = c.get("caller");
    if (!caller && c.req.header("authorization") !== undefined) {
      const message = "Incorrect API key provided: it is unknown, revoked or expired. " +
        "The operator of this server makes keys with `lowrank token create`.";
      throw new ApiError(401, message, { code: "invalid_api_key", headers: CHALLENGE });
    }
    if (!caller) {
      const message =
        "You didn't provide an API key. Provide it in an Authorization header with the scheme " +
        "Bearer: Authorization: Bearer YOUR_KEY.";
      throw new ApiError(401, message, { code: "missing_api_key", headers: CHALLENGE });
    }
    if (!caller.scopes.has(scope)) {
      throw new ApiError(403, `Your key lacks the scope ${scope}.`, { code: "insufficient_scope" });
    }
    await next();
  });
}
