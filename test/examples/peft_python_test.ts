/**
 * The trainer of examples/plugins/peft_trainer.ts with PEFT itself, against Lowrank's own on the same rows.
 *
 *     LOWRANK_TEST_PEFT_PYTHON=venv/bin/python deno test -A test/examples/peft_python_test.ts
 *
 * The interpreter needs torch, transformers and peft.
 */
import assert from "node:assert/strict";
import { PeftTrainer } from "../../examples/plugins/peft_trainer.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { createFineTuneJob } from "../../src/fine_tune_job.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { definePlugin } from "../../src/plugin.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { device } from "../helpers/device.ts";
import { evalLosses, ofType, summaryOf } from "../helpers/job_runs.ts";
import { PEFT_PYTHON } from "../helpers/peft_python.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url).pathname;
const SCRIPT = `${EXAMPLES}plugins/peft_trainer.py`;

/** Trains the bundled model. */
async function trained(wire: Readonly<Record<string, unknown>>): Promise<TrainingEvent[]> {
  const trainers = [new PeftTrainer(() => [PEFT_PYTHON!, SCRIPT])];
  const plugins = [definePlugin({ apiVersion: 1, name: "peft-trainer", trainers })];
  const config = parseFineTuneJobConfig({
    base_model: `${EXAMPLES}tiny/model`,
    output_model_name: "signals",
    training_data_path: `${EXAMPLES}tiny/signals.jsonl`,
    batch_size: 2,
    gradient_accumulation_steps: 2,
    learning_rate: 1e-3,
    warmup_ratio: 0,
    logging_steps: 1,
    lora_dropout: 0,
    save: "adapter",
    ...wire,
  }, plugins);
  const files = (uri: string) => new LocalFolder(uri);
  return await Array.fromAsync(createFineTuneJob(config, { files, plugins, device: device! }).run());
}

function assertNear(found: number, wanted: number): void {
  assert.ok(Math.abs(found - wanted) < 1e-4, `${found} is not ${wanted}`);
}

Deno.test({
  name: "the trainer peft trains by PEFT as Lowrank does, and what it saves gives Lowrank the same loss" +
    (PEFT_PYTHON ? "" : " (skipped: LOWRANK_TEST_PEFT_PYTHON names no Python that has PEFT)") +
    (device ? "" : " (no adapter)"),
  ignore: !PEFT_PYTHON || !device,
  sanitizeResources: false, // the device outlives the test
  sanitizeOps: false,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const held = (await Deno.readTextFile(`${EXAMPLES}tiny/signals.eval.jsonl`)).split("\n").slice(0, 8);
      await Deno.writeTextFile(`${folder}/eval.jsonl`, held.join("\n"));
      const wire = { eval_data_path: `${folder}/eval.jsonl` };
      const peft = await trained({ ...wire, trainer: "peft", max_steps: 3, output_dir: `${folder}/peft` });
      const own = await trained({ ...wire, max_steps: 1, output_dir: `${folder}/own` });
      const [first, ...later] = ofType(peft, "step"), [ownFirst] = ofType(own, "step");
      assertNear(first!.loss, ownFirst!.loss);
      assert.deepEqual(
        [first!.trainedTokens, first!.tokens, first!.tokenAccuracy, first!.learningRate, later.length],
        [ownFirst!.trainedTokens, ownFirst!.tokens, ownFirst!.tokenAccuracy, 1e-3, 2],
      );
      assertNear(evalLosses(peft)[0]!, evalLosses(own)[0]!);
      assert.equal(summaryOf(peft).trainableParameters, summaryOf(own).trainableParameters);

      const adapter = { adapter_path: `${folder}/peft/adapter`, output_dir: `${folder}/further` };
      const further = await trained({ ...wire, ...adapter, max_steps: 1 });
      assert.ok(evalLosses(peft)[0]! - evalLosses(peft).at(-1)! > 0.1, "PEFT has learnt");
      assertNear(evalLosses(further)[0]!, evalLosses(peft).at(-1)!);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
