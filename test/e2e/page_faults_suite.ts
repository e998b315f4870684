/**
 * What goes wrong around the page: a full store, a worker that is ended, a tab that is closed while it saves, a model that
 * does not fit, files that are none. Each ends in clear words, and nothing that was saved is lost. Run by
 * `page_faults_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { MemoryFolder } from "../../src/storage/memory.ts";
import defaults from "../../web/defaults.json" with { type: "json" };
import { buildSite, inChromium, shown, WEBGPU_FLAGS, withTab } from "./browser.ts";
import { takeFolder } from "./page_files.ts";

const STEPS = 8;
const JOB = {
  ...defaults,
  ...{ max_steps: STEPS, save_steps: 4, batch_size: 2, eval_steps: 0, num_generation_samples: 0 },
  ...{ exact_match: false, eval_data_path: null, train_test_split: 0 },
};

const built = await buildSite(JOB);

globalThis.addEventListener("unload", () => Deno.removeSync(built, { recursive: true }));

const withPageOf = (use: (page: Page) => Promise<void>) => withTab(built, WEBGPU_FLAGS, use);

/** Waits until a run has failed; gives what it says. */
async function failure(page: Page): Promise<string> {
  await page.locator("#problem").waitFor({ timeout: 120_000 });
  return await page.locator("#problem").innerText();
}

/** Goes on from a step to the end, and looks whether each step was done once. */
async function goOn(page: Page, from: number): Promise<void> {
  await assertOffered(page, from);
  await page.locator("#resume:not([disabled])").click();
  await page.locator("#run[data-status=completed], #problem").waitFor({ timeout: 120_000 });
  assert.deepEqual(await page.locator("#problem").allInnerTexts(), []);
  assert.match((await page.locator("#log").textContent())!, new RegExp(`going on after step ${from}`));
  const disk = new MemoryFolder("disk");
  await takeFolder(page, "runs/signals", disk);
  const file = await disk.open("metrics.jsonl"),
    text = new TextDecoder().decode(await file.read(0, file.size));
  const steps = text.trimEnd().split("\n").map((line) => JSON.parse(line)).filter(({ loss }) => loss !== null)
    .map(({ step }) => step);
  assert.deepEqual(steps, Array.from({ length: STEPS }, (_, i) => i + 1));
  assert.deepEqual(await hiddenNames(page), []);
}

/** What is left of files that were never whole. */
async function hiddenNames(page: Page): Promise<string[]> {
  return await page.evaluate(async () => {
    const found: string[] = [];
    const visit = async (directory: FileSystemDirectoryHandle) => {
      for await (const [name, handle] of directory.entries()) {
        if (name.startsWith(".")) found.push(name);
        if (handle.kind === "directory") await visit(handle as FileSystemDirectoryHandle);
      }
    };
    await visit(await navigator.storage.getDirectory());
    return found;
  });
}

/** In a worker: calls of `getFileHandle` for the optimizer's state, from the nth on, stay without an answer. */
function holdSavesFrom(nth: number): void {
  const scope = globalThis as unknown as { saves: number }, { prototype } = FileSystemDirectoryHandle;
  const { getFileHandle } = prototype;
  scope.saves = 0;
  prototype.getFileHandle = function (name, options) {
    const isSave = options?.create && name.includes("optimizer.safetensors") && ++scope.saves >= nth;
    return isSave ? new Promise(() => {}) : getFileHandle.call(this, name, options);
  };
}

/** Waits until the worker's nth save has begun, which does not end. */
async function untilMidSave(page: Page, nth: number): Promise<void> {
  const worker = page.workers()[0]!, end = performance.now() + 120_000;
  while (await worker.evaluate(() => (globalThis as unknown as { saves: number }).saves) < nth) {
    assert.ok(performance.now() < end, "the run did not come to its save");
    await page.waitForTimeout(50);
  }
}

async function assertOffered(page: Page, step: number): Promise<void> {
  await shown(page, "resume");
  assert.equal(await page.locator("#resume").innerText(), `Continue from step ${step}`);
}

inChromium(
  "a worker that is ended, a full store and a closed tab, while a run saves, lose nothing that was saved",
  () =>
    withPageOf(async (page) => {
      await page.locator("#start:not([disabled])").waitFor();
      await page.workers()[0]!.evaluate(holdSavesFrom, 2);
      await page.locator("#start").click();
      await untilMidSave(page, 2);
      await page.workers()[0]!.evaluate(() => self.close());
      assert.match(
        await failure(page),
        /^The run failed \(WorkerLostError\)\s+The worker was ended, as browsers do where memory is short: what was saved/,
      );
      await assertOffered(page, 4);
      // in the worker that took its place
      const devtools = await page.context().newCDPSession(page), { origin } = new URL(page.url());
      const used = await page.evaluate(async () => (await navigator.storage.estimate()).usage!);
      await devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: used + 1000 });
      await page.locator("#resume").click();
      await page.locator("#run:not([data-status=failed])").waitFor();
      assert.match(
        await failure(page),
        /^The run failed \(StorageDeniedError\)\s+Cannot (write|append to) ".+" as the browser's storage for this page is full/,
      );
      await devtools.send("Storage.overrideQuotaForOrigin", { origin });
      await assertOffered(page, 4);
      await page.workers()[0]!.evaluate(holdSavesFrom, 1);
      await page.locator("#resume").click();
      await untilMidSave(page, 1);
      const next = await page.context().newPage(), address = page.url().replace(/#.*/, "");
      await page.close();
      await next.goto(address);
      await goOn(next, 4);
    }),
);

inChromium(
  "a model that does not fit, one that is none, and data that is none are told where they are chosen",
  () =>
    withPageOf(async (page) => {
      await page.locator("#fit").waitFor();
      await page.getByRole("button", { name: "Advanced", exact: true }).click();
      const limit = page.locator("#option-memory_limit_gb");
      await limit.evaluate((input) => input.closest("details")!.open = true);
      await limit.fill("0.001");
      await limit.blur();
      await page.locator("#fit.wrong").waitFor();
      assert.match(await page.locator("#fit").innerText(), /^Will not fit\. .*memory_limit_gb/s);
      assert.equal(await page.locator("#start").isDisabled(), true);
      await limit.fill("");
      await limit.blur();
      await page.locator("#start:not([disabled])").waitFor();
      const file = (name: string, text: string) => ({
        name,
        mimeType: "text/plain",
        buffer: Buffer.from(text),
      });
      await page.locator("#data-file").setInputFiles(file("letter.jsonl", "Dear all,\n"));
      await page.locator("#bad-lines").waitFor();
      assert.match(await page.locator("#bad-lines").innerText(), /line 1: is not JSON/);
      assert.equal(await page.locator("#start").isDisabled(), true);
      await page.locator("#data-file").setInputFiles(
        file("rows.csv", "question,reply\nWho?,Me\nWhere?,Here\n"),
      );
      await page.locator("#columns").getByText("Columns found: question, reply").waitFor();
      await page.locator("#data-format").selectOption("prompt_completion");
      await page.locator("#column-prompt").selectOption("question");
      await page.locator("#column-completion").selectOption("reply");
      await page.locator("#data-summary").getByText("2 rows").first().waitFor();
      await page.locator("#model-file").setInputFiles(file("broken.gguf", "GGUF and no more"));
      await page.locator("#model-problem").waitFor();
      assert.match(
        await page.locator("#model-problem").innerText(),
        /^This model cannot be used\s+Cannot .+broken\.gguf/,
      );
    }),
);
