/**
 * Rows of banking77 for training and evaluation, and the very batches that a training run makes of them, for PEFT:
 *
 *     deno run -A bench/banking77/prepare.ts DATA_DIR MODEL_DIR OUT_DIR
 *
 * DATA_DIR holds `banking77-train.instruction.jsonl` and `banking77-test.instruction.jsonl`. OUT_DIR gets `train.jsonl` and
 * `eval.jsonl` in the words of the experiment, and `batches.json`: token ids and labels, step by step.
 *
 * @module
 */
import { load } from "js-yaml";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { EpochSampler } from "../../src/data/epoch_sampler.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { DataManager } from "../../src/data_manager.ts";
import { heldOutAnswers } from "../../src/samples.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { countSteps, packsOf } from "../../src/trainer/trainer_data.ts";
import { LearningRate } from "../../src/trainer/learning_rate.ts";

const TRAIN_ROWS = 300, EVAL_ROWS = 100;

/** The first rows of a file as a short text to go on from, and the label. */
async function rowsOf(path: string, count: number): Promise<string> {
  const lines = (await Deno.readTextFile(path)).split("\n").slice(0, count);
  const rows = lines.map((line) => {
    const { input, output } = JSON.parse(line);
    return { prompt: `Customer: ${input}\nIntent:`, completion: ` ${output}` };
  });
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

async function prepare(data: string, model: string, out: string): Promise<void> {
  await Deno.mkdir(out, { recursive: true });
  await Deno.writeTextFile(
    `${out}/train.jsonl`,
    await rowsOf(`${data}/banking77-train.instruction.jsonl`, TRAIN_ROWS),
  );
  await Deno.writeTextFile(
    `${out}/eval.jsonl`,
    await rowsOf(`${data}/banking77-test.instruction.jsonl`, EVAL_ROWS),
  );
  const recipe = await Deno.readTextFile(new URL("./recipe.yaml", import.meta.url));
  const { job, lora, training } = parseFineTuneJobConfig({
    ...load(recipe) as Record<string, unknown>,
    base_model: model,
    training_data_path: `${out}/train.jsonl`,
    eval_data_path: `${out}/eval.jsonl`,
  });
  const tokenizer = await Tokenizer.load(new LocalFolder(model));
  const files = (path: string) => {
    return { folder: new LocalFolder(out), name: path.slice(path.lastIndexOf("/") + 1) };
  };
  const dataset = await new DataManager({ files, tokenizer }).load({ ...job, ...training });
  const packs = packsOf(dataset.train, training);
  const { totalSteps } = countSteps({ train: dataset.train, packs }, training);
  const sampler = new EpochSampler({ examples: packs!.length, ...training });
  const rate = new LearningRate(training, totalSteps);
  const steps = Array.from({ length: totalSteps }, (_, step) => {
    const rows = sampler.microBatches(step).flat().flatMap((pack) => packs![pack]!);
    return {
      learning_rate: rate.of(step + 1),
      rows: rows.map((row) => {
        const { inputIds, labels } = dataset.train.at(row)!;
        return { ids: [...inputIds], labels: [...labels] };
      }),
    };
  });
  const held = heldOutAnswers(dataset.eval, tokenizer);
  await Deno.writeTextFile(
    `${out}/batches.json`,
    JSON.stringify({
      lora: { r: lora.r, alpha: lora.alpha },
      max_grad_norm: training.maxGradNorm,
      steps,
      eval: [...dataset.eval].map(({ inputIds, labels }, i) => {
        return {
          ids: [...inputIds],
          labels: [...labels],
          prompt: held[i]!.promptIds,
          expected: held[i]!.expected,
        };
      }),
      max_new_tokens: Math.max(...held.map(({ tokens }) => tokens)) + 4,
    }),
  );
  const tokens = steps.reduce((sum, { rows }) => sum + rows.reduce((all, { ids }) => all + ids.length, 0), 0);
  console.log(`${totalSteps} steps, ${tokens} tokens, ${dataset.eval.length} rows to evaluate on`);
}

const [data, model, out] = Deno.args;
if (data === undefined || model === undefined || out === undefined) {
  console.error("Usage: deno run -A bench/banking77/prepare.ts DATA_DIR MODEL_DIR OUT_DIR");
  Deno.exit(2);
}
await prepare(data, model, out);
