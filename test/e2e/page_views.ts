/**
 * A walk through every view of the page and every state of it that looks different, for what must hold in all of them:
 * screenshots, accessibility.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { type KeptRun, putRuns } from "./kept_runs.ts";
import { visitServerViews } from "./server_page_views.ts";
import { tellModels, tellServer } from "./told_server.ts";
import { FLAGS, shown, WEBGPU_FLAGS, withTab } from "./browser.ts";

/** Called for each view, by a name that may be a file's. */
export type Look = (page: Page, view: string) => Promise<void>;

/** A run that the walk shortens or lengthens, and when it is looked at. */
export interface Walk {
  /** Steps after which the running run is looked at, and paused. */
  readonly pauseAfter: number;
}

/** Rows of which some cannot be used. */
const BAD_ROWS = [
  '{"prompt": "Signal lamp.", "completion": "L-A-M-P"}',
  '{"prompt": "Signal light."}',
  '{"prompt": "Signal shore.", "completion": "S-H-O-R-E"',
  '{"prompt": "Signal tide.", "completion": "T-I-D-E"}',
  '{"prompt": "Signal wave.", "completion": 7}',
].join("\n");

const settled = async (page: Page) => {
  await page.locator("#fit").waitFor({ timeout: 60_000 });
  await page.locator("#row-preview").waitFor({ timeout: 60_000 });
};

/** Runs of earlier visits. */
const FORMER_RUNS: readonly KeptRun[] = [
  { name: "rank-8", steps: 120, loss: 0.9, startedAt: "2026-11-28T09:00:00Z", options: { lora_r: 8 } },
  {
    name: "rank-32",
    steps: 120,
    done: 80,
    loss: 0.6,
    startedAt: "2026-11-29T09:00:00Z",
    options: { lora_r: 32 },
  },
];

/** Shows the page's views one after another. @param root As {@link withTab} has it. */
export async function visitViews(root: string, { pauseAfter }: Walk, look: Look): Promise<void> {
  await withTab(root, WEBGPU_FLAGS, async (page) => {
    const go = async (path: string) => await page.evaluate((path) => location.hash = `#/${path}`, path);
    await settled(page);
    await look(page, "train");
    await page.getByRole("button", { name: "Advanced", exact: true }).click();
    await look(page, "train-advanced");
    await page.locator("#data-file").setInputFiles({
      name: "rows.jsonl",
      mimeType: "application/jsonl",
      buffer: Buffer.from(BAD_ROWS),
    });
    await shown(page, "bad-lines");
    await page.locator("#columns").evaluate((details) => (details as HTMLDetailsElement).open = true);
    await page.locator("#bad-lines summary").nth(1).click();
    await look(page, "train-bad-data");
    await page.locator("#skip-bad-lines").check();
    await page.locator("#option-max_length").fill("16");
    await page.keyboard.press("Tab");
    await page.locator("#row-preview .cut-here").waitFor({ timeout: 60_000 });
    await look(page, "train-skipped-lines");
    await page.reload();
    await page.locator("#start:not([disabled])").click();
    await page.waitForFunction(
      (least) => {
        const progress = document.getElementById("progress") as HTMLProgressElement | null;
        return progress !== null && progress.value >= least;
      },
      pauseAfter,
      { timeout: 180_000 },
    );
    await look(page, "run-running");
    await page.locator("#stop").click();
    await shown(page, "resume");
    await look(page, "run-paused");
    await go("train");
    await settled(page);
    await look(page, "train-waiting");
    await page.locator("#resume").click();
    await page.locator("#run[data-status=completed]").waitFor({ timeout: 180_000 });
    await look(page, "run-completed");
    for (const details of await page.locator("main details").all()) {
      await details.evaluate((details) => (details as HTMLDetailsElement).open = true);
    }
    await look(page, "run-details");
    await page.locator("#to-chat").click();
    await page.locator("#send:not([disabled])").waitFor({ timeout: 60_000 });
    await page.locator("#chat-both").click();
    await page.locator("#chat-temperature").fill("0");
    await page.locator("#question").fill("Signal lighthouse.");
    await page.keyboard.press("Enter");
    await page.locator("#turns .answer[data-side=adapter][aria-busy=false]").waitFor({ timeout: 60_000 });
    await look(page, "chat");
    await putRuns(page, FORMER_RUNS);
    await page.reload();
    await go("history");
    await page.locator("#runs polyline").nth(FORMER_RUNS.length).waitFor();
    await look(page, "history");
    for (const { name } of FORMER_RUNS) {
      await page.getByRole("checkbox", { name: `Compare the run ${name}`, exact: true }).check();
    }
    await page.getByRole("button", { name: `Rename ${FORMER_RUNS[0]!.name}` }).click();
    await page.locator("#comparison canvas").waitFor();
    await look(page, "history-compare");
    await go("device");
    await page.locator("#measure:not([disabled])").click();
    await page.getByText("GFLOP/s").waitFor({ timeout: 60_000 });
    await look(page, "device");
    await go("run/nothing");
    await page.getByText("There is no such run here.").or(page.locator(".problem")).first().waitFor();
    await look(page, "run-missing");
    await go("train");
    await page.workers()[0]!.evaluate(() => {
      GPUAdapter.prototype.requestDevice = () => Promise.reject(new DOMException("The driver is gone"));
    });
    await page.locator("#start:not([disabled])").click();
    await page.locator("#problem").waitFor({ timeout: 180_000 });
    await look(page, "run-failed");
  });
  await withTab(root, FLAGS, async (page) => {
    await page.locator("#gate[data-missing]").waitFor();
    await look(page, "train-no-webgpu");
  });
  await visitServerViews(root, look);
  await withTab(root, WEBGPU_FLAGS, async (page) => {
    await settled(page);
    await page.locator("#bucket-models-button").click();
    await page.locator(".offer").filter({ hasText: "lighthouse" }).click();
    await page.locator("#bucket-model-fit").getByText("GPU memory").waitFor({ timeout: 60_000 });
    await look(page, "train-bucket-models");
    await page.locator("#download-model").click();
    await page.locator("#model-download progress[value]").waitFor();
    await look(page, "train-downloading");
    await page.locator("#cancel-model-download").click();
    await shown(page, "kept-models");
    await page.locator("#bucket-models-button").click();
    await look(page, "train-unfinished-download");
  }, async (page) => {
    await tellServer(page);
    await tellModels(page);
  }, { mayFail: (request) => request.url().endsWith(".safetensors") }); // whose download is cancelled
}
