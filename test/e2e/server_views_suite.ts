/**
 * What the page shows of its server, and does there. Run by `server_views_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { FLAGS, inChromium, shown } from "./browser.ts";
import { SHORT_JOB, withServedPage } from "./served_page.ts";

const TINY = new URL("../../examples/tiny/model", import.meta.url).pathname;

/** A copy of the bundled model for the server alone. */
async function putModel(data: string, name: string): Promise<void> {
  const folder = `${data}/models/${name}`;
  await Deno.mkdir(folder, { recursive: true });
  for await (const { name } of Deno.readDir(TINY)) {
    await Deno.writeFile(`${folder}/${name}`, await Deno.readFile(`${TINY}/${name}`));
  }
}

const ROWS = Array.from(
  { length: 12 },
  (_, i) => JSON.stringify({ prompt: `Signal ${"abcdefghijkl"[i]}.`, completion: "L-A-M-P" }),
);

async function takeRows(page: Page, rows: readonly string[]): Promise<void> {
  const buffer = Buffer.from(rows.join("\n"));
  await page.locator("#data-file").setInputFiles({
    name: "rows.jsonl",
    mimeType: "application/jsonl",
    buffer,
  });
}

inChromium(
  "a browser without WebGPU sets a run up with a model of the server, and starts it there",
  async () => {
    const options = { job: SHORT_JOB, flags: FLAGS, fill: (data: string) => putModel(data, "ada/ember") };
    await withServedPage(options, async (page) => {
      await page.locator("#gate[data-missing]").getByText("The server behind this page can").waitFor();
      await page.locator("#model").selectOption({ label: "ada/ember (on the server)" });
      await page.locator("#model-facts").getByText("llama").waitFor();
      await takeRows(page, [...ROWS.slice(1), '{"prompt": "Signal light."}']);
      await shown(page, "bad-lines");
      await page.locator("#start-on-server[disabled]").waitFor();
      await takeRows(page, ROWS);
      await page.locator("#row-preview").getByText("L-A-M-P").first().waitFor();
      await page.locator("#prompt").fill("Signal lighthouse.");
      await page.locator("#add-prompt").click();
      assert.equal(await page.locator("#start").count(), 0);
      await page.locator("#start-on-server:not([disabled])").click();
      await page.locator("#server-job[data-status=succeeded]").waitFor({ timeout: 180_000 });
    });
  },
);
