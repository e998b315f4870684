/**
 * Runs of the built page as a person watches them: what the tab tells of one, answers on the way, single steps. Run by
 * `runs_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import defaults from "../../web/defaults.json" with { type: "json" };
import { buildSite, inChromium, shown, WEBGPU_FLAGS, withTab } from "./browser.ts";
import { type KeptRun, putRuns } from "./kept_runs.ts";
import { completed } from "./whole_way.ts";

const STEPS = 12;

const built = await buildSite({
  ...defaults,
  ...{ max_steps: STEPS, batch_size: 2, eval_batch_size: 8, eval_data_path: null, train_test_split: 0.01 },
  ...{ num_generation_samples: 2, sample_steps: 0, exact_match: false, eval_steps: 6 },
});

globalThis.addEventListener("unload", () => Deno.removeSync(built, { recursive: true }));

/** What the page asks of the browser's own offers, in their place. */
interface Offers {
  readonly titles: string[];
  readonly notices: string[];
  wakes: number;
  held: number;
}

/** Stands in for what a headless browser does not show, before the page is loaded. */
async function watchOffers(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const offers: Offers = { titles: [], notices: [], wakes: 0, held: 0 };
    class FakeNotification extends EventTarget {
      static requestPermission = () => Promise.resolve("granted");
      constructor(title: string, { body }: { body: string }) {
        super();
        offers.notices.push(`${title}: ${body}`);
      }
    }
    const request = () => {
      offers.wakes++;
      offers.held++;
      return Promise.resolve({ release: () => Promise.resolve(void offers.held--) });
    };
    Object.assign(globalThis, { offers, Notification: FakeNotification });
    Object.defineProperty(Navigator.prototype, "wakeLock", { value: { request } });
    new MutationObserver(() => offers.titles.push(document.title))
      .observe(document, { childList: true, subtree: true, characterData: true });
  });
}

const offersOf = (page: Page): Promise<Offers> =>
  page.evaluate(() => (globalThis as unknown as { offers: Offers }).offers);

/** Presses a button as soon as the run has made a step: from here it comes some steps earlier than the test's own. */
async function pressAtFirstStep(page: Page, id: string): Promise<void> {
  await page.evaluate((id) => {
    const watch = new MutationObserver(() => {
      const button = document.getElementById(id);
      if (!button || !document.getElementById("live")?.textContent?.startsWith("Step ")) return;
      watch.disconnect();
      button.click();
    });
    watch.observe(document.body, { childList: true, characterData: true, subtree: true });
  }, id);
}

inChromium(
  "a run is told by the tab, keeps the screen on, and notifies whoever asked and looks away",
  async () => {
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      await page.locator("#start:not([disabled])").click();
      await page.locator("#notify").click();
      assert.equal(await page.locator("#notify").innerText(), "Do not notify me");
      assert.equal((await offersOf(page)).held, 1);
      await page.evaluate(() =>
        Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" })
      );
      await completed(page);
      const { titles, notices, wakes, held } = await offersOf(page);
      assert.ok(titles.some((title) => /^\d+ % · loss \d+\.\d\d · Lowrank$/.test(title)), `${titles}`);
      assert.equal(await page.title(), "✓ signals · Lowrank");
      assert.deepEqual([wakes, held], [1, 0]);
      assert.equal(notices.length, 1);
      assert.match(notices[0]!, /^signals is trained: Training loss [\d.]+ → [\d.]+ over 12 steps/);
    }, watchOffers);
  },
);

inChromium("answers are asked for on the way, and a paused run goes on for one step", async () => {
  await withTab(built, WEBGPU_FLAGS, async (page) => {
    await pressAtFirstStep(page, "answer-now");
    await page.locator("#start:not([disabled])").click();
    const heads = page.locator("#samples thead th");
    await heads.filter({ hasText: /^Now, step \d+$/ }).waitFor({ timeout: 120_000 });
    const asked = Number((await heads.last().innerText()).replace("Now, step ", ""));
    assert.ok(asked > 0 && asked < STEPS, `answered after step ${asked}`);
    await page.locator("#stop").click();
    await shown(page, "one-step");
    const kept = Number((await page.locator("#resume").innerText()).replace("Continue from step ", ""));
    await page.locator("#one-step").click();
    await page.locator("#resume", { hasText: `Continue from step ${kept + 1}` }).waitFor({
      timeout: 120_000,
    });
    await page.locator("#resume").click();
    await completed(page);
    const steps = (await heads.allInnerTexts()).slice(2);
    assert.deepEqual(steps, ["Before", `Step ${asked}`, `Now, step ${STEPS}`]);
    assert.match(
      await page.locator("#samples p").innerText(),
      new RegExp(`^[0-2] of 2 answers changed since step ${asked}\\.$`),
    );
    const lines = await page.locator("#loss-table tbody tr td:first-child").allTextContents();
    assert.deepEqual(lines.map(Number), Array.from({ length: STEPS + 1 }, (_, step) => step));
  });
});

const KEPT: readonly KeptRun[] = [
  { name: "signals", steps: 60, loss: 0.6, startedAt: "2026-11-28T09:00:00Z" },
  { name: "rank-32", steps: 60, loss: 0.4, startedAt: "2026-11-29T09:00:00Z", options: { lora_r: 32 } },
  { name: "stopped", steps: 60, done: 30, loss: 0.9, startedAt: "2026-11-30T09:00:00Z" },
];

/** Opens the page with runs of earlier visits. */
async function withKeptRuns(use: (page: Page) => Promise<void>): Promise<void> {
  await withTab(built, WEBGPU_FLAGS, async (page) => {
    for (const id of ["fit", "data-summary"]) await shown(page, id); // or the reload would cut the worker's loading off
    await putRuns(page, KEPT);
    await page.reload();
    for (const id of ["fit", "data-summary"]) await shown(page, id);
    await use(page);
  });
}

const go = (page: Page, path: string) => page.evaluate((path) => void (location.hash = `#/${path}`), path);

inChromium("a run's curves are read with keys and mouse, over steps, tokens and time", async () => {
  await withKeptRuns(async (page) => {
    await go(page, "run/signals");
    await page.locator("#best-evaluation", { hasText: /^best [\d.]+ at step \d+$/ }).waitFor();
    const chart = page.getByRole("slider", { name: /^Loss over steps\. Training loss 4\./ });
    await chart.focus();
    for (const key of ["ArrowRight", "Home", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
    const reading = page.locator("#reading");
    const tells =
      /^Step 2 · loss [\d.]+ · smoothed [\d.]+ · learning rate [\d.]+ · gradient norm [\d.]+ · [\d,]+ tokens\/s$/;
    assert.match(await reading.innerText(), tells);
    assert.match((await chart.getAttribute("aria-valuetext"))!, tells);
    await page.keyboard.press("Escape");
    assert.match(await reading.innerText(), /^Point at a curve/);
    await page.locator("#chart-x").selectOption("time");
    await page.locator("#chart-smoothing").selectOption("none");
    await page.locator("#chart-view").selectOption("50");
    await page.locator("#chart-log").check();
    await page.locator("#chart .u-over").hover({ position: { x: 1, y: 40 } });
    await page.locator("#reading", {
      hasText: /^Step 10 · 00:\d\d of training · loss ([\d.]+) · smoothed \1 /,
    }).waitFor();
    const crossed = await page.locator(".trio .u-cursor-x").evaluateAll((lines) =>
      lines.map((line) => new DOMMatrix(getComputedStyle(line).transform).e)
    );
    assert.ok(crossed.length === 3 && crossed.every((left) => left >= 0 && left < 3), `${crossed}`);
  });
});

inChromium("kept runs are sorted, compared, named, begun again and deleted", async () => {
  await withKeptRuns(async (page) => {
    await go(page, "history");
    await page.locator("#runs polyline").nth(KEPT.length - 1).waitFor();
    const names = () => page.locator("#runs .run-name").allInnerTexts();
    assert.deepEqual(await names(), ["stopped", "rank-32", "signals"]);
    await page.locator("#history-order").selectOption("Lowest loss first");
    assert.deepEqual(await names(), ["rank-32", "signals", "stopped"]);
    assert.match(
      await page.locator("#runs li").first().innerText(),
      /lowrank-tiny · signals\.jsonl · [^]*LoRA r 32[^]*Evaluation loss\s[\d.]+ from 4\.00[^]*60 of 60 steps in 00:\d\d · \d/,
    );
    for (const name of ["signals", "rank-32"]) {
      await page.getByRole("checkbox", { name: `Compare the run ${name}`, exact: true }).check();
    }
    const rows = await page.locator("#differences tbody tr").allInnerTexts();
    assert.match(rows[0]!, /^LoRA r\t32\t16$/);
    assert.match(rows.find((row) => row.startsWith("Best evaluation"))!, /\t[\d.]+ lowest\t[\d.]+$/);
    const chart = page.getByRole("slider", {
      name: "training loss, smoothed of rank-32, signals over steps",
    });
    await chart.focus();
    await page.keyboard.press("End");
    await page.locator("#compare-reading", { hasText: /^Step 60 · rank-32 [\d.]+ · signals [\d.]+$/ })
      .waitFor();

    await page.getByRole("button", { name: "Rename signals" }).click();
    await page.getByRole("textbox", { name: "New name of the run signals" }).fill("rank-16");
    await page.keyboard.press("Enter");
    await page.locator("#runs .run-name", { hasText: "rank-16" }).waitFor();
    assert.deepEqual(await names(), ["rank-32", "rank-16", "stopped"]);
    await go(page, "run/rank-16");
    await page.locator("#run-title", { hasText: "rank-16" }).waitFor();

    await go(page, "history");
    await page.getByRole("button", { name: "Use these settings: rank-32" }).click();
    assert.equal(await page.locator("#option-lora_r").inputValue(), "32");
    assert.equal(await page.locator("#option-output_model_name").inputValue(), "rank-32");

    await go(page, "history");
    await page.locator("#runs polyline").nth(KEPT.length - 1).waitFor();
    const remove = page.locator("#runs li", { hasText: "stopped" }).getByRole("button", { name: /^Delete/ });
    await remove.click();
    assert.match(await remove.innerText(), /^Delete for good, [\d.]+ kB\?/);
    await remove.click();
    await page.locator("#runs li", { hasText: "stopped" }).waitFor({ state: "detached" });
    await page.reload();
    await page.locator("#runs li").nth(1).waitFor();
    assert.deepEqual((await names()).sort(), ["rank-16", "rank-32"]);
  });
});

inChromium("a failed run keeps its error, its checkpoint and its settings across visits", async () => {
  await withTab(built, WEBGPU_FLAGS, async (page) => {
    for (const id of ["fit", "data-summary"]) await shown(page, id);
    const error = "The loss or a gradient is not a finite number at step 31";
    const options = { learning_rate: 0.5 };
    await putRuns(page, [{
      ...{ name: "lost", steps: 60, done: 30, loss: 3, startedAt: "2026-11-30T09:00:00Z", error, options },
    }]);
    await page.reload();
    for (const id of ["fit", "data-summary"]) await shown(page, id);
    await go(page, "run/lost");
    await page.locator("#problem", { hasText: error }).waitFor();
    assert.equal(await page.locator("#run").getAttribute("data-status"), "failed");
    assert.equal(await page.locator("#live").innerText(), "Failed; the checkpoint after step 30 is kept.");
    assert.equal(await page.locator("#resume").innerText(), "Continue from step 30");
    assert.equal(await page.locator("#checkpoints tbody tr").count(), 1);
    await page.locator("#set-up-again").click();
    assert.equal(await page.locator("#option-learning_rate").inputValue(), "0.5");
  });
});

inChromium("settings come from a link and from config files that are chosen or dropped", async () => {
  await withTab(built, WEBGPU_FLAGS, async (page) => {
    await page.locator("#guidance", { hasText: /^New here\? Press Start training/ }).waitFor();
    for (const id of ["fit", "data-summary"]) await shown(page, id);
    await page.evaluate(() => {
      const writeText = (text: string) => Promise.resolve(void Object.assign(globalThis, { copied: text }));
      Object.defineProperty(navigator, "clipboard", { value: { writeText } });
    });
    await page.locator("#option-lora_r").fill("4");
    await page.locator("#option-output_model_name").fill("private");
    await page.locator("#option-quantization").selectOption("4bit");
    await page.locator("#copy-link").click();
    const link = await page.evaluate(() => (globalThis as unknown as { copied: string }).copied);
    assert.match(link, /\/site\/#\/train\?lora_r=4&load_in_4bit=true$/);
    const value = (name: string) => page.locator(`#option-${name}`).inputValue();
    await page.goto("about:blank");
    await page.goto(link);
    await page.locator("#taken", { hasText: "2 settings were taken from the link." }).waitFor();
    assert.deepEqual([await value("lora_r"), await value("quantization")], ["4", "4bit"]);
    assert.equal(await value("output_model_name"), "signals");
    assert.match(page.url(), /#\/train$/);
    for (const id of ["fit", "data-summary"]) await shown(page, id);

    const config = (text: string, name: string) => ({ name, mimeType: "", buffer: Buffer.from(text) });
    await page.locator("#load-config").setInputFiles(
      config("lora_r: 32\noutput_model_name: keepers\n", "a.yaml"),
    );
    await page.locator("#taken", { hasText: "2 settings were taken from a.yaml." }).waitFor();
    assert.deepEqual([await value("lora_r"), await value("quantization")], ["32", "none"]);
    assert.equal(await value("output_model_name"), "keepers");
    await page.locator("#load-config").setInputFiles(config('{"lorar": 8}', "b.json"));
    await page.locator(".problem", { hasText: "lorar: is not an option" }).waitFor();
    const dropped = await page.evaluateHandle(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["lora_r: 64"], "c.yml"));
      return transfer;
    });
    await page.locator("#drop").dispatchEvent("drop", { dataTransfer: dropped });
    await page.locator("#taken", { hasText: "1 setting was taken from c.yml." }).waitFor();
    assert.equal(await value("lora_r"), "64");
    assert.match(await page.locator("#data-summary").innerText(), /^signals\.jsonl/);
  });
});
