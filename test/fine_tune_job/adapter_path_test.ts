import assert from "node:assert/strict";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { evalLosses, ofType, run, summaryOf, type Wire, written } from "../helpers/job_runs.ts";
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

onGpu("run() tells which options the adapter to continue from overrules", async () => {
  const root = await jobDisk();
  await run(root, { lora_r: 4, lora_alpha: 6, target_modules: ["v_proj", "q_proj"], max_steps: 1 });
  const further = { adapter_path: "runs/ember/adapter", output_model_name: "further" };
  const told = async (wire: Wire) => {
    const events = await run(root, { ...further, ...wire }, { dryRun: true });
    return [ofType(events, "warning").map(({ message }) => message), summaryOf(events).choices.join()];
  };
  const [warnings, choices] = await told({
    lora_r: 8,
    lora_alpha: 7,
    target_modules: ["k_proj"],
    use_dora: true,
  });
  assert.deepEqual(warnings, [
    'lora_r 8 is passed over: the adapter in "runs/ember/adapter" brings 4',
    'lora_alpha 7 is passed over: the adapter in "runs/ember/adapter" brings 6',
    'use_dora true is passed over: the adapter in "runs/ember/adapter" brings false',
    'target_modules k_proj is passed over: the adapter in "runs/ember/adapter" brings q_proj, v_proj',
  ]);
  assert.match(
    String(choices),
    /LoRA rank 4, alpha 6, on (q_proj, v_proj|v_proj, q_proj), as the adapter to continue from has them/,
  );
  const same = { lora_r: 4, lora_alpha: 6, target_modules: ["q_proj", "v_proj"] };
  assert.deepEqual((await told(same))[0], []);
  assert.deepEqual((await told({ lora_r: 16 }))[0], [], "a default may be no wish");
});
