/**
 * The built page in a real browser: does it train as Deno does, and go on where Deno stopped? Run by `page_test.ts`, in
 * a process of its own.
 */
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { isDeepStrictEqual } from "node:util";
import type { Page } from "playwright-core";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { listCheckpoints } from "../../src/checkpoint/resume.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import type { ExampleRows } from "../../src/data/token_rows.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { DataManager } from "../../src/data_manager.ts";
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
import { PEFT_PYTHON, peftLoss, type PeftModel } from "../helpers/peft_python.ts";
import { unzipped } from "../helpers/zip.ts";
import {
  buildSite,
  downloaded,
  FLAGS,
  inChromium,
  pressedFor,
  shown,
  WEBGPU_FLAGS,
  withTab,
} from "./browser.ts";
import type { ContractResult } from "./opfs_contract.ts";
import { type MainThread, mainThread, watchTasks } from "./long_tasks.ts";
import { putFolder, takeFolder } from "./page_files.ts";
import { answers, chooseData, completed, course, type CourseRow, startPauseContinue } from "./whole_way.ts";

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
  sample_steps: 0.5,
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
  const files = (uri: string) => {
    if (uri === "stories") return new LocalFolder(STORIES);
    return uri.startsWith("runs/") || uri === "." ? folderAt(disk, uri) : new LocalFolder(`${site}/${uri}`);
  };
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
  await completed(page);
  return await downloaded(page, "metrics.jsonl");
}

/** What a person took away at the end of the whole way. */
interface Taken {
  readonly course: readonly CourseRow[];
  readonly answers: { readonly base: string; readonly adapter: string };
  /** Files of the zipped adapter. */
  readonly adapter: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** Trains with a pause and a reload in between, talks to the result, and takes the adapter away. */
async function wholeWay(
  page: Page,
  question: string,
  afterReload: () => Promise<void> = async () => {},
): Promise<Taken> {
  await startPauseContinue(page, afterReload);
  await completed(page);
  const rows = await course(page), [verdict] = await page.locator("#verdict").allInnerTexts();
  assert.ok(verdict!.includes(`, ${rows.at(-1)!.evalLoss!.toFixed(3)} after.`), `${verdict}`);
  const said = await answers(page, question);
  return { course: rows, answers: said, adapter: unzipped(await pressedFor(page, "save-adapter")) };
}

/** The curve is that of an unbroken run in Deno, and ends at less than half of where it began; the adapter reads back. */
async function assertWhole({ course, answers, adapter }: Taken, run: Folder): Promise<void> {
  const file = await run.open("metrics.jsonl"), wanted = lossesIn(await file.read(0, file.size));
  assert.deepEqual(course.map(({ step }) => step), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assertLossesClose(course.map(({ step, loss, evalLoss }) => [step, loss, evalLoss]), wanted);
  assert.ok(course.at(-1)!.evalLoss! < course[0]!.evalLoss! / 2, `${course.at(-1)!.evalLoss}`);
  assert.notEqual(answers.adapter, answers.base);
  const read = await readAdapter(new MemoryFolder("zip", Object.fromEntries(adapter)));
  const inDeno = await readAdapter(run.folder("adapter"));
  assert.deepEqual([...read.tensors.keys()], [...inDeno.tensors.keys()]);
}

/** A model as PyTorch is given it, and rows to measure its loss on. */
interface PeftCase {
  /** Folder of the base, or its files. */
  readonly base: string | Taken["adapter"];
  /** Default: none. */
  readonly quantization?: PeftModel["quantization"];
  /** Files of an adapter on it; null for none. */
  readonly adapter: Taken["adapter"] | null;
  readonly rows: () => Promise<ExampleRows>;
}

/** The loss that the page showed is what PyTorch computes, of an adapter on a base or of a whole model. */
async function assertPeftAgrees(
  t: Deno.TestContext,
  what: string,
  { course }: Taken,
  { base, quantization = "none", adapter, rows }: PeftCase,
): Promise<void> {
  const why = PEFT_PYTHON ? "" : " (skipped: LOWRANK_TEST_PEFT_PYTHON names no Python that has PEFT)";
  await t.step({
    name: `PyTorch and PEFT compute the loss that the page showed, of ${what}${why}`,
    ignore: PEFT_PYTHON === null,
    fn: async () => {
      const root = await Deno.makeTempDir({ prefix: "lowrank-peft-" });
      try {
        const written = async (name: string, files: Taken["adapter"]) => {
          await Deno.mkdir(`${root}/${name}`);
          for (const [file, bytes] of files) await Deno.writeFile(`${root}/${name}/${file}`, bytes);
          return `${root}/${name}`;
        };
        const model = {
          base: typeof base === "string" ? base : await written("base", base),
          quantization,
          adapter: adapter && await written("adapter", adapter),
        };
        const loss = await peftLoss(model, await rows()), shown = course.at(-1)!.evalLoss!;
        assert.ok(Math.abs(loss - shown) <= LOSS_TOLERANCE * shown, `PEFT ${loss}, the page ${shown}`);
      } finally {
        await Deno.remove(root, { recursive: true });
      }
    },
  });
}

/** The rows that the page's job evaluates on. */
async function heldOut(data: Folder, name: string, model: Folder): Promise<ExampleRows> {
  const { training } = parseFineTuneJobConfig({ ...JOB, training_data_path: name });
  const tokenizer = await Tokenizer.load(model);
  const manager = new DataManager({ files: () => ({ folder: data, name }), tokenizer });
  const { trainTestSplit, dataFormat, columnMapping, trainOn, maxLength, seed } = training;
  const paths = { trainingDataPath: name, evalDataPath: null };
  const dataset = await manager.load({
    ...paths,
    trainTestSplit,
    dataFormat,
    columnMapping,
    trainOn,
    maxLength,
    seed,
  });
  return dataset.eval;
}

/** What the page leaves at the end of the whole way with its own model and data. */
interface PageRun {
  readonly taken: Taken;
  readonly thread: MainThread;
  /** The page's own file system. */
  readonly disk: MemoryFolder;
}

let pageRun: Promise<PageRun> | null = null;

/** With bad lines first, and everything else that can be taken away. */
function pageRunOnce(): Promise<PageRun> {
  return pageRun ??= (async () => {
    const signals = await Deno.readTextFile(`${site}/data/signals.jsonl`);
    const disk = new MemoryFolder("disk");
    let thread: MainThread | null = null, taken: Taken | null = null;
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      await page.locator("#start:not([disabled])").waitFor();
      const bad = '{"messages":[{"role":"user","content":"Signal bow."}]}\nno JSON at all\n';
      await chooseData(page, {
        name: "bad.jsonl",
        text: signals.split("\n").slice(0, 3).join("\n") + `\n${bad}`,
      });
      await shown(page, "bad-lines");
      assert.match(
        await page.locator("#bad-lines").innerText(),
        /2 lines cannot be used[^]*line 4:[^]*line 5:/,
      );
      assert.equal(await page.locator("#start").isDisabled(), true);
      await chooseData(page, { name: "mine.jsonl", text: signals });
      await page.locator("#prompt").fill("Signal lighthouse.");
      await page.keyboard.press("Enter");
      taken = await wholeWay(page, "Signal beacon.", () => watchTasks(page));
      thread = await mainThread(page);
      assert.match(await page.locator("#live").innerText(), /^Done: 10 steps in \d\d:\d\d\.$/);
      assert.match(
        await page.locator("#summary").innerText(),
        /^Training loss [\d.]+ → [\d.]+ over 10 steps; evaluation loss [\d.]+ → [\d.]+\. Token accuracy: training [\d.]+ % → [\d.]+ %, evaluation [\d.]+ % → [\d.]+ %\.$/,
      );
      assert.equal(await page.locator("#loss-table [data-evaluation]").count(), 3);
      const samples = page.locator("#samples tbody tr");
      assert.equal(await samples.count(), 3);
      assert.match(await samples.first().innerText(), /^Signal lighthouse\.\t–\t[^]*\tL-/);
      assert.match(
        await samples.nth(1).innerText(),
        /^Signal \w+\.\t(\w-)+\w\t/,
      );
      assert.equal(await page.locator("#checkpoints tbody tr").count(), 2);
      await page.locator("#gguf-type").selectOption("F32");
      assert.deepEqual([...(await pickedGguf(page)).subarray(0, 4)], [...new TextEncoder().encode("GGUF")]);
      await takeFolder(page, "runs/signals", disk.folder("runs/signals"));
      await page.screenshot({ path: SCREENSHOT, fullPage: true });
    });
    return { taken: taken!, thread: thread!, disk };
  })();
}

/** The GGUF file, written to where the browser's own dialogue would have pointed. */
async function pickedGguf(page: Page): Promise<Uint8Array> {
  await page.evaluate(() => {
    const pick = async () =>
      await (await navigator.storage.getDirectory()).getFileHandle("picked.gguf", { create: true });
    Object.assign(globalThis, { showSaveFilePicker: pick });
  });
  await page.locator("#save-gguf:not([disabled])").click();
  await page.locator("#download-made", { hasText: ".gguf" }).waitFor();
  return Uint8Array.from(
    await page.evaluate(async () => {
      const handle = await (await navigator.storage.getDirectory()).getFileHandle("picked.gguf");
      return [...new Uint8Array(await (await handle.getFile()).arrayBuffer())];
    }),
  );
}

/** The model folder of the page's build, and what training data it serves. */
const BUNDLED = {
  model: new LocalFolder(`${site}/models/lowrank-tiny`),
  data: new LocalFolder(`${site}/data`),
};

inChromium(
  "a whole way through the page: bad lines, pause, reload, the losses of Deno, chat, adapter",
  async (t) => {
    const { taken } = await pageRunOnce();
    await assertWhole(taken, await straightRun());
    assert.match(taken.answers.adapter, /^B-E-A-/);
    assert.doesNotMatch(taken.answers.base, /^B-/);
    const rows = () => heldOut(BUNDLED.data, "signals.jsonl", BUNDLED.model);
    await assertPeftAgrees(t, "the adapter", taken, {
      base: BUNDLED.model.uri,
      adapter: taken.adapter,
      rows,
    });
  },
);

inChromium(
  "the same on a 4-bit base, whose adapter and merged model have the loss that the page showed",
  async (t) => {
    let taken: Taken | null = null, merged = new Map<string, Uint8Array<ArrayBuffer>>();
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      await page.locator("#option-quantization").selectOption("4bit");
      await page.locator("#option-lora_r").fill("8");
      taken = await wholeWay(page, "Signal beacon.");
      await page.evaluate(() => Object.assign(globalThis, { showSaveFilePicker: undefined }));
      merged = unzipped(await pressedFor(page, "save-merged"));
    });
    const disk = new MemoryFolder("disk");
    await Array.fromAsync(jobInDeno(disk, { quantization: "4bit", lora_r: 8 }).run());
    await assertWhole(taken!, disk.folder("runs/signals"));
    const firstLoss = async (run: Folder) => {
      const file = await run.open("metrics.jsonl");
      return lossesIn(await file.read(0, file.size))[0]![2]!;
    };
    const [quantised, plain] = [
      await firstLoss(disk.folder("runs/signals")),
      await firstLoss(await straightRun()),
    ];
    assert.ok(Math.abs(quantised - plain) > 10 * LOSS_TOLERANCE * plain);
    const rows = () => heldOut(BUNDLED.data, "signals.jsonl", BUNDLED.model);
    const { adapter } = taken!, base = BUNDLED.model.uri;
    await assertPeftAgrees(t, "the adapter on NF4", taken!, { base, quantization: "4bit", adapter, rows });
    await assertPeftAgrees(t, "the merged model", taken!, { base: merged, adapter: null, rows });
  },
);

const STORIES = new URL("../../../shared/models/stories260K-hf", import.meta.url).pathname;
const hasStories = await new LocalFolder(STORIES).exists("config.json");

inChromium(
  `the same with stories260K from a local folder${hasStories ? "" : " (skipped: needs shared data)"}`,
  async (t) => {
    if (!hasStories) return;
    const keepers = ["Ann", "Bob", "Cid", "Dot"], name = "keepers.jsonl";
    const text = Array.from({ length: 24 }, (_, i) => {
      const text = `The lamp of the old lighthouse is lit at dusk by keeper ${keepers[i % 4]}.`;
      return `${JSON.stringify({ text })}\n`;
    }).join("");
    let taken: Taken | null = null;
    await withTab(built, WEBGPU_FLAGS, async (page) => {
      await page.locator("#keep-model").check(); // or its files would have to be picked again after the reload
      await page.locator("#model-folder").setInputFiles(STORIES);
      await page.locator("#model-facts", { hasText: "512" }).waitFor();
      await chooseData(page, { name, text });
      taken = await wholeWay(page, "The lamp of");
    });
    const disk = new MemoryFolder("disk", { [name]: text });
    await Array.fromAsync(jobInDeno(disk, { base_model: "stories", training_data_path: name }).run());
    await assertWhole(taken!, disk.folder("runs/signals"));
    const rows = () => heldOut(disk, name, new LocalFolder(STORIES));
    await assertPeftAgrees(t, "the adapter", taken!, { base: STORIES, adapter: taken!.adapter, rows });
  },
);

const recordIn = async (run: Folder): Promise<RunRecord> => JSON.parse(await readText(run, "run.json"));

inChromium("the page computes with kernels of its own adapter's choice, and tells which", async () => {
  const { disk } = await pageRunOnce();
  const { adapter, kernels } = await recordIn(disk.folder("runs/signals"));
  assert.match(adapter.name, /swiftshader/i);
  const reason = `${VARIANTS.software.reason}; tiles as in the checkpoint`;
  assert.deepEqual(kernels, { reason, tiles: tilesOf(VARIANTS.software) });
  const inDeno = await recordIn(await straightRun());
  assert.notDeepEqual(inDeno.kernels!.tiles, kernels!.tiles);
});

inChromium("no task holds the page's main thread for 100 ms while it trains", async () => {
  const { thread: { trainedMs, longestTaskMs } } = await pageRunOnce();
  assert.ok(trainedMs > 500 && trainedMs < 60_000, `watched for ${trainedMs} ms`);
  assert.ok(longestTaskMs <= 100, `one took ${longestTaskMs} ms`);
});

inChromium("a checkpoint begun in Deno goes on in the page", async () => {
  const disk = new MemoryFolder("disk");
  for await (const { type } of jobInDeno(disk).run()) if (type === "checkpointed") break;
  await withTab(built, WEBGPU_FLAGS, async (page) => {
    for (const id of ["fit", "data-summary"]) await shown(page, id); // or the reload would cut the worker's loading off
    await putFolder(page, "runs/signals", disk.folder("runs/signals"));
    await page.reload();
    await shown(page, "resume");
    assert.equal(await page.locator("#resume").innerText(), "Continue from step 5");
    await assertSameLosses(await runToEnd(page, "resume"));
    assert.match((await page.locator("#log").textContent())!, /going on after step 5/);
  });
});

inChromium("a checkpoint begun in the page goes on in Deno", async () => {
  const { disk } = await pageRunOnce();
  const output = disk.folder("runs/signals");
  const [step] = await listCheckpoints(output);
  assert.ok(step! < 10, `${step}`);
  const events: TrainingEvent[] = [];
  const resumed = jobInDeno(disk, { resume: `runs/signals/checkpoint-${step}`, overwrite: true });
  for await (const event of resumed.run()) events.push(event);
  assert.deepEqual(events.flatMap((event) => event.type === "resumed" ? event.step : []), [step]);
  const after = Array.from({ length: 10 - step! }, (_, i) => step! + 1 + i);
  assert.deepEqual(events.flatMap((event) => event.type === "step" ? event.step : []), after);
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

/** Another tab of the page may not train meanwhile, nor write to the run. */
async function assertAlone(page: Page): Promise<void> {
  const second = await page.context().newPage();
  await second.goto(page.url().replace(/#.*/, ""));
  await second.locator("#start:not([disabled])").waitFor();
  assert.match(await second.locator("#job").innerText(), /Name\s+signals-2/);
  await second.locator("#start").click();
  await shown(second, "problem");
  assert.match(await second.locator("#problem").innerText(), /Another tab of this page is training/);
  await second.close();
}

inChromium(
  "a run that the page tuned and paused is offered again on the next visit, saved early, and removed",
  async () => {
    // so many steps that the tuner tries every candidate
    const job = { ...JOB, max_steps: 5000, retune: true };
    await Deno.writeTextFile(`${site}/defaults.json`, JSON.stringify(job));
    try {
      await withTab(built, WEBGPU_FLAGS, async (page) => {
        await page.locator("#start:not([disabled])").click();
        await page.getByText(/^Step \d+ of 5,?000/).waitFor({ timeout: 60_000 });
        await assertAlone(page);
        await page.locator("#stop").click();
        await shown(page, "resume");
        const offer = await page.locator("#resume").innerText();
        assert.match(offer, /^Continue from step \d+$/);
        assert.equal(await page.locator("#live").innerText(), "Stopped; the last whole step is kept.");
        await assertTuned(page);
        await page.reload();
        await shown(page, "resume");
        assert.equal(await page.locator("#resume").innerText(), offer);
        await page.locator("#resume").click();
        await page.locator("#finish:not([disabled])").click({ timeout: 60_000 });
        await completed(page);
        assert.equal(await page.locator("#files button", { hasText: "adapter/" }).count(), 3);
        assert.match(await page.locator("#resume").innerText(), /^Continue from step \d+$/);
        await page.locator("#discard").click();
        await page.locator("#discard", { hasText: "Remove all of it?" }).click();
        await page.getByText("There is no such run here.").waitFor();
      });
    } finally {
      await Deno.writeTextFile(`${site}/defaults.json`, JSON.stringify(JOB));
    }
  },
);

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
