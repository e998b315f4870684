/**
 * Headers that keep browsers from making more of a response than it is.
 *
 * @module
 */
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { secureHeaders } from "hono/secure-headers";
import type { ServerEnv } from "../env.ts";

/** Where the page about the API is. */
export const DOCS_PATH = "/docs";

/** A strict policy, isolation, and no guessing of types; nothing of the API is kept in caches. */
const strictHeaders = (allowed: { readonly styleSrc?: string[] } = {}) =>
  secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      ...allowed,
    },
    crossOriginOpenerPolicy: "same-origin",
    crossOriginEmbedderPolicy: "require-corp",
    crossOriginResourcePolicy: "same-origin",
    referrerPolicy: "no-referrer",
    xFrameOptions: "DENY",
    strictTransportSecurity: false, // whoever ends TLS before this server says this
  });

const headersOfAll = strictHeaders(), headersOfDocs = strictHeaders({ styleSrc: ["'self'"] });

/** The headers of a response; the page about the API may load its style sheet besides. */
export const securityHeaders = createMiddleware<ServerEnv>((c, next) =>
  (c.req.path === DOCS_PATH ? headersOfDocs : headersOfAll)(c, next)
);

/** Lets pages of the allowed origins use the API, with the headers that OpenAI's clients send. */
export function crossOrigin(allowedOrigins: readonly string[]) {
  return cors({
    origin: (origin) => allowedOrigins.includes(origin) ? origin : null,
    allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    exposeHeaders: [
      ...["x-request-id", "retry-after", "x-should-retry"],
      ...["etag", "content-range", "location", "upload-offset", "x-checksum"], // of the proxy
    ],
    maxAge: 600,
  });
}
