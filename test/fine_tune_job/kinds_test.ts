import assert from "node:assert/strict";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { evalLosses, ofType, run } from "../helpers/job_runs.ts";

/** A model whose queries, keys and values have biases. */
const BIASED = { config: { model_type: "qwen2" } };
const WIRE = {
  use_dora: true,
  use_rslora: true,
  lora_dropout: 0.2,
  target_modules: ["q_proj", "down_proj"],
  learning_rate: 0.02,
};
const layer = (i: number) => `base_model.model.model.layers.${i}`;

for (
  const [bias, keys] of [
    ["all", ["self_attn.k_proj.bias", "self_attn.q_proj.base_layer.bias", "self_attn.v_proj.bias"]],
    ["lora_only", ["self_attn.q_proj.base_layer.bias"]],
  ] as const
) {
  onGpu(`run() trains biases (${bias}) and magnitudes, merges them and goes on from them`, async () => {
    const root = await jobDisk(BIASED);
    const events = await run(root, { ...WIRE, bias }); // reads the merged model back and compares losses
    const [before, after] = evalLosses(events);
    assert.ok(after! < before!);
    const { config, tensors } = await readAdapter(root.folder("runs/ember/adapter"));
    assert.deepEqual([config.useDora, config.useRslora, config.dropout, config.bias], [
      true,
      true,
      0.2,
      bias,
    ]);
    const biases = [...tensors.keys()].filter((name) => name.endsWith(".bias"));
    assert.deepEqual(biases.sort(), [0, 1].flatMap((i) => keys.map((key) => `${layer(i)}.${key}`)));
    const merged = await WeightFiles.open(root.folder("runs/ember/merged"));
    for (const name of biases) {
      const plain = name.replace("base_model.model.", "").replace(".base_layer", "");
      assert.deepEqual(await merged.readF32(plain), tensors.get(name)!.data);
    }
    const more = {
      adapter_path: "runs/ember/adapter",
      output_dir: "runs/more",
      learning_rate: 0,
      max_steps: 1,
    };
    assert.equal(evalLosses(await run(root, { ...more, save: "adapter" }))[0], after);
  });
}

onGpu("run() with dropout, magnitudes and biases resumes to the same bits", async () => {
  const root = await jobDisk(BIASED);
  const wire = { ...WIRE, bias: "all", save: "adapter", max_steps: 4, save_steps: 2 };
  await run(root, { ...wire, output_dir: "runs/straight" });
  await run(root, wire);
  await root.folder("runs/ember").removeFolder("checkpoint-4");
  assert.equal(ofType(await run(root, { ...wire, resume: "auto" }), "resumed")[0]!.step, 2);
  const [got, want] = await Promise.all(
    ["ember", "straight"].map((name) => readAdapter(root.folder(`runs/${name}/adapter`))),
  );
  assert.deepEqual(got, want);
});
