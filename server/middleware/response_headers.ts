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
/** The page that trains is below it. */
export const PAGE_PATH = "/page/";

/** Isolation, and no guessing of types. */
const BROWSER_HEADERS = {
  crossOriginOpenerPolicy: "same-origin",
  crossOriginEmbedderPolicy: "require-corp",
  crossOriginResourcePolicy: "same-origin",
  referrerPolicy: "no-referrer",
  xFrameOptions: "DENY",
  strictTransportSecurity: false, // whoever ends TLS before this server says this
} as const;

/** With a policy that lets nothing be loaded but what is named; nothing of the API is kept in caches. */
const strictHeaders = (allowed: { readonly styleSrc?: string[] } = {}) =>
  secureHeaders({
    ...BROWSER_HEADERS,
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      ...allowed,
    },
  });

const headersOfAll = strictHeaders(), headersOfDocs = strictHeaders({ styleSrc: ["'self'"] });

/** For the training page, whose own file says what it may load: this is what a file cannot say. */
const headersOfPage = secureHeaders({
  ...BROWSER_HEADERS,
  contentSecurityPolicy: { frameAncestors: ["'none'"] },
});

/** The headers of a response; the page about the API may load its style sheet besides. */
export const securityHeaders = createMiddleware<ServerEnv>((c, next) => {
  const { path } = c.req;
  return (path === DOCS_PATH ? headersOfDocs : path.startsWith(PAGE_PATH) ? headersOfPage : headersOfAll)(
    c,
    next,
  );
});

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
