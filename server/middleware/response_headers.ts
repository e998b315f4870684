/**
 * Headers that keep browsers from making more of a response than it is.
 *
 * @module
 */
import { cors } from "hono/cors";
import { secureHeaders } from "hono/secure-headers";

/** A strict policy, isolation, and no guessing of types; nothing of the API is kept in caches. */
export const securityHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
  },
  crossOriginOpenerPolicy: "same-origin",
  crossOriginEmbedderPolicy: "require-corp",
  crossOriginResourcePolicy: "same-origin",
  referrerPolicy: "no-referrer",
  xFrameOptions: "DENY",
  strictTransportSecurity: false, // whoever ends TLS before this server says this
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
