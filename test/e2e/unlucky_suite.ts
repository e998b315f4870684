/**
 * The page in the hands of somebody impatient, unlucky or malicious: presses that come twice, files that are none, addresses
 * that are broken, names and rows that are markup. Run by `unlucky_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Locator, Page } from "playwright-core";
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

inChromium(
  "markup in names, rows, prompts and addresses is text, and is run nowhere",
  () =>
    withPageOf(async (page) => {
      const told: string[] = [], image = "<img src=x onerror=alert(1)>", script = "<script>alert(2)</script>";
      page.on("dialog", (dialog) => {
        told.push(dialog.message());
        void dialog.dismiss();
      });
      const noMarkup = async () =>
        assert.equal(await page.locator("#app :is(main img, main script, main b.mine)").count(), 0);
      await shown(page, "fit");
      const rows = row(image, "</pre><b class=mine>b") +
        row("\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627");
      await page.locator("#data-file").setInputFiles(fileOf(`rows ${image}.jsonl`, rows));
      await page.locator("#row-preview", { hasText: "</pre><b class=mine>" }).waitFor();
      await page.locator("#data-summary", { hasText: image }).waitFor();
      await noMarkup();
      await page.locator("#data-file").setInputFiles(fileOf("bad.jsonl", `${image}\n`));
      await shown(page, "bad-lines");
      await page.locator("#prompt").fill(image);
      await page.keyboard.press("Enter");
      await page.locator("#prompts", { hasText: image }).waitFor();
      await page.locator("#option-output_model_name").fill(script);
      await page.locator("#option-output_model_name").blur();
      await page.locator("#issues", { hasText: script }).waitFor();
      await noMarkup();
      for (const path of [`run/${image}`, "run/100%", `run/${encodeURIComponent(script)}`, "chat/run/../x"]) {
        await page.evaluate((path) => location.hash = `#/${path}`, path);
        await page.getByText(/There is no such run here|Cannot /).first().waitFor();
        await noMarkup();
      }
      const next = await page.context().newPage();
      await next.goto(page.url().replace(/#.*/, "#/run/100%"));
      await next.getByText("There is no such run here.").waitFor();
      const leavesPage = await next.evaluate(() => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["<script>alert(3)</script>"], "other.html"));
        return document.body.dispatchEvent(
          new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }),
        );
      });
      assert.deepEqual([leavesPage, told], [false, []]);
    }),
);

inChromium(
  "presses that come twice do once, and other runs are shown while one goes on",
  () =>
    withPageOf(async (page) => {
      await page.locator("#start:not([disabled])").dblclick();
      await page.locator("#run[data-status=running]").waitFor({ timeout: 120_000 });
      await page.locator("#stop").dblclick();
      await page.locator("#run[data-status=paused]").waitFor({ timeout: 60_000 });
      assert.deepEqual(await page.locator("#problem").allInnerTexts(), []);
      await page.locator("#discard").dblclick();
      await page.locator("#discard", { hasText: "Remove all of it?" }).waitFor();
      await page.evaluate(() => location.hash = "#/train");
      await page.locator(".waiting #resume").dblclick();
      await page.locator("#run:is([data-status=running], [data-status=completed])").waitFor({
        timeout: 120_000,
      });
      assert.deepEqual(await page.locator("#problem").allInnerTexts(), []);
      await page.locator("#run[data-status=completed]").waitFor({ timeout: 120_000 });

      await page.evaluate(() => location.hash = "#/train");
      await page.locator("#job", { hasText: "signals-2" }).waitFor();
      await page.locator("#start:not([disabled])").click();
      await page.locator("#run-title", { hasText: "signals-2" }).waitFor();
      await page.goBack();
      await page.goForward();
      await page.evaluate(() => location.hash = "#/run/signals");
      await page.locator("#run[data-status=completed] h1", { hasText: /^signals$/ }).waitFor();
      await page.getByRole("link", { name: /^Run/ }).click();
      await page.locator("#run-title", { hasText: "signals-2" }).waitFor();
      await page.locator("#run[data-status=completed]").waitFor({ timeout: 120_000 });
    }),
);

inChromium(
  "a browser that keeps nothing trains in memory, and says so",
  () =>
    withTab(built, WEBGPU_FLAGS, async (page) => {
      await page.locator("#job", { hasText: "in memory, until this page is closed" }).waitFor({
        timeout: 60_000,
      });
      await page.locator("#start:not([disabled])").click();
      await page.locator("#run[data-status=completed], #problem").waitFor({ timeout: 120_000 });
      assert.deepEqual(await page.locator("#problem").allInnerTexts(), []);
      await page.locator("#to-chat").waitFor();
    }, async (page) => {
      await page.context().route("**/worker.js", async (route) => {
        const response = await route.fetch();
        const refusing =
          "navigator.storage.getDirectory = () => Promise.reject(new DOMException('', 'SecurityError'));";
        await route.fulfill({ response, body: `${refusing}\n${await response.text()}` });
      });
    }),
);

inChromium(
  "in the system's own colours, buttons can be read and pressed choices be seen",
  () =>
    withPageOf(async (page) => {
      await page.emulateMedia({ forcedColors: "active" });
      await shown(page, "fit");
      const styles = (locator: Locator) =>
        locator.evaluate((element) => {
          const { color, backgroundColor, outlineStyle } = getComputedStyle(element);
          return { color, backgroundColor, outlineStyle };
        });
      for (const button of ["#start", "#copy-command"]) {
        const { color, backgroundColor } = await styles(page.locator(button));
        assert.notEqual(color, backgroundColor, button);
      }
      const { outlineStyle } = await styles(page.locator(".switch [aria-pressed=true]").first());
      assert.equal(outlineStyle, "solid");
      const part = await styles(page.locator(".memory i").first());
      const whole = await styles(page.locator(".memory"));
      assert.notEqual(part.backgroundColor, whole.backgroundColor);
    }),
);
