import assert from "node:assert/strict";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { LogHistory, TRAINER_STATE_FILE } from "../../src/logs/trainer_state.ts";
import { readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

const CONFIG = parseFineTuneJobConfig({
  base_model: "base",
  output_model_name: "ember",
  training_data_path: "train.jsonl",
  eval_steps: 2,
  early_stopping_patience: 3,
  load_best_model_at_end: true,
});
const JUDGEMENT = { best: { step: 2, metric: 1.5, eval_loss: 1.5 }, worse: 1 };

function history(): LogHistory {
  const log = new LogHistory();
  log.add({ type: "evaluated", step: 2, epoch: 0.5, evalLoss: 1.5, evalTokens: 5, evalTokenAccuracy: 0.5 });
  log.add({
    type: "step",
    step: 4,
    totalSteps: 8,
    epoch: 1,
    loss: 2,
    learningRate: 1e-4,
    gradNorm: 0.5,
    tokenAccuracy: 0.25,
    trainedTokens: 10,
    tokens: 20,
    tokensPerSecond: 33,
    etaSeconds: 1,
  });
  return log;
}

Deno.test("LogHistory writes trainer_state.json with the keys of transformers, sorted", () => {
  const state = JSON.parse(history().format(CONFIG, { step: 4, totalSteps: 8, judgement: JUDGEMENT }));
  assert.deepEqual(Object.keys(state), Object.keys(state).toSorted());
  assert.deepEqual(state.log_history, [
    { epoch: 0.5, eval_loss: 1.5, eval_mean_token_accuracy: 0.5, step: 2 },
    {
      epoch: 1,
      grad_norm: 0.5,
      learning_rate: 1e-4,
      loss: 2,
      mean_token_accuracy: 0.25,
      num_tokens: 20,
      step: 4,
    },
  ]);
  for (const row of state.log_history) assert.deepEqual(Object.keys(row), Object.keys(row).toSorted());
  const { best_global_step, best_metric, best_model_checkpoint, global_step, max_steps, epoch } = state;
  assert.deepEqual([best_global_step, best_metric, best_model_checkpoint], [
    2,
    1.5,
    "runs/ember/checkpoint-2",
  ]);
  assert.deepEqual([global_step, max_steps, epoch], [4, 8, 1]);
  assert.deepEqual(state.stateful_callbacks.EarlyStoppingCallback, {
    args: { early_stopping_patience: 3, early_stopping_threshold: 0 },
    attributes: { early_stopping_patience_counter: 1 },
  });
  assert.equal(state.stateful_callbacks.TrainerControl.args.should_training_stop, false);
});

Deno.test("LogHistory goes on with the rows of a checkpoint, and refuses a damaged file", async () => {
  const folder = new MemoryFolder("checkpoint-4");
  const about = { step: 4, totalSteps: 8, judgement: JUDGEMENT };
  await history().write(folder, CONFIG, about);
  const text = await readText(folder, TRAINER_STATE_FILE);
  assert.equal((await LogHistory.resume(folder)).format(CONFIG, about), text);
  await writeFile(folder, TRAINER_STATE_FILE, text.slice(9));
  await assert.rejects(LogHistory.resume(folder), {
    name: "ModelFormatError",
    message: 'Cannot resume from "checkpoint-4/trainer_state.json": it is damaged',
  });
  const empty = JSON.parse((await LogHistory.resume(new MemoryFolder())).format(CONFIG, about));
  assert.deepEqual(empty.log_history, []);
});
