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

/** Scripts whose names change with what they hold: a browser that has one never asks again. */
const NAMED_BY_CONTENT = /-[0-9A-Z]{8}\.js$/;

/** Of all other files browsers ask whether they have the latest. */
async function tellVersion(path: string, c: Context<ServerEnv>): Promise<void> {
  const { size, mtime } = await Deno.stat(path), packing = c.res.headers.get("content-encoding") ?? "";
  c.header("etag", `"${size}-${mtime?.getTime()}${packing}"`);
  c.header("cache-control", NAMED_BY_CONTENT.test(path) ? "public, max-age=31536000, immutable" : "no-cache");
}

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
      precompressed: true,
      onFound: tellVersion,
    })(c, () => Promise.resolve());
    if (!answer) throw new ApiError(404, "The page has no such file.");
    if (c.req.header("if-none-match") !== answer.headers.get("etag")) return answer;
    await answer.body?.cancel();
    return c.body(null, 304);
  });
  return app;
}
