/**
 * The built page in a real browser: does it train as Deno does, and go on where Deno stopped? Run by `page_test.ts`, in
 * a process of its own.
 */
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { isDeepStrictEqual } from "node:util";
import type { Page } from "playwright-core";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { createFineTuneJob } from "../../src/fine_tune_job.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import type { RunRecord } from "../../src/run_files.ts";
import { type Folder, readText } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { TuningCache } from "../../src/tuning/cache.ts";
import { tilesOf } from "../../src/tuning/for_run.ts";
import { TUNED_OPS } from "../../src/tuning/work.ts";
import defaults from "../../web/defaults.json" with { type: "json" };
import { device } from "../helpers/device.ts";
import { folderAt } from "../helpers/job_disk.ts";
import { loseDevicesAfter } from "../helpers/lossy_scope.ts";
import { buildSite, downloaded, FLAGS, inChromium, shown, WEBGPU_FLAGS, withTab } from "./browser.ts";
import type { ContractResult } from "./opfs_contract.ts";
import { type MainThread, mainThread, watchTasks } from "./long_tasks.ts";
import { putFolder, takeFolder } from "./page_files.ts";

/** Of the finished run, for people to look at. */
const SCREENSHOT = `${tmpdir()}/lowrank-page.png`;

/** The page's own job, made short: 10 steps, 8 held-out rows. */
const JOB = {
  ...defaults,
  max_steps: 10,
  batch_size: 2,
  eval_batch_size: 8,
  eval_data_path: null,
  train_test_split: 0.01,
  eval_steps: 5,
  save_steps: 5,
  num_generation_samples: 2,
  exact_match: false,
};

/** Of losses on different adapters (GPUs) after the same steps. */
const LOSS_TOLERANCE = 1e-4;

const built = await buildSite(JOB);
const site = `${built}/site`;

globalThis.addEventListener("unload", () => Deno.removeSync(built, { recursive: true }));

/** The page's job in Deno: inputs from the built page's folder, the run on `disk`. */
function jobInDeno(disk: Folder, options: Readonly<Record<string, unknown>> = {}) {
  const config = parseFineTuneJobConfig({ ...JOB, ...options });
  const files = (uri: string) =>
    uri.startsWith("runs/") ? folderAt(disk, uri) : new LocalFolder(`${site}/${uri}`);
  return createFineTuneJob(config, { files, device: device! });
}

let straight: Promise<MemoryFolder> | null = null;

/** What the job leaves in Deno, uninterrupted. */
function straightRun(): Promise<MemoryFolder> {
  return straight ??= (async () => {
    const disk = new MemoryFolder("disk");
    await Array.fromAsync(jobInDeno(disk).run());
    return disk.folder("runs/signals");
  })();
}

/** Training and evaluation losses of each step, from metrics.jsonl. */
function lossesIn(metrics: Uint8Array): (number | null)[][] {
  return new TextDecoder().decode(metrics).trimEnd().split("\n").map((line) => {
    const { step, loss, eval_loss } = JSON.parse(line);
    return [step, loss, eval_loss];
  });
}

async function assertSameLosses(metrics: Uint8Array): Promise<void> {
  const file = await (await straightRun()).open("metrics.jsonl");
  const wanted = lossesIn(await file.read(0, file.size));
  const found = lossesIn(metrics);
  assert.deepEqual(found.map(([step]) => step), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assertLossesClose(found, wanted);
}

function assertLossesClose(
  found: readonly (readonly (number | null)[])[],
  wanted: readonly (readonly (number | null)[])[],
): void {
  for (const [i, row] of wanted.entries()) {
    for (const [j, want] of row.entries()) {
      const got = found[i]![j]!;
      const same = want === null ? got === null : Math.abs(got - want) <= LOSS_TOLERANCE * Math.abs(want);
      assert.ok(same, `step ${row[0]}: the page says ${found[i]}, Deno ${row}`);
    }
  }
}

/** Clicks a button and waits for the end of the run. */
async function runToEnd(page: Page, button: string): Promise<Uint8Array> {
  await page.locator(`#${button}:not([disabled])`).click();
  await page.locator("#run[data-status=completed], #problem").waitFor({ timeout: 180_000 });
  assert.deepEqual(await page.locator("#problem").allInnerTexts(), []);
  return await downloaded(page, "metrics.jsonl");
}

/** What the job leaves in the page, uninterrupted. */
interface PageRun {
  /** By name. */
  readonly downloads: Readonly<Record<string, Uint8Array>>;
  readonly thread: MainThread;
  /** The page's own file system. */
  readonly disk: MemoryFolder;
}

let pageRun: Promise<PageRun> | null = null;

function straightPageRun(): Promise<PageRun> {
  return pageRun ??= (async () => {
    const downloads: Record<string, Uint8Array> = {};
    const disk = new MemoryFolder("disk");
    let thread: MainThread | null = null;
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      await watchTasks(page);
      downloads["metrics.jsonl"] = await runToEnd(page, "start");
      thread = await mainThread(page);
      for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
        downloads[name] = await downloaded(page, `adapter/${name}`);
      }
      assert.match(await page.locator("#live").innerText(), /^Done: 10 steps in \d\d:\d\d\.$/);
      assert.match(
        await page.locator("#summary").innerText(),
        /^Training loss [\d.]+ → [\d.]+ over 10 steps; evaluation loss [\d.]+ → [\d.]+\. Tokens foretold: training [\d.]+ % → [\d.]+ %, evaluation [\d.]+ % → [\d.]+ %\.$/,
      );
      assert.equal(await page.locator("#loss-table [data-evaluation]").count(), 3);
      assert.equal(await page.locator("#samples tbody tr").count(), 2);
      assert.match(
        await page.locator("#samples tbody tr").first().innerText(),
        /^Signal \w+\.\t(\w-)+\w\t/,
      );
      await takeFolder(page, "runs/signals", disk.folder("runs/signals"));
      await page.screenshot({ path: SCREENSHOT, fullPage: true });
    });
    return { downloads, thread: thread!, disk };
  })();
}

inChromium("the page trains with the losses of Deno, and offers an adapter that reads back", async () => {
  const { downloads } = await straightPageRun();
  await assertSameLosses(downloads["metrics.jsonl"]!);
  const adapter = await readAdapter(new MemoryFolder("downloads", downloads));
  const inDeno = await readAdapter((await straightRun()).folder("adapter"));
  assert.equal(adapter.config.baseModel, "models/lowrank-tiny");
  assert.deepEqual([...adapter.tensors.keys()], [...inDeno.tensors.keys()]);
});

inChromium("the page trains on a 4-bit base with the losses of Deno", async () => {
  const short = { ...JOB, quantization: "4bit", max_steps: 3, eval_steps: 0, num_generation_samples: 0 };
  const disk = new MemoryFolder("disk");
  await Array.fromAsync(jobInDeno(disk, short).run());
  const file = await disk.folder("runs/signals").open("metrics.jsonl");
  const wanted = lossesIn(await file.read(0, file.size));
  await Deno.writeTextFile(`${site}/defaults.json`, JSON.stringify(short));
  try {
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      const found = lossesIn(await runToEnd(page, "start"));
      assert.deepEqual(found.map(([step]) => step), [0, 1, 2, 3]);
      assertLossesClose(found, wanted);
    });
  } finally {
    await Deno.writeTextFile(`${site}/defaults.json`, JSON.stringify(JOB));
  }
  const plain = await (await straightRun()).open("metrics.jsonl");
  const [[, , unquantised]] = lossesIn(await plain.read(0, plain.size)) as [[number, number, number]];
  assert.ok(Math.abs(wanted[0]![2]! - unquantised) > 10 * LOSS_TOLERANCE * unquantised);
});

const recordIn = async (run: Folder): Promise<RunRecord> => JSON.parse(await readText(run, "run.json"));

inChromium("the page computes with kernels of its own adapter's choice, and tells which", async () => {
  const { disk } = await straightPageRun();
  const { adapter, kernels } = await recordIn(disk.folder("runs/signals"));
  assert.match(adapter.name, /swiftshader/i);
  assert.deepEqual(kernels, { reason: VARIANTS.software.reason, tiles: tilesOf(VARIANTS.software) });
  const inDeno = await recordIn(await straightRun());
  assert.notDeepEqual(inDeno.kernels!.tiles, kernels!.tiles);
});

inChromium("no task holds the page's main thread for 100 ms while it trains", async () => {
  const { thread: { trainedMs, longestTaskMs } } = await straightPageRun();
  assert.ok(trainedMs > 500 && trainedMs < 60_000, `watched for ${trainedMs} ms`);
  assert.ok(longestTaskMs <= 100, `one took ${longestTaskMs} ms`);
});

inChromium("a checkpoint begun in Deno goes on in the page", async () => {
  const disk = new MemoryFolder("disk");
  for await (const { type } of jobInDeno(disk).run()) if (type === "checkpointed") break;
  await withTab(built, WEBGPU_FLAGS, async (page) => {
    await page.locator("#start:not([disabled])").waitFor(); // or the reload would cut the worker's loading off
    await putFolder(page, "runs/signals", disk.folder("runs/signals"));
    await page.reload();
    await shown(page, "resume");
    assert.equal(await page.locator("#resume").innerText(), "Continue from step 5");
    await assertSameLosses(await runToEnd(page, "resume"));
    assert.match((await page.locator("#log").textContent())!, /going on after step 5/);
  });
});

inChromium("a checkpoint begun in the page goes on in Deno", async () => {
  const { disk } = await straightPageRun();
  const output = disk.folder("runs/signals");
  assert.deepEqual(await output.folders(), ["adapter", "checkpoint-10", "checkpoint-5"]);
  const events: TrainingEvent[] = [];
  const resumed = jobInDeno(disk, { resume: "runs/signals/checkpoint-5", overwrite: true });
  for await (const event of resumed.run()) events.push(event);
  assert.deepEqual(events.flatMap((event) => event.type === "resumed" ? event.step : []), [5]);
  assert.deepEqual(events.flatMap((event) => event.type === "step" ? event.step : []), [6, 7, 8, 9, 10]);
  const file = await output.open("metrics.jsonl");
  await assertSameLosses(await file.read(0, file.size));
});

/** The tuner's choice: measured here, from storage buffers, the fastest or nearly so, and not what Deno's adapter likes. */
async function assertTuned(page: Page): Promise<void> {
  const disk = new MemoryFolder("disk");
  await takeFolder(page, "tuning", disk.folder("tuning"));
  await takeFolder(page, "runs/signals", disk.folder("run"));
  const { entries } = await TuningCache.open(disk.folder("tuning"));
  const { reason, tiles } = (await recordIn(disk.folder("run"))).kernels!;
  for (const { adapter, operands } of entries) {
    assert.match(adapter, /swiftshader/i);
    assert.equal(operands, "storage");
  }
  for (const op of TUNED_OPS) {
    const measured = entries.filter((entry) => entry.op === op);
    assert.ok(measured.length > 1, `only ${measured.length} tiles of ${op} were measured`);
    const chosen = measured.find(({ tile }) => isDeepStrictEqual(tile, tiles[op]));
    const least = Math.min(...measured.map(({ seconds }) => seconds));
    assert.ok(chosen && least > 0 && 0.9 * chosen.seconds <= least, `${op}: ${JSON.stringify(measured)}`);
  }
  assert.match(
    reason,
    /^matmul operands from storage \(.*swiftshader.*\); measured: x·wᵀ .+; dy·w .+; x·Aᵀ .+; vᵀ·x /i,
  );
  assert.match((await page.locator("#log").textContent())!, /measured: x·wᵀ .+ GFLOP\/s/);
  assert.notDeepEqual(tiles, tilesOf(VARIANTS.llvmpipe));
}

inChromium("a run that the page tuned and stopped is offered again on the next visit", async () => {
  // so many steps that the tuner tries every candidate
  const job = { ...JOB, max_steps: 5000, retune: true };
  await Deno.writeTextFile(`${site}/defaults.json`, JSON.stringify(job));
  try {
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      await page.locator("#start:not([disabled])").click();
      await page.getByText(/^Step \d+ of 5,?000/).waitFor({ timeout: 60_000 });
      await page.locator("#stop").click();
      await shown(page, "resume");
      const offer = await page.locator("#resume").innerText();
      assert.match(offer, /^Continue from step \d+$/);
      assert.equal(await page.locator("#live").innerText(), "Stopped; the last whole step is kept.");
      await assertTuned(page);
      await page.reload();
      await shown(page, "resume");
      assert.equal(await page.locator("#resume").innerText(), offer);
    });
  } finally {
    await Deno.writeTextFile(`${site}/defaults.json`, JSON.stringify(JOB));
  }
});

inChromium("devices lost in the page are replaced, and the run ends as if they had not been", async () => {
  await withTab(built, WEBGPU_FLAGS, async (page) => {
    await page.locator("#start:not([disabled])").waitFor();
    await page.workers()[0]!.evaluate(loseDevicesAfter, [3, 7]);
    await assertSameLosses(await runToEnd(page, "start"));
    const log = (await page.locator("#log").textContent())!;
    assert.match(log, /The GPU ".+" was lost \(destroyed\): .+; beginning anew \(recovery 1 of 3\)/);
    assert.match(log, /The GPU ".+" was lost \(destroyed\): .+; going on from step 5 \(recovery 2 of 3\)/);
    assert.equal(await page.locator("#loss-table [data-evaluation]").count(), 3);
  });
});

inChromium("a second tab does not train into the run of the first", async () => {
  await Deno.writeTextFile(
    `${site}/defaults.json`,
    JSON.stringify({ ...JOB, max_steps: 300, eval_steps: 0 }),
  );
  try {
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      await page.locator("#start:not([disabled])").click();
      await page.getByText(/^Step \d+ of 300/).waitFor({ timeout: 60_000 });
      const second = await page.context().newPage();
      await second.goto(page.url().replace(/#.*/, ""));
      await second.locator("#start:not([disabled])").click();
      await shown(second, "problem");
      assert.match(
        await second.locator("#problem").innerText(),
        /output_dir: another run is writing to "runs\/signals"/,
      );
      await second.close();
      await page.locator("#stop").click();
      await shown(page, "resume");
    });
  } finally {
    await Deno.writeTextFile(`${site}/defaults.json`, JSON.stringify(JOB));
  }
});

inChromium("the page shows every problem of a job that cannot run", async () => {
  await Deno.writeTextFile(`${site}/defaults.json`, JSON.stringify({ ...JOB, lora_r: 0, epochz: 3 }));
  try {
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      await shown(page, "issues");
      assert.equal(await page.locator("#start").isDisabled(), true);
      assert.deepEqual(await page.locator("#issues li").allInnerTexts(), [
        'epochz: is not an option: did you mean "epochs"?',
        "lora_r: must be at least 1: current value is 0",
      ]);
    });
  } finally {
    await Deno.writeTextFile(`${site}/defaults.json`, JSON.stringify(JOB));
  }
});

inChromium("the page says that the browser found no adapter, and offers no start", async () => {
  await withTab(built, FLAGS, async (page) => {
    await page.locator("#gate[data-missing]").waitFor();
    assert.match(
      await page.locator("#gate p").innerText(),
      /^This browser has WebGPU, but found no graphics adapter for it\. Switch on hardware acceleration/,
    );
    assert.equal(await page.locator("#start").isDisabled(), true);
  });
});

inChromium("OpfsFolder does in Chromium what every backend must do", async () => {
  await withTab(built, WEBGPU_FLAGS, async (page) => {
    const results: ContractResult[] = await page.evaluate(() =>
      new Promise((done, failed) => {
        const worker = new Worker("opfs_contract.js", { type: "module" });
        worker.onmessage = ({ data }) => done(data);
        worker.onerror = ({ message }) => failed(new Error(message));
      })
    );
    assert.ok(results.length > 15, `only ${results.length} tests ran`);
    assert.deepEqual(results.filter(({ problem }) => problem !== null), []);
  });
});
