/**
 * Models of the server's buckets in the page: seen, judged, downloaded over a line that breaks, and trained on. Run by
 * `bucket_models_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import type { Page, Request } from "playwright-core";
import { type TensorToWrite, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { SINGLE_FILE as WEIGHTS, WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { type Folder, writeFile } from "../../src/storage.ts";
import { GcsStorageManager } from "../../src/storage/gcs.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import defaults from "../../web/defaults.json" with { type: "json" };
import { makeGcsBucket, startGcs } from "../helpers/bucket_services.ts";
import { CuttingProxy } from "../helpers/cutting_proxy.ts";
import { withoutEmulator } from "../helpers/emulators.ts";
import { startServer } from "../helpers/server_process.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";
import { inChromium, WEBGPU_FLAGS, withPage } from "./browser.ts";
import { takeFolder } from "./page_files.ts";

// no credentials are looked for
Deno.env.set("METADATA_SERVER_DETECTION", "none");

const JOB = {
  ...defaults,
  ...{ max_steps: 4, batch_size: 2, eval_batch_size: 2, eval_data_path: null, train_test_split: 0.01 },
  ...{ eval_steps: 0, save_steps: 4, num_generation_samples: 0, exact_match: false, max_length: 64 },
};

/** Bytes of the larger model beside what is read of it: several pieces of a file, and no long wait. */
const MORE_BYTES = 8 << 20;

/** A tiny model whose file of weights holds a large tensor that nobody asks for. */
async function writeLargerModel(folder: Folder): Promise<void> {
  await writeTinyModel(folder);
  const weights = await WeightFiles.open(folder), { infos } = weights;
  const tensors: TensorToWrite[] = [];
  for (const info of infos.values()) tensors.push({ ...info, data: await weights.readRaw(info.name) });
  const data = new Uint8Array(MORE_BYTES).map((_, i) => i * i % 251);
  tensors.push({ name: "unused", dtype: "F32", shape: [MORE_BYTES / 4], data });
  await writeSafetensors(folder, WEIGHTS, tensors);
  await writeFile(folder, "README.md", "---\nlicense: apache-2.0\n---\n# Lamps\n");
}

/** A line between page and server that can be cut, and a page at its end. */
async function withLine(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  use: (page: Page, line: CuttingProxy) => Promise<void>,
): Promise<void> {
  const data = await Deno.makeTempDir({ prefix: "lowrank-serve-" });
  const server = await startServer(data, ["--quiet", ...args], { env });
  await using line = new CuttingProxy();
  line.target = Number(new URL(server.origin).port);
  let isCut = false;
  const options = {
    flags: WEBGPU_FLAGS,
    mayFail: (request: Request) => isCut && request.url().includes("/api/storage/"),
    prepare: async (page: Page) => {
      await page.route("**/defaults.json", (route) => route.fulfill({ json: JOB }));
    },
  };
  try {
    await withPage(`http://127.0.0.1:${line.port}/`, options, async (page) => {
      isCut = true;
      page.setDefaultTimeout(120_000);
      await use(page, line);
    });
  } finally {
    await server.stop();
    await Deno.remove(data, { recursive: true });
  }
}

/** Opens the list of the models in buckets, and one of them. */
async function lookAt(page: Page, name: string): Promise<void> {
  await page.locator("#bucket-models-button").click();
  await page.locator(".offer").filter({ hasText: name }).first().click();
  await page.locator("#bucket-model-fit").getByText("GPU memory").waitFor();
}

async function untilDownloaded(page: Page): Promise<void> {
  await page.locator("#download-told").getByText("is on this device").waitFor();
}

const missing = withoutEmulator("fake-gcs-server");

if (missing === null) {
  inChromium(
    "a model of a bucket is judged where it is, downloaded over a line that breaks and a reload, held against its hash, and trained on",
    async () => {
      const gcs = await startGcs(), endpoint = `http://127.0.0.1:${gcs.port}`;
      const model = new MemoryFolder("model");
      await writeLargerModel(model);
      try {
        await makeGcsBucket(endpoint, "bucket");
        await new GcsStorageManager("bucket", { endpoint }).uploadFolder(model, "models/lamps");
        const env = { STORAGE_EMULATOR_HOST: endpoint };
        await withLine(["--storage", "gs://bucket/models"], env, async (page, line) => {
          await lookAt(page, "lamps");
          assert.match(await page.locator("#bucket-model-facts").innerText(), /llama[^]*apache-2\.0/);
          await page.evaluate(() => navigator.serviceWorker.ready.then(() => {})); // it fetches the page once more
          await page.locator("#fit").waitFor(); // and the form's own plan is made
          line.holdAfter(3_000_000);
          await page.locator("#download-model").click();
          await page.waitForFunction(() =>
            (document.querySelector<HTMLProgressElement>("#model-download progress")?.value ?? 0) > 1_000_000
          );
          await page.locator("#cancel-model-download").click();
          await page.locator("#kept-models").getByText("downloaded").waitFor();
          line.letGo();
          await page.reload();
          await page.locator("#kept-models").getByText("downloaded").waitFor();
          assert.equal(await page.locator("#model option").count(), 1, "a part of a model was offered");
          await page.locator("#fit").waitFor();
          const before = line.passed;
          line.cutAfter(2_500_000);
          await page.getByRole("button", { name: "Continue the download of lamps" }).click();
          await untilDownloaded(page);
          assert.equal(line.cut, 1);
          assert.ok(line.passed - before < MORE_BYTES, "what was here came again");
          const copy = new MemoryFolder("copy");
          await takeFolder(page, "device/models/lamps", copy);
          for (const name of await model.list()) {
            assert.deepEqual(await bytesOf(copy, name), await bytesOf(model, name), name);
          }
          await page.locator("#use-arrived").click();
          await page.locator("#start:not([disabled])").click();
          await page.locator("#run[data-status=completed]").waitFor({ timeout: 240_000 });
        });
      } finally {
        await gcs.stop();
      }
    },
  );
}

inChromium("a model of the server's disk is downloaded, used and deleted", async () => {
  const disk = await Deno.makeTempDir();
  await writeTinyModel(new LocalFolder(`${disk}/ember`));
  try {
    await withLine(["--storage", `models=${disk}`], {}, async (page) => {
      await lookAt(page, "ember");
      await page.locator("#download-model").click();
      await untilDownloaded(page);
      await page.locator("#use-model").click();
      await page.locator("#model-facts").getByText("26,176").or(page.locator("#model-problem")).waitFor();
      assert.equal(await page.locator("#model").inputValue(), "device/models/ember");
      await page.locator("#kept-models summary").click();
      // the question stands for seconds only, which a busy machine may let pass
      await page.getByRole("button", { name: "Delete" }).evaluate((button) => {
        for (let press = 0; press < 2; press++) (button as HTMLButtonElement).click();
      });
      await page.locator("#kept-models").waitFor({ state: "detached" });
      assert.match(await page.locator("#model").inputValue(), /lowrank-tiny/);
    });
  } finally {
    await Deno.remove(disk, { recursive: true });
  }
});

async function bytesOf(folder: Folder, name: string): Promise<Uint8Array> {
  const reader = await folder.open(name);
  return await reader.read(0, reader.size);
}
