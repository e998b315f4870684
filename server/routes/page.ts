/**
 * The page, below `/page/`, so that its addresses and those of the API never meet; `/` leads there.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { serveStatic } from "hono/deno";
import type { ServerEnv } from "../env.ts";
import { ApiError } from "../errors.ts";
import { PAGE_PATH } from "../middleware/response_headers.ts";

/** What these routes need. */
export interface PageRouteDeps {
  /** Gives the folder of the built page; null where none is served. */
  readonly page: (() => Promise<string>) | null;
}

/** The page asks for it to find out whether this server is behind it. */
const SERVER_FILE = "server.json";

export function pageRoutes({ page }: PageRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();
  if (!page) return app;
  app.get("/", (c) => c.redirect(PAGE_PATH));
  app.get(PAGE_PATH + SERVER_FILE, (c) => c.json({ api: "../" }));
  app.get(`${PAGE_PATH}*`, async (c: Context<ServerEnv>) => {
    const root = await page().catch((cause) => {
      const refusal = new ApiError(503, "The page cannot be built: the server's log says why.");
      refusal.cause = cause;
      throw refusal;
    });
    const answer = await serveStatic<ServerEnv>({
      root,
      rewriteRequestPath: (path) => path.slice(PAGE_PATH.length - 1),
      onFound: (_, c) => c.header("cache-control", "no-cache"),
    })(c, () => Promise.resolve());
    if (answer) return answer;
    throw new ApiError(404, "The page has no such file.");
  });
  return app;
}
