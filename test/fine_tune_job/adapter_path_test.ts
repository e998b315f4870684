import assert from "node:assert/strict";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { evalLosses, run, written } from "../helpers/job_runs.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

onGpu("run() continues from an adapter exactly where it ended, with its rank and targets", async () => {
  const root = await jobDisk();
  const first = await run(root, {
    target_modules: ["v_proj"],
    lora_r: 5,
    lora_alpha: 7,
    learning_rate: 0.02,
  });
  const second = await run(root, { adapter_path: "runs/ember/adapter", output_model_name: "further" });
  const [before, after] = evalLosses(first);
  assert.notEqual(after, before);
  assert.equal(evalLosses(second)[0], after);
  const { config } = await readAdapter(root.folder("runs/further/adapter"));
  assert.deepEqual([config.rank, config.alpha, config.targetModules], [5, 7, ["v_proj"]]);
});

onGpu("run() refuses an adapter of another model before it writes anything", async () => {
  const root = await jobDisk();
  await run(root, { max_steps: 1, save: "adapter" });
  const wire = { adapter_path: "runs/ember/adapter", base_model: "other", output_model_name: "further" };
  await writeTinyModel(root.folder("other"), { config: { num_hidden_layers: 1 } });
  await assert.rejects(run(root, wire), {
    name: "ModelFormatError",
    message:
      /tensor "base_model\.model\.model\.layers\.1\.\S+" belongs to no targeted map of this model; take the base/,
  });
  await writeTinyModel(root.folder("other"), { config: { intermediate_size: 48 } });
  await assert.rejects(run(root, wire), {
    name: "ModelFormatError",
    message: /gate_proj\.lora_B\.weight" is \[44, 4\] and this model asks for \[48, 4\]/,
  });
  assert.deepEqual(await written(root, "runs/further"), []);
});
