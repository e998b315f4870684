/**
 * Exported models in a page, run by transformers.js in Chromium.
 */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { loraUpdates, writeAdapter } from "../../src/checkpoint/adapter.ts";
import { exportOnnx } from "../../src/export/onnx_model.ts";
import { collectTexts } from "../../src/generate/text.ts";
import { LanguageModel } from "../../src/language_model.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { buildOnnxChat, buildWeb, bundle, packageFolder } from "../../web/build.ts";
import { device } from "../helpers/device.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { FLAGS, inChromium, WEBGPU_FLAGS, withTab } from "./browser.ts";
import { putFolder } from "./page_files.ts";

const PACKAGES = new URL("../export/packages.json", import.meta.url).pathname;
const MODEL = new URL("../../examples/tiny/model", import.meta.url).pathname;
/** WebGPU compiles for a minute on a software adapter: asked for by this variable only. */
const ALSO_WEBGPU = Deno.env.get("LOWRANK_ONNX_WEBGPU") === "1";

const PROMPTS = ["= Signal beacon.", "The "], NEW_TOKENS = 16;

/** A page with the bundled model and an adapter of nonsense, which says many things; and what we write with them. */
async function buildSite(root: string): Promise<string[]> {
  const files = (uri: string) => new LocalFolder(uri), site = `${root}/site`;
  const base = await new ModelManager(files).open(MODEL), adapter = tinyAdapter(base);
  await exportOnnx(files(`${site}/models/tiny`), {
    source: { base, updates: loraUpdates(adapter), chatTemplate: null },
    type: "F32",
    limits: { inlineBytes: 0, dataFileBytes: 500_000 }, // as a large model's
  });
  await base.weights.close();
  await bundle([new URL("onnx_page.ts", import.meta.url).pathname], site, [`--config=${PACKAGES}`]);
  const runtime = await packageFolder("onnxruntime-web", PACKAGES);
  for (const ending of ["mjs", "wasm"]) {
    const name = `ort-wasm-simd-threaded.asyncify.${ending}`;
    await Deno.writeFile(`${site}/${name}`, await Deno.readFile(`${runtime}${name}`));
  }
  const html =
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="onnx_page.js"></script>';
  await Deno.writeTextFile(`${site}/index.html`, html);
  await writeAdapter(files(`${root}/adapter`), adapter);
  const model = await LanguageModel.open({
    files,
    model: MODEL,
    adapter: `${root}/adapter`,
    device: device!,
  });
  const ids = PROMPTS.map((prompt) => model.promptOf(prompt));
  const texts = await collectTexts(model.generate(ids, { maxNewTokens: NEW_TOKENS }), ids.length);
  await model.close();
  return texts;
}

inChromium(
  "transformers.js writes what we write from weights in several files",
  async () => {
    const root = await Deno.makeTempDir({ prefix: "lowrank-onnx-" });
    try {
      const ours = await buildSite(root);
      assert.ok(new Set(ours.join("")).size > 8, `${ours}`);
      await withTab(root, WEBGPU_FLAGS, async (page) => {
        await page.waitForFunction("globalThis.write");
        const ask = (options: object, prompts: readonly string[]) => {
          const request = ["tiny", options, prompts, { max_new_tokens: NEW_TOKENS, do_sample: false }];
          return page.evaluate(`write(...${JSON.stringify(request)})`);
        };
        assert.deepEqual(await ask({}, PROMPTS), ours);
        if (ALSO_WEBGPU) assert.deepEqual(await ask({ device: "webgpu" }, PROMPTS), ours);
      });
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  },
);

/** A run of an earlier visit, as far as the chat looks. */
async function putRun(page: Page, adapter: Folder): Promise<void> {
  const run = new MemoryFolder("run"), into = run.folder("adapter");
  const config = JSON.parse(await readText(adapter, "adapter_config.json"));
  const named = { ...config, base_model_name_or_path: "models/lowrank-tiny" };
  await writeFile(into, "adapter_config.json", JSON.stringify(named));
  const weights = await adapter.open("adapter_model.safetensors");
  await writeFile(into, "adapter_model.safetensors", await weights.read(0, weights.size));
  await weights.close();
  const record = {
    ...{ status: "completed", started_at: "2026-01-01T00:00:00Z", steps: 2, total_steps: 2 },
    ...{ eval_loss_before: 4, eval_loss_after: 3, base_model: { path: "models/lowrank-tiny" } },
    config: { base_model: "models/lowrank-tiny" },
  };
  await writeFile(run, "run.json", JSON.stringify(record));
  await putFolder(page, "runs/ember", run);
}

inChromium("a page without WebGPU talks with a run and its base, which it exports itself", async () => {
  const root = await Deno.makeTempDir({ prefix: "lowrank-onnx-" }),
    files = (uri: string) => new LocalFolder(uri);
  try {
    await buildWeb(`${root}/site`);
    await buildOnnxChat(`${root}/site`);
    const base = await new ModelManager(files).open(MODEL);
    await writeAdapter(files(`${root}/adapter`), tinyAdapter(base));
    await base.weights.close();
    const model = await LanguageModel.open({ files, model: MODEL, device: device! });
    const ours: string[] = [], tokens: number[] = [];
    for (const adapter of [null, `${root}/adapter`]) {
      await model.useAdapter(adapter);
      const ids = [model.promptOf([{ role: "user", content: PROMPTS[0]! }])];
      const pieces = await Array.fromAsync(model.generate(ids, { maxNewTokens: NEW_TOKENS }));
      ours.push(pieces.map(({ text }) => text).join(""));
      tokens.push(pieces.length);
    }
    await model.close();
    await withTab(root, FLAGS, async (page) => {
      const asked: string[] = [];
      page.context().on("request", (request) => asked.push(new URL(request.url()).pathname));
      await page.locator("#gate[data-missing]").waitFor();
      await putRun(page, files(`${root}/adapter`));
      await page.waitForLoadState("networkidle"); // a reload would give up what is still being loaded
      await page.reload();
      await page.locator("#start[disabled]").waitFor();
      assert.deepEqual(asked.filter((path) => path.includes("/onnx/")), []);
      await page.evaluate(() => location.hash = "#/chat/run/ember");
      await page.locator("#send:not([disabled])").waitFor({ timeout: 90_000 });
      await page.locator("#chat-both").click();
      await page.locator("#chat-temperature").fill("0");
      await page.locator("#chat-tokens").fill(String(NEW_TOKENS));
      await page.locator("#question").fill(PROMPTS[0]!);
      await page.keyboard.press("Enter");
      await page.locator("#turns .answer[data-side=adapter][aria-busy=false], #chat-problem").waitFor({
        timeout: 90_000,
      });
      assert.deepEqual(await page.locator("#chat-problem").allInnerTexts(), []);
      assert.deepEqual(await page.locator("#turns .said").allTextContents(), ours);
      const titles = await page.locator("#turns .answer h2").allInnerTexts();
      for (const [i, count] of tokens.entries()) assert.match(titles[i]!, new RegExp(`\\b${count} tokens`));
      assert.ok(asked.some((path) => path.endsWith("/onnx/ort-wasm-simd-threaded.wasm")), `${asked}`);
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
