/**
 * A file of 200 MB in the page: how long it takes to be read, whether the page stays quick meanwhile, and what it is
 * trained with.
 *
 *     deno task big-data
 *
 * @module
 */
import type { Page } from "playwright-core";
import defaults from "../../web/defaults.json" with { type: "json" };
import { buildSite, closeBrowsers, WEBGPU_FLAGS, withTab } from "./browser.ts";

const BYTES = 200e6;
const PATIENCE_MS = 30 * 60_000;

async function writeRows(path: string): Promise<number> {
  using file = await Deno.open(path, { write: true, create: true });
  const writer = file.writable.getWriter();
  let bytes = 0, rows = 0;
  while (bytes < BYTES) {
    const lines = Array.from({ length: 1000 }, () => {
      const text = `The lamp of tower ${rows++} was lit at dusk and seen from far away. `.repeat(14);
      return `${JSON.stringify({ text })}\n`;
    });
    const part = new TextEncoder().encode(lines.join(""));
    await writer.write(part);
    bytes += part.length;
  }
  await writer.close();
  return rows;
}

/** Longest task of the page's main thread from now on, milliseconds. */
async function watchMainThread(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const tab = Object.assign(globalThis, { longest: 0 }) as unknown as { longest: number };
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tab.longest = Math.max(tab.longest, duration);
    }).observe({ type: "longtask" });
  });
  return () => page.evaluate(() => (globalThis as unknown as { longest: number }).longest);
}

const seconds = (from: number) => `${((performance.now() - from) / 1000).toFixed(1)} s`;

const built = await buildSite({
  ...defaults,
  ...{ max_steps: 2, batch_size: 2, eval_data_path: null, train_test_split: 0, num_generation_samples: 0 },
  ...{ exact_match: false, eval_steps: 0 },
});
try {
  const path = `${built}/rows.jsonl`, rows = await writeRows(path);
  await withTab(built, WEBGPU_FLAGS, async (page) => {
    page.setDefaultTimeout(PATIENCE_MS);
    await page.locator("#row-preview").waitFor();
    const longest = await watchMainThread(page);
    let from = performance.now();
    await page.locator("#data-file").setInputFiles(path);
    const summary = page.locator("#data-summary"), problem = page.locator("#data-problem");
    await summary.getByText("rows.jsonl").or(problem).first().waitFor();
    console.log(`first rows in ${seconds(from)}: ${await summary.innerText()}`);
    await summary.getByText("to train on").or(problem).first().waitFor();
    console.log(`${rows} rows read in ${seconds(from)}: ${await page.locator("#data-summary").innerText()}`);
    await page.locator("#job").getByText("rows.jsonl:").waitFor();
    console.log(`planned after ${seconds(from)}; longest task of the main thread ${await longest()} ms`);
    from = performance.now();
    await page.locator("#start").click();
    await page.locator("#run[data-status=completed], #problem").waitFor();
    console.log(`trained in ${seconds(from)}: ${await page.locator("#live").innerText()}`);
    console.log((await page.locator("#problem").allInnerTexts()).join("\n"));
  });
} finally {
  await closeBrowsers();
  await Deno.remove(built, { recursive: true });
}
