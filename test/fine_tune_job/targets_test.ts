import assert from "node:assert/strict";
import { loraUpdates, readAdapter } from "../../src/checkpoint/adapter.ts";
import { ConfigError } from "../../src/errors.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { evalLosses, run } from "../helpers/job_runs.ts";

onGpu(
  "run() trains the maps that the rules mean, each at its own strength, and goes on from there",
  async () => {
    const root = await jobDisk();
    const wire = {
      exclude_modules: ["k_proj", "v_proj", "gate_proj", "o_proj"],
      layers_to_transform: [1],
      rank_pattern: { "mlp\\..*": 2 },
      alpha_pattern: { q_proj: 6 },
      lora_alpha: 8,
    };
    const trained = await run(root, { ...wire, save: "both", max_steps: 2, learning_rate: 0.01 });
    const summary = trained.find((event) => event.type === "started")!.summary;
    assert.ok(summary.choices.includes("rank_pattern mlp\\..*=2"), summary.choices.join("\n"));
    const adapter = await readAdapter(root.folder("runs/ember/adapter"));
    const { dropout: _, baseModel: __, ...config } = adapter.config;
    assert.deepEqual(config, {
      rank: 4,
      alpha: 8,
      // spelt out, since PEFT takes layers for lists alone
      targetModules: ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
      excludeModules: wire.exclude_modules.toSorted(),
      layersToTransform: [1],
      rankPattern: wire.rank_pattern,
      alphaPattern: wire.alpha_pattern,
      useRslora: false,
      useDora: false,
      bias: "none",
    });
    assert.deepEqual(
      [...loraUpdates(adapter)].map(([name, { rank, scaling }]) => [name, rank, scaling]).sort(),
      [
        ["model.layers.1.mlp.down_proj.weight", 2, 4],
        ["model.layers.1.mlp.up_proj.weight", 2, 4],
        ["model.layers.1.self_attn.q_proj.weight", 4, 1.5],
      ],
    );
    const more = {
      adapter_path: "runs/ember/adapter",
      output_dir: "runs/more",
      max_steps: 1,
      learning_rate: 0,
    };
    const continued = await run(root, more);
    assert.equal(evalLosses(continued)[0], evalLosses(trained)[1]);
    assert.deepEqual(await readAdapter(root.folder("runs/more/adapter")), adapter);
  },
);

onGpu("run() lists all rules that mean nothing before it reads data", async () => {
  const root = await jobDisk();
  const running = run(root, {
    target_modules: ["q_proj", "qkv_proj", "query"],
    exclude_modules: ".*conv",
    training_data_path: "none.jsonl",
  });
  await assert.rejects(running, (error: Error) => {
    assert.ok(error instanceof ConfigError);
    const found = error.issues.map(({ path, message }) => `${path} ${/"([^"]*)"/.exec(message)![1]}`);
    assert.deepEqual(found, ["target_modules qkv_proj", "target_modules query", "exclude_modules .*conv"]);
    return true;
  });
});
