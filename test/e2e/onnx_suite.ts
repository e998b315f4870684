/**
 * Exported models in a page, run by transformers.js in Chromium.
 */
import assert from "node:assert/strict";
import { loraUpdates, writeAdapter } from "../../src/checkpoint/adapter.ts";
import { exportOnnx } from "../../src/export/onnx_model.ts";
import { collectTexts } from "../../src/generate/text.ts";
import { LanguageModel } from "../../src/language_model.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { bundle } from "../../web/build.ts";
import { device } from "../helpers/device.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { inChromium, WEBGPU_FLAGS, withTab } from "./browser.ts";

const PACKAGES = new URL("../export/packages.json", import.meta.url).pathname;
const MODEL = new URL("../../examples/tiny/model", import.meta.url).pathname;
/** WebGPU compiles for a minute on a software adapter: asked for by this variable only. */
const ALSO_WEBGPU = Deno.env.get("LOWRANK_ONNX_WEBGPU") === "1";

const PROMPTS = ["= Signal beacon.", "The "], NEW_TOKENS = 16;

/** Where the files of the WebAssembly runtime are. */
async function runtimeFolder(): Promise<string> {
  const script = 'console.log(import.meta.resolve("onnxruntime-web"))';
  const args = ["eval", "--quiet", "--config", PACKAGES, script];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
  return new URL(".", new TextDecoder().decode(stdout).trim()).pathname;
}

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
  const runtime = await runtimeFolder();
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
