/**
 * Refusals as clients read them: OpenAI's shape under `/v1`, RFC 9457 elsewhere. Neither tells stacks or paths.
 *
 * @module
 */

/** What else a refusal says. */
export interface ApiErrorDetails {
  /** A word for programs, such as `fine_tune_not_found`. */
  readonly code?: string | null;
  /** The field that is meant. */
  readonly param?: string | null;
  /** Default by status. */
  readonly type?: string;
  /** Seconds after which the same request may succeed; without it clients are told not to try again. */
  readonly retryAfter?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that is refused, with the words that the client gets. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly details: ApiErrorDetails;

  constructor(status: number, message: string, details: ApiErrorDetails = {}) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

/** A request whose field is wrong. */
export function badRequest(
  message: string,
  param: string | null = null,
  code: string | null = null,
): ApiError {
  return new ApiError(400, message, { param, code });
}

const NOT_FOUND = {
  file: { words: (id: string) => `No such File object: ${id}`, param: "id", code: null },
  job: {
    words: (id: string) => `Could not find fine tune: ${id}`,
    param: "fine_tune_id",
    code: "fine_tune_not_found",
  },
  model: {
    words: (id: string) => `The model '${id}' does not exist or you do not have access to it.`,
    param: "model",
    code: "model_not_found",
  },
  event: { words: (id: string) => `The job has no such event: ${id}`, param: "after", code: null },
  checkpoint: { words: (id: string) => `The job has no such checkpoint: ${id}`, param: "after", code: null },
} as const;

/** There is no such thing, in OpenAI's words. @param param The field that names it, where it is not the usual one. */
export function notFound(what: keyof typeof NOT_FOUND, id: string, param?: string): ApiError {
  const { words, param: usual, code } = NOT_FOUND[what];
  const shown = JSON.stringify(id.slice(0, 80)).slice(1, -1);
  return new ApiError(404, words(shown), { param: param ?? usual, code });
}

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

function typeOf(status: number): string {
  if (status >= 500) return "server_error";
  if (status === 403) return "permission_error";
  return status === 429 ? "rate_limit_error" : "invalid_request_error";
}

/** Statuses that OpenAI's clients try again by themselves. */
const RETRIED = new Set([408, 409, 429]);

/** The response of a refusal. @param path That of the request, which decides the shape. */
export function errorResponse(error: ApiError, path: string): Response {
  const { status, message, details: { code = null, param = null, type, retryAfter, headers: extra } } = error;
  const headers = new Headers(extra);
  if (retryAfter !== undefined) headers.set("retry-after", String(Math.max(0, Math.ceil(retryAfter))));
  else if (status >= 500 || RETRIED.has(status)) headers.set("x-should-retry", "false");
  if (path === "/v1" || path.startsWith("/v1/")) {
    const body = { error: { message, type: type ?? typeOf(status), param, code } };
    return Response.json(body, { status, headers });
  }
  headers.set("content-type", "application/problem+json");
  const title = TITLES[status] ?? "Error";
  const body = { type: "about:blank", title, status, detail: message, ...(code ? { code } : {}) };
  return new Response(JSON.stringify(body), { status, headers });
}
