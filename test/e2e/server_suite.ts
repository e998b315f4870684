/**
 * The page as `lowrank serve` has it: does it start, follow and hand over runs, and tell of its own? Run by
 * `server_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import type { Page, Request } from "playwright-core";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { createFineTuneJob } from "../../src/fine_tune_job.ts";
import type { Folder } from "../../src/storage.ts";
import { linesOf } from "../../src/text_lines.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import defaults from "../../web/defaults.json" with { type: "json" };
import { device } from "../helpers/device.ts";
import { folderAt } from "../helpers/job_disk.ts";
import { startServer } from "../helpers/server_process.ts";
import { inChromium, shown, WEBGPU_FLAGS, withPage } from "./browser.ts";
import { takeFolder } from "./page_files.ts";

const JOB = {
  ...defaults,
  ...{
    max_steps: 100,
    learning_rate: 2e-4,
    batch_size: 2,
    eval_batch_size: 8,
    eval_data_path: null,
    train_test_split: 0.01,
  },
  ...{ eval_steps: 0, save_steps: 100, num_generation_samples: 0, exact_match: false, seed: 7 },
};

/** Where the files of the page are in the checkout. */
const TINY = new URL("../../examples/tiny", import.meta.url).pathname;

/** Of parameters on different adapters (GPUs) after the same steps. */
const TOLERANCE = 1e-4;

/** The page's job in Deno, from its first step to its last. */
async function straightAdapter(): Promise<Folder> {
  const disk = new MemoryFolder("disk");
  const files = (uri: string) =>
    uri.startsWith("runs/") ? folderAt(disk, uri) : new LocalFolder(
      uri.replace(/^(models\/lowrank-tiny|data)/, (name) => `${TINY}${name === "data" ? "" : "/model"}`),
    );
  await Array.fromAsync(createFineTuneJob(parseFineTuneJobConfig(JOB), { files, device: device! }).run());
  return disk.folder("runs/signals/adapter");
}

/** @param isMixed Whether steps were made on both adapters (GPUs), which shows in the last bits. */
async function assertSameAdapter(found: Folder, wanted: Folder, isMixed = true): Promise<void> {
  const [a, b] = [await readAdapter(found), await readAdapter(wanted)];
  assert.deepEqual([...a.tensors.keys()], [...b.tensors.keys()]);
  let most = 0;
  for (const [name, { data }] of b.tensors) {
    const other = a.tensors.get(name)!.data;
    for (const [i, value] of data.entries()) most = Math.max(most, Math.abs(value - other[i]!));
  }
  assert.ok(most > 0 === isMixed && most <= TOLERANCE, `parameters differ by up to ${most}`);
}

/** The page of a server that runs, with a folder of data of its own. */
async function withServerPage(
  use: (page: Page, origin: string, data: string) => Promise<void>,
): Promise<void> {
  const data = await Deno.makeTempDir({ prefix: "lowrank-serve-" });
  const server = await startServer(data, ["--quiet"]);
  const options = {
    flags: WEBGPU_FLAGS,
    mayFail: (request: Request) => request.url().endsWith("/events"), // which end when the view is left
    prepare: async (page: Page) => {
      await page.route("**/defaults.json", (route) => route.fulfill({ json: JOB }));
    },
  };
  try {
    await withPage(`${server.origin}/`, options, (page) => use(page, server.origin, data));
  } finally {
    await server.stop();
    await Deno.remove(data, { recursive: true });
  }
}

/** Lets the page's run come so far, and pauses it. */
async function pausedAfter(page: Page, least: number): Promise<void> {
  await page.waitForFunction(
    (least) => {
      const run = document.querySelector<HTMLElement>("#run");
      return run?.dataset.status === "running" && run.querySelector("progress")!.value >= least;
    },
    least,
    { timeout: 120_000 },
  );
  await page.locator("#stop").click();
  await shown(page, "resume");
}

/** Waits until the page shows a step of the server's job. */
async function stepOfServer(page: Page, least: number): Promise<void> {
  await page.waitForFunction(
    (least) => {
      const progress = document.querySelector<HTMLProgressElement>("#server-job progress");
      return progress !== null && progress.value >= least;
    },
    least,
    { timeout: 120_000 },
  );
}

inChromium(
  "a run goes from the page to the server, back and there again, as if it had not moved",
  async () => {
    const wanted = await straightAdapter();
    await withServerPage(async (page, origin, data) => {
      await page.locator("#start:not([disabled])").click();
      await pausedAfter(page, 3);
      const { data: [record] } = await (await fetch(`${origin}/api/jobs`)).json();
      assert.match(record.job_id, /^page-/);
      assert.ok(record.progress > 0 && record.metadata.base_model === JOB.base_model, JSON.stringify(record));
      await page.locator("#hand-over").click();
      await stepOfServer(page, 5);
      assert.match((await page.locator("#log").textContent())!, /Going on from the checkpoint of step \d+/);
      await page.locator("#bring-back").click();
      await page.locator("#run[data-status=paused]").waitFor({ timeout: 120_000 });
      const offer = await page.locator("#resume").innerText(), step = Number(/\d+/.exec(offer)![0]);
      assert.ok(step >= 5 && step < JOB.max_steps, offer);
      await page.locator("#resume").click();
      await pausedAfter(page, step + 1);
      await page.locator("#hand-over").click();
      await page.locator("#server-job[data-status=succeeded]").waitFor({ timeout: 180_000 });
      assert.ok(await page.locator("#loss-table tbody tr").count() >= 3);
      const { data: [job] } = await (await fetch(`${origin}/v1/fine_tuning/jobs`)).json();
      await assertSameAdapter(new LocalFolder(`${data}/jobs/${job.id}/run/adapter`), wanted);
      await page.locator("#bring-back").click();
      await page.locator("#run[data-status=completed]").waitFor({ timeout: 60_000 });
      const disk = new MemoryFolder("disk");
      await takeFolder(page, "runs/signals", disk.folder("run"));
      await assertSameAdapter(disk.folder("run/adapter"), wanted);
      // and a job of the server's own, from the page to its end, and into the page
      await page.locator("nav").getByText("Train").click();
      await page.locator("#start-on-server:not([disabled])").click();
      await stepOfServer(page, 1);
      await page.locator("nav").getByText("Server").click();
      await page.locator("#server-jobs tbody tr").nth(2).waitFor();
      await page.locator("#server-jobs a").first().click();
      await page.locator("#server-job[data-status=succeeded]").waitFor({ timeout: 180_000 });
      await page.locator("#take-job").click();
      await page.locator("#run[data-status=completed]").waitFor({ timeout: 60_000 });
      await takeFolder(page, "runs/signals-2", disk.folder("taken"));
      await assertSameAdapter(disk.folder("taken/adapter"), wanted, false);
    });
  },
);

/** Creates the page's job by REST. @returns Its id. */
async function createByRest(origin: string): Promise<string> {
  const form = new FormData();
  form.append("purpose", "fine-tune");
  form.append("file", new Blob([await Deno.readFile(`${TINY}/signals.jsonl`)]), "signals.jsonl");
  const { id: training_file } = await (await fetch(`${origin}/v1/files`, { method: "POST", body: form }))
    .json();
  const {
    base_model: _,
    training_data_path: __,
    eval_data_path: ___,
    output_model_name: ____,
    seed,
    ...options
  } = JOB;
  const answer = await fetch(`${origin}/v1/fine_tuning/jobs`, {
    method: "POST",
    body: JSON.stringify({
      ...{ model: "lowrank-tiny", training_file, seed, suffix: "by rest" },
      method: { type: "supervised", supervised: { hyperparameters: options } },
    }),
    headers: { "content-type": "application/json" },
  });
  return (await answer.json()).id;
}

inChromium(
  "a job that was begun by REST is taken into the page, and goes on there as if it had not moved",
  async () => {
    const wanted = await straightAdapter();
    await withServerPage(async (page, origin) => {
      const id = await createByRest(origin), address = `${origin}/v1/fine_tuning/jobs/${id}`;
      const events = await fetch(`${address}/events`, { headers: { accept: "text/event-stream" } });
      for await (const line of linesOf(events.body!)) if (line.includes("Step 75/")) break;
      await (await fetch(`${address}/pause`, { method: "POST" })).body?.cancel();
      await page.evaluate((id) => location.hash = `#/server/${id}`, id);
      await page.locator("#server-job[data-status=paused]").waitFor();
      for (const _ of ["asked", "sure"]) await page.locator("#take-job").press("Enter");
      await page.locator("#run[data-status=paused], .problem").waitFor({ timeout: 120_000 });
      assert.deepEqual(await page.locator(".problem").allInnerTexts(), []);
      assert.equal(await page.locator("#run-title").innerText(), "by-rest");
      const { status } = await (await fetch(address)).json();
      assert.equal(status, "cancelled");
      const offer = await page.locator("#resume").innerText(), step = Number(/\d+/.exec(offer)![0]);
      assert.ok(step >= 75 && step < JOB.max_steps, offer);
      await page.locator("#resume").click();
      await page.locator("#run[data-status=completed], .problem").waitFor({ timeout: 180_000 });
      assert.deepEqual(await page.locator(".problem").allInnerTexts(), []);
      const disk = new MemoryFolder("disk");
      await takeFolder(page, "runs/by-rest", disk.folder("run"));
      await assertSameAdapter(disk.folder("run/adapter"), wanted);
    });
  },
);
