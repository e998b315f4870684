/**
 * The built page on a server of its own, in Debian's Chromium.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Browser, chromium, type Page, type Request } from "playwright-core";
import { buildWeb, bundle } from "../../web/build.ts";
import { serveFolder } from "../../web/serve.ts";
import { chromiumPath } from "./chromium.ts";

/** What Chromium needs to be quiet and alone. Without a GPU it offers no adapter then. */
export const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** With a software adapter. */
export const WEBGPU_FLAGS = [...FLAGS, "--enable-unsafe-webgpu"];

/** Declares a test in Chromium. */
export function inChromium(name: string, test: (t: Deno.TestContext) => Promise<void>): void {
  // playwright keeps pipes to the browser
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn: test });
}

/**
 * Builds the page, with its bundled model and data, in `site` below the folder returned; with another job and the
 * contract worker beside it.
 */
export async function buildSite(job: Readonly<Record<string, unknown>>): Promise<string> {
  const root = await Deno.makeTempDir({ prefix: "lowrank-page-" });
  await buildWeb(`${root}/site`);
  await Deno.writeTextFile(`${root}/site/defaults.json`, JSON.stringify(job));
  const here = new URL(".", import.meta.url).pathname;
  await bundle([`${here}opfs_contract.ts`], `${root}/site`, [`--config=${here}contract.json`]);
  return root;
}

/** The page's server, of which a test may do without. */
export interface TabServer {
  /** From now on nobody answers, which is no fault of the page. */
  stop(): Promise<void>;
}

/** Browsers that are open, by their flags: a tab of its own context shares nothing with another but the start. */
const browsers = new Map<string, Browser>();

async function browserWith(flags: readonly string[]): Promise<Browser> {
  const key = flags.join(" "), open = browsers.get(key);
  if (open?.isConnected()) return open;
  const started = await chromium.launch({ executablePath: chromiumPath!, args: [...flags] });
  browsers.set(key, started);
  return started;
}

/** Of tests this is done by itself. */
export async function closeBrowsers(): Promise<void> {
  for (const browser of browsers.values()) await browser.close();
  browsers.clear();
}

Deno.test.afterAll(closeBrowsers);

/**
 * Opens the page as in a fresh browser, and fails if its console shows an error, or if it asks anything of another origin.
 *
 * @param root Folder of the server; the page is in `site` below it, since it must not need to be at the top.
 */
export async function withTab(
  root: string,
  flags: readonly string[],
  use: (page: Page, server: TabServer) => Promise<void>,
  prepare?: PageOptions["prepare"],
  { mayFail = () => false, expected }: Pick<PageOptions, "mayFail" | "expected"> = {},
): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, serveFolder(root));
  let isServed = true;
  const stop = async () => {
    isServed = false;
    await server.shutdown();
  };
  try {
    const options = {
      flags,
      mayFail: (request: Request) => !isServed || mayFail(request),
      ...(prepare ? { prepare } : {}),
      ...(expected ? { expected } : {}),
    };
    await withPage(`http://127.0.0.1:${server.addr.port}/site/`, options, (page) => use(page, { stop }));
  } finally {
    if (isServed) await server.shutdown();
  }
}

/** How a page is opened. */
export interface PageOptions {
  readonly flags: readonly string[];
  /** Whether a request that failed is as it should be. */
  readonly mayFail?: (request: Request) => boolean;
  /** Errors on its console that are as they should be, such as those of refused requests. */
  readonly expected?: RegExp;
  /** Called before the page is loaded. */
  readonly prepare?: (page: Page) => Promise<void>;
}

/** The same for the page of a server that runs. */
export async function withPage(
  address: string,
  { flags, mayFail = () => false, expected = /^$/, prepare }: PageOptions,
  use: (page: Page) => Promise<void>,
): Promise<void> {
  const browser = await browserWith(flags), { origin } = new URL(address);
  const context = await browser.newContext({ viewport: { width: 1100, height: 760 } }); // for more tabs of the page
  try {
    const page = await context.newPage();
    const problems: string[] = [], foreign: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error" && !expected.test(message.text())) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("requestfailed", (request) => {
      if (!mayFail(request)) problems.push(`${request.url()}: ${request.failure()?.errorText}`);
    });
    context.on("request", (request) => {
      if (/^(https?|wss?):/.test(request.url()) && new URL(request.url()).origin !== origin) {
        foreign.push(request.url());
      }
    });
    await prepare?.(page);
    await page.goto(address);
    await use(page);
    assert.deepEqual(problems, []);
    assert.deepEqual(foreign, []);
  } finally {
    await context.close();
  }
}

/** Waits until an element is shown. */
export async function shown(page: Page, id: string): Promise<void> {
  await page.locator(`#${id}`).waitFor({ state: "visible", timeout: 60_000 });
}

/** What a press on a button gives for download. */
export async function pressedFor(page: Page, button: string): Promise<Uint8Array<ArrayBuffer>> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.locator(`#${button}:not([disabled])`).click(),
  ]);
  return await Deno.readFile(await download.path());
}

/** A file of the run's folder that the page offers for download. */
export async function downloaded(page: Page, name: string): Promise<Uint8Array> {
  const folded = page.locator("#made details:not([open]) summary");
  if (await folded.count() > 0) await folded.click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name, exact: true }).click(),
  ]);
  return await Deno.readFile(await download.path());
}
