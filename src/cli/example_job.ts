/**
 * The job of `lowrank train` without a model and data of one's own: the bundled tiny model learns to signal words.
 *
 * @module
 */
import { relative } from "node:path";

/**
 * Options of the bundled job, by wire name. `root` is the folder that holds `examples/`, `cwd` the working directory:
 * paths are written as short as they can be.
 */
export function exampleJob(root: string, cwd: string): Readonly<Record<string, unknown>> {
  const path = (name: string) => {
    const absolute = `${root}examples/tiny/${name}`, short = relative(cwd, absolute);
    return short.startsWith("..") ? absolute : short;
  };
  return {
    base_model: path("model"),
    training_data_path: path("signals.jsonl"),
    eval_data_path: path("signals.eval.jsonl"),
    output_model_name: "signals",
    num_train_epochs: 1,
    batch_size: 16,
    eval_batch_size: 60,
    max_length: 64,
    learning_rate: 2e-3,
    warmup_steps: 5,
    lora_r: 16,
    lora_alpha: 32,
    logging_steps: 5,
    num_generation_samples: 5,
    exact_match: true,
    overwrite: true,
  };
}
