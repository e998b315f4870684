/**
 * The page in the hands of somebody impatient, unlucky or malicious: presses that come twice, files that are none, addresses
 * that are broken, names and rows that are markup. Run by `unlucky_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import defaults from "../../web/defaults.json" with { type: "json" };
import { buildSite, inChromium, shown, WEBGPU_FLAGS, withTab } from "./browser.ts";

const JOB = {
  ...defaults,
  ...{ max_steps: 6, save_steps: 2, batch_size: 2, eval_steps: 0, num_generation_samples: 0 },
  ...{ exact_match: false, eval_data_path: null, train_test_split: 0 },
};

const built = await buildSite(JOB);

globalThis.addEventListener("unload", () => Deno.removeSync(built, { recursive: true }));

const withPageOf = (use: (page: Page) => Promise<void>) => withTab(built, WEBGPU_FLAGS, use);

/** A file as a person chooses it. */
const fileOf = (name: string, content: string | Uint8Array) => ({
  ...{ name, mimeType: "application/octet-stream" },
  buffer: Buffer.from(content),
});

const row = (prompt: string, completion: string) => `${JSON.stringify({ prompt, completion })}\n`;

/** Waits until the page says whether a run could be started. */
async function preview(page: Page, state: "Ready" | "Not ready"): Promise<void> {
  await page.locator(".preview .state", { hasText: new RegExp(`^${state}$`) }).waitFor({ timeout: 60_000 });
  assert.equal(await page.locator("#start").isDisabled(), state !== "Ready");
}

inChromium(
  "no run is offered that is known to fail, and why is told once, where it was found",
  () =>
    withPageOf(async (page) => {
      await shown(page, "fit");
      await preview(page, "Ready");
      const option = async (name: string, value: string) => {
        const field = page.locator(`#option-${name}`);
        await field.evaluate((input) => input.closest("details")?.setAttribute("open", ""));
        await field.fill(value);
        await field.blur();
      };
      await page.getByRole("button", { name: "Advanced", exact: true }).click();
      await option("target_modules", "nowhere");
      await shown(page, "plan-problem");
      assert.match(await page.locator("#plan-problem").innerText(), /^This run cannot be made\s+.*nowhere/);
      await preview(page, "Not ready");
      await option("target_modules", "");
      await shown(page, "fit");
      await option("max_length", "1");
      await preview(page, "Not ready");
      assert.deepEqual(await page.getByText(/^max_length: must be at least 2/).allInnerTexts(), [
        "max_length: must be at least 2: current value is 1",
      ]);
      await option("max_length", "64");
      await preview(page, "Ready");
      await page.locator("#model-file").setInputFiles(fileOf("cut.gguf", "GGUF"));
      await shown(page, "model-problem");
      await preview(page, "Not ready");
      assert.equal(await page.locator("#plan-problem").count(), 0);
      assert.equal(await page.locator("#model-file").evaluate((input: HTMLInputElement) => input.value), "");
      await page.locator("#model").selectOption("models/lowrank-tiny");
      await shown(page, "fit");
      await page.locator("#data-file").setInputFiles(fileOf("rows.jsonl", row("Signal a.", "A")));
      await page.locator("#data-summary", { hasText: "rows.jsonl" }).waitFor();
      await preview(page, "Ready");
      assert.equal(await page.locator("#data-file").evaluate((input: HTMLInputElement) => input.value), "");
    }),
);
