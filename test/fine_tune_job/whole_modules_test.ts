import assert from "node:assert/strict";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { ConfigError } from "../../src/errors.ts";
import { exportGgufLora } from "../../src/export/gguf_lora.ts";
import { openExportSource } from "../../src/export/source.ts";
import { collectTexts } from "../../src/generate/text.ts";
import { LanguageModel } from "../../src/language_model.ts";
import { onGpu } from "../helpers/device.ts";
import { folderAt, jobDisk } from "../helpers/job_disk.ts";
import { evalLosses, ofType, readJson, run } from "../helpers/job_runs.ts";

const HEAD = "base_model.model.lm_head.weight", EMBEDDING = "base_model.model.model.embed_tokens.weight";

for (
  const [tied, shards, modules] of [[true, 3, "lm_head"], [true, 1, "embed_tokens"], [
    false,
    2,
    "lm_head",
  ]] as const
) {
  onGpu(
    `run() trains ${modules} of ${tied ? "a tied" : "an untied"} model whole, merges it and goes on from it`,
    async () => {
      const root = await jobDisk({ tied, shards });
      const wire = {
        modules_to_save: [modules],
        target_modules: ["q_proj", "lm_head", "up_proj"],
        learning_rate: 0.01,
      };
      const events = await run(root, { ...wire, target_modules: ["q_proj", "up_proj"] });
      const [before, after] = evalLosses(events);
      assert.ok(after! < before!);
      const { config, tensors } = await readAdapter(root.folder("runs/ember/adapter"));
      assert.deepEqual(config.modulesToSave, [modules]);
      const [trained, other] = modules === "lm_head" ? [HEAD, EMBEDDING] : [EMBEDDING, HEAD];
      assert.ok(tensors.has(trained) && !tensors.has(other));
      // what was trained differs from the base in both: the merged model has head and embedding of their own
      const base = await WeightFiles.open(root.folder("base"));
      const merged = await WeightFiles.open(root.folder("runs/ember/merged"));
      assert.equal(
        (await readJson(root.folder("runs/ember/merged"), "config.json")).tie_word_embeddings,
        false,
      );
      const embedding = await base.readF32("model.embed_tokens.weight");
      const start = tied ? embedding : await base.readF32("lm_head.weight");
      const wantedHead = modules === "lm_head" ? tensors.get(HEAD)!.data : start;
      const wantedEmbedding = modules === "lm_head" ? embedding : tensors.get(EMBEDDING)!.data;
      assert.deepEqual(await merged.readF32("lm_head.weight"), wantedHead);
      assert.deepEqual(await merged.readF32("model.embed_tokens.weight"), wantedEmbedding);
      assert.notDeepEqual(tensors.get(trained)!.data, modules === "lm_head" ? start : embedding);
      const more = await run(root, {
        adapter_path: "runs/ember/adapter",
        output_dir: "runs/more",
        learning_rate: 0,
        max_steps: 1,
        save: "adapter",
      });
      assert.equal(evalLosses(more)[0], after);
    },
  );
}

onGpu("run() with whole modules resumes to the same bits", async () => {
  const root = await jobDisk();
  const wire = {
    modules_to_save: ["embed_tokens", "lm_head", "input_layernorm"],
    save: "adapter",
    max_steps: 4,
    save_steps: 2,
  };
  await run(root, { ...wire, output_dir: "runs/straight" });
  await run(root, wire);
  await root.folder("runs/ember").removeFolder("checkpoint-4");
  assert.equal(ofType(await run(root, { ...wire, resume: "auto" }), "resumed")[0]!.step, 2);
  const [got, want] = await Promise.all(
    ["ember", "straight"].map((name) => readAdapter(root.folder(`runs/${name}/adapter`))),
  );
  assert.deepEqual(got, want);
  assert.ok([...got!.tensors.keys()].some((name) => name.endsWith("layers.1.input_layernorm.weight")));
});

onGpu("a trained head answers, and is merged but not exported as an update", async (device) => {
  const root = await jobDisk();
  await run(root, { modules_to_save: ["lm_head"], learning_rate: 0.05, max_steps: 6 });
  const files = (uri: string) => folderAt(root, uri);
  const textOf = async (model: string, adapter: string | null) => {
    const language = await LanguageModel.open({ files, model, adapter, device });
    const [text] = await collectTexts(
      language.generate([language.promptOf("row 1")], { maxNewTokens: 8, temperature: 0 }),
      1,
    );
    await language.close();
    return text;
  };
  assert.equal(await textOf("base", "runs/ember/adapter"), await textOf("runs/ember/merged", null));
  const request = {
    model: "runs/ember",
    adapter: null,
    baseModel: null,
    quantization: null,
    chatTemplate: null,
  };
  const source = await openExportSource(files, request);
  assert.equal(source.base.config.tieWordEmbeddings, false);
  await assert.rejects(
    exportGgufLora(root, "a.gguf", { source, type: "F32" }),
    /modules whole.*export the merged/,
  );
  await source.close();
});

onGpu("run() names the modules there are where one is not", async () => {
  await assert.rejects(run(await jobDisk(), { modules_to_save: ["heads"] }), (error: Error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(
      error.issues.map(({ path, message }) => `${path}: ${message}`).join("\n"),
      /^modules_to_save: must be names of modules of the model, embed_tokens,[^]* lm_head: current value is heads$/,
    );
    return true;
  });
});
