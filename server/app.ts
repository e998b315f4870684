/**
 * The server as a value: middleware and routes over what is handed in. `createApp(deps).request("/healthz")` answers without
 * a port.
 *
 * @module
 */
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ServerEnv } from "./env.ts";
import { ApiError, badRequest, errorResponse } from "./errors.ts";
import { authentication } from "./middleware/authentication.ts";
import { endHeadBodies } from "./middleware/head_requests.ts";
import { originGuard } from "./middleware/origin_guard.ts";
import { rateLimit } from "./middleware/rate_limit.ts";
import { requestId } from "./middleware/request_id.ts";
import { crossOrigin, securityHeaders } from "./middleware/response_headers.ts";
import { smallBodies } from "./middleware/small_bodies.ts";
import { mountRoutes, type RouteDeps } from "./routes.ts";
import type { ServerSettings } from "./settings.ts";
import type { TokenStore } from "./token_store.ts";

/** A request that was answered, for the log. Neither bodies nor tokens nor queries are in it. */
export interface AccessEntry {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly ms: number;
  readonly tokenId: string | null;
  /** What went wrong where the status is 500; for the operator's eyes only. */
  readonly error?: unknown;
}

/** Everything that the app stands on. */
export interface AppDeps extends RouteDeps {
  readonly tokens: TokenStore;
  readonly settings: ServerSettings;
  readonly log: (entry: AccessEntry) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export type App = Hono<ServerEnv>;

/** Requests whose bodies are streamed and count their bytes themselves. */
const STREAMED = /^POST \/v1\/files\/?$|^PUT \/api\/(storage|uploads|runs)\//;

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

export function createApp(deps: AppDeps): App {
  const { tokens, settings, metrics, log, now } = deps;
  const app: App = new Hono<ServerEnv>();
  const failures = new WeakMap<Request, unknown>();

  app.use(requestId);
  app.use(async (c, next) => {
    const from = performance.now();
    await next();
    const { method, path } = c.req, ms = performance.now() - from, { requestId } = c.var;
    const error = failures.get(c.req.raw);
    const tokenId = c.var.caller?.tokenId ?? null;
    const entry = { requestId, method, path, status: c.res.status, ms, tokenId, ...(error ? { error } : {}) };
    metrics.observe(entry);
    log(entry);
  });
  app.use(endHeadBodies);
  app.use(securityHeaders);
  app.use(crossOrigin(settings.allowedOrigins));
  app.use(originGuard(settings));
  app.use(authentication(tokens, settings.anonymous));
  app.use(rateLimit(settings.requestsPerSecond, now));
  app.use(smallBodies({
    maxBytes: settings.maxBodyBytes,
    idleMs: settings.bodyIdleMs,
    isStreamed: (method, path) => STREAMED.test(`${method} ${path}`),
  }));

  mountRoutes(app, deps);

  app.notFound((c) => {
    const { path, method } = c.req;
    const allowed = METHODS.filter((other) => hasRoute(app, other, path));
    if (allowed.length === 0) {
      return errorResponse(new ApiError(404, `There is nothing at ${method} ${shown(path)}.`), path);
    }
    const headers = { allow: allowed.join(", ") };
    return errorResponse(new ApiError(405, `Only ${headers.allow} is answered here.`, { headers }), path);
  });
  app.onError((thrown, c) => {
    const refusal = refusalFrom(thrown);
    if (refusal.status >= 500) failures.set(c.req.raw, thrown);
    return errorResponse(refusal, c.req.path);
  });
  return app;
}

/** Whether a route, and not middleware alone, answers this. */
function hasRoute(app: App, method: string, path: string): boolean {
  const [found] = app.router.match(method, path);
  return found.some(([[, route]]) => route.method === method);
}

/** What a client is told of what was thrown. */
function refusalFrom(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof HTTPException && thrown.status < 500) {
    return thrown.status === 400
      ? badRequest("The body is not valid JSON.")
      : new ApiError(thrown.status, thrown.message);
  }
  if (thrown instanceof Deno.errors.NotCapable) return new ApiError(500, "The server may not do this.");
  if (thrown instanceof Error && /ENOSPC|os error 28/.test(thrown.message)) {
    return new ApiError(507, "The server's disk is full.");
  }
  return new ApiError(500, "The server had an error while processing your request.");
}

function shown(path: string): string {
  return path.replace(/[^\x21-\x7e]/g, "?").slice(0, 200);
}
