/**
 * `/metrics`, in the text form of Prometheus.
 *
 * @module
 */
import { Hono } from "hono";
import type { ServerEnv } from "../env.ts";
import { requires } from "../middleware/authentication.ts";
import { operation } from "../operations.ts";
import type { ServerMetrics } from "../server_metrics.ts";

/** What this route needs. */
export interface MetricsRouteDeps {
  readonly metrics: ServerMetrics;
}

export function metricsRoutes({ metrics }: MetricsRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();
  app.get(
    "/metrics",
    operation({
      id: "metrics",
      tag: "Server",
      summary: "Numbers about the server, for Prometheus",
      scope: "metrics:read",
      isProblem: true,
      ok: { description: "Prometheus text", content: { "text/plain": { schema: { type: "string" } } } },
    }),
    requires("metrics:read"),
    async (c) => c.text(await metrics.text(), 200, { "content-type": metrics.contentType }),
  );
  return app;
}
