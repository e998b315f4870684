/**
 * `/healthz` and `/readyz`, for whatever starts and stops servers.
 *
 * @module
 */
import { Hono } from "hono";
import * as z from "zod/mini";
import type { ServerEnv } from "../env.ts";
import { ApiError } from "../errors.ts";
import { operation } from "../operations.ts";

/** What these routes need. */
export interface HealthDeps {
  /** Why no work can be done now, such as that the server is stopping; null if it can. */
  readonly notReady: () => string | null;
}

const healthSchema = z.object({ status: z.literal("ok") });

export function healthRoutes({ notReady }: HealthDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();
  app.get(
    "/healthz",
    operation({
      id: "health",
      tag: "Server",
      summary: "Whether the server is alive",
      scope: null,
      isProblem: true,
      ok: { description: "It is", schema: healthSchema },
    }),
    (c) => c.json({ status: "ok" as const }),
  );
  app.get(
    "/readyz",
    operation({
      id: "ready",
      tag: "Server",
      summary: "Whether the server takes work",
      scope: null,
      isProblem: true,
      ok: { description: "It does", schema: healthSchema },
      refusals: [503],
    }),
    (c) => {
      const reason = notReady();
      if (reason !== null) throw new ApiError(503, reason, { retryAfter: 5 });
      return c.json({ status: "ok" as const });
    },
  );
  return app;
}
