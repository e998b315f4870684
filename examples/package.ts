/**
 * As a package: a job from its options to its files, with every event at hand.
 *
 *     deno run -A examples/package.ts
 *
 * @module
 */
import { createFineTuneJob, parseFineTuneJobConfig } from "lowrank";
import { LocalFolder } from "lowrank/storage/local";

const config = parseFineTuneJobConfig({
  base_model: "examples/tiny/model",
  training_data_path: "examples/tiny/signals.jsonl",
  output_model_name: "by-package",
  max_steps: 2,
  logging_steps: 1,
  save: "adapter",
});
const job = createFineTuneJob(config, { files: (uri) => new LocalFolder(uri) });
for await (const event of job.run()) {
  if (event.type === "step") console.log(`step ${event.step}: loss ${event.loss.toFixed(3)}`);
  if (event.type === "saved") console.log(`${event.what}: ${event.path}`);
}
