/**
 * An exported folder in transformers.js' text-generation pipeline, offline, against `lowrank generate`.
 */
import assert from "node:assert/strict";
import { writeAdapter } from "../../src/checkpoint/adapter.ts";
import { exportOnnx } from "../../src/export/onnx_model.ts";
import { openExportSource } from "../../src/export/source.ts";
import { collectTexts } from "../../src/generate/text.ts";
import { LanguageModel } from "../../src/language_model.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { device } from "../helpers/device.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { onOnnxRuntime, runTexts } from "./onnx_child.ts";

const BUNDLED = new URL("../../examples/tiny/model", import.meta.url).pathname;
const PROMPTS = ["= Signal beacon.", "The ", [{ role: "user", content: "Signal a word: berth" }]] as const;
const NEW_TOKENS = 24;

onOnnxRuntime("transformers.js writes what we write from the bundled model with an adapter", async () => {
  const root = await Deno.makeTempDir({ prefix: "lowrank-onnx-" });
  const files = (uri: string) => new LocalFolder(uri);
  try {
    const base = await new ModelManager(files).open(BUNDLED);
    await writeAdapter(files(`${root}/adapter`), tinyAdapter(base)); // an adapter of nonsense: it says many things
    await base.weights.close();
    const source = await openExportSource(files, {
      model: BUNDLED,
      adapter: `${root}/adapter`,
      baseModel: null,
      quantization: null,
      chatTemplate: null,
    });
    // once in one file, once with its weights beside it
    await exportOnnx(files(`${root}/one`), { source, type: "F32" });
    await exportOnnx(files(`${root}/two`), {
      source,
      type: "F32",
      limits: { inlineBytes: 0, dataFileBytes: 500_000 },
    });
    await source.close();
    const model = await LanguageModel.open({
      files,
      model: BUNDLED,
      adapter: `${root}/adapter`,
      device: device!,
    });
    const ours = await collectTexts(
      model.generate(PROMPTS.map((prompt) => model.promptOf(prompt)), { maxNewTokens: NEW_TOKENS }),
      PROMPTS.length,
    );
    await model.close();
    assert.ok(new Set(ours.join("")).size > 10, `${ours}`); // nothing that any model would say
    const request = (name: string, options: Record<string, unknown>) => ({
      root,
      name,
      options,
      prompts: PROMPTS,
      generation: { max_new_tokens: NEW_TOKENS, do_sample: false },
    });
    assert.deepEqual(await runTexts("node", [request("one", {}), request("two", {})]), [ours, ours]);
    assert.deepEqual(await runTexts("web", [request("one", { device: "auto" })]), [ours]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}, device ? null : "no adapter");
