/**
 * Every option of a fine-tuning job, declared once: type, bounds, default, help text, section of the help, aliases.
 * Keys are wire names: what files, REST bodies and (in kebab-case) flags say. Flags, `--help`, environment,
 * file loading, JSON Schema and forms are derived from here. Each group has a file of its own in `declarations/`.
 *
 * Names follow PEFT, TRL and transformers 5 where they have the option.
 *
 * @module
 */

import { jobSchema } from "./declarations/job.ts";
import { loraSchema } from "./declarations/lora.ts";
import { quantizationSchema } from "./declarations/quantization.ts";
import { trainingSchema } from "./declarations/training.ts";

export { jobSchema, loraSchema, quantizationSchema, trainingSchema };

/** The four groups of a job's configuration, by the name under which TypeScript sees them. */
export const groupSchemas = {
  job: jobSchema,
  lora: loraSchema,
  quantization: quantizationSchema,
  training: trainingSchema,
};
/** Name of a group. */
export type GroupName = keyof typeof groupSchemas;
