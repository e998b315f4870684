/**
 * The page as `lowrank serve` has it, in Chromium.
 *
 * @module
 */
import type { Page, Request } from "playwright-core";
import defaults from "../../web/defaults.json" with { type: "json" };
import { type ServerProcess, type ServerProcessOptions, startServer } from "../helpers/server_process.ts";
import { withPage } from "./browser.ts";

/** A short run of the bundled model and data. */
export const SHORT_JOB = {
  ...defaults,
  ...{
    max_steps: 6,
    batch_size: 2,
    eval_batch_size: 8,
    eval_data_path: null,
    train_test_split: 0.01,
    save_steps: 3,
    num_generation_samples: 1,
    exact_match: false,
  },
};

/** Of which Chromium tells that they failed: those that are left, and some that have come to their end. */
const STREAMS = /\/(events|completions)$/;

/** How the page is opened, and its server started. */
export interface ServedPage extends ServerProcessOptions {
  /** Options of the job in the page's form. */
  readonly job: Readonly<Record<string, unknown>>;
  readonly flags: readonly string[];
  /** Of `lowrank serve`. */
  readonly args?: readonly string[];
  /** Called with the data folder before the server starts, for tokens and models. */
  readonly fill?: (data: string) => Promise<void>;
  /** Errors on the page's console that are as they should be. */
  readonly expected?: RegExp;
  /** Whether a request that failed is as it should be; streams always are. */
  readonly mayFail?: (request: Request) => boolean;
}

/** Opens the page of a server that runs, with a folder of data of its own. */
export async function withServedPage(
  { job, flags, args = [], fill, mayFail = () => false, expected, ...options }: ServedPage,
  use: (page: Page, server: ServerProcess, data: string) => Promise<void>,
): Promise<void> {
  const data = await Deno.makeTempDir({ prefix: "lowrank-serve-" });
  await fill?.(data);
  const server = await startServer(data, ["--quiet", ...args], options);
  const opened = {
    flags,
    ...(expected ? { expected } : {}),
    mayFail: (request: Request) => STREAMS.test(request.url()) || mayFail(request),
    prepare: async (page: Page) => {
      await page.route("**/defaults.json", (route) => route.fulfill({ json: job }));
    },
  };
  try {
    await withPage(`${server.origin}/`, opened, (page) => use(page, server, data));
  } finally {
    await server.stop();
    await Deno.remove(data, { recursive: true });
  }
}
