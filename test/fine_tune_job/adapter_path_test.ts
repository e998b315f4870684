import assert from "node:assert/strict";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { evalLosses, jobOf, ofType, run, summaryOf, type Wire, written } from "../helpers/job_runs.ts";
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
  assert.deepEqual((await told({ rank_pattern: { q_proj: 2 } }))[0], [
    'rank_pattern q_proj=2 is passed over: the adapter in "runs/ember/adapter" has rules of its own',
  ]);
});

onGpu(
  "run() keeps adapters of several names beside each other, and takes up the one that is meant",
  async () => {
    const root = await jobDisk();
    const wire = { save: "adapter", max_steps: 1, overwrite: true };
    const { config, job } = jobOf(root, { ...wire, adapter_name: "nl", lora_r: 2 });
    assert.equal(config.job.adapterUri, "runs/ember/adapter/nl");
    const events = await Array.fromAsync(job.run());
    assert.equal(ofType(events, "saved")[0]!.path, "disk/runs/ember/adapter/nl");
    assert.deepEqual(await root.folder("runs/ember/adapter").list(), []);
    const path = "runs/ember/adapter";
    const onward = (adapter_path: string) => run(root, { ...wire, adapter_path, output_dir: "runs/more" });
    await onward(path);
    assert.equal((await readAdapter(root.folder("runs/more/adapter"))).config.rank, 2);
    await run(root, { ...wire, adapter_name: "de", lora_r: 3 });
    await assert.rejects(onward(path), {
      name: "StorageNotFoundError",
      message: /holds de, nl; name one of them, such as ".*runs\/ember\/adapter\/de"/,
    });
    await onward(`${path}/nl`);
    assert.equal((await readAdapter(root.folder("runs/more/adapter"))).config.rank, 2);
    await assert.rejects(run(root, { adapter_name: "../x" }), /adapter_name: must be letters, digits/);
  },
);
