/**
 * Jobs, events and checkpoints in OpenAI's shapes.
 *
 * @module
 */
import * as z from "zod/mini";
import type { JobStatus } from "../src/job.ts";
import type { StoredCheckpoint } from "./checkpoint_store.ts";
import type { JobEvent } from "./event_store.ts";
import { DEFAULT_LEARNING_RATE, optionSchemas, trainingOf } from "./job_options.ts";
import type { StoredJob } from "./job_store.ts";
import type { JsonSchema } from "./operations.ts";

/** OpenAI's words for states. */
const STATUS: Readonly<Record<JobStatus, (typeof STATUSES)[number]>> = {
  queued: "queued",
  validating: "validating_files",
  running: "running",
  paused: "paused",
  completed: "succeeded",
  failed: "failed",
  cancelled: "cancelled",
};
const STATUSES = [
  "queued",
  "validating_files",
  "running",
  "paused",
  "succeeded",
  "failed",
  "cancelled",
] as const;

const hyperparametersSchema = z.record(z.string(), z.any());

/** A job. */
export const jobSchema = z.object({
  id: z.string(),
  object: z.literal("fine_tuning.job"),
  model: z.string(),
  created_at: z.int(),
  finished_at: z.nullable(z.int()),
  fine_tuned_model: z.nullable(z.string()),
  organization_id: z.string(),
  result_files: z.array(z.string()),
  status: z.enum(STATUSES),
  validation_file: z.nullable(z.string()),
  training_file: z.string(),
  trained_tokens: z.nullable(z.int()),
  seed: z.int(),
  estimated_finish: z.nullable(z.int()),
  integrations: z.array(z.any()),
  hyperparameters: hyperparametersSchema,
  method: z.object({
    type: z.literal("supervised"),
    supervised: z.object({ hyperparameters: hyperparametersSchema }),
  }),
  metadata: z.nullable(z.record(z.string(), z.string())),
  error: z.nullable(z.object({ code: z.string(), message: z.string(), param: z.nullable(z.string()) })),
  user_provided_suffix: z.nullable(z.string()),
  usage_metrics: z.null(),
  shared_with_openai: z.boolean(),
});

export const jobListSchema = z.object({
  object: z.literal("list"),
  data: z.array(jobSchema),
  has_more: z.boolean(),
});

/** An event. */
export const eventSchema = z.object({
  object: z.literal("fine_tuning.job.event"),
  id: z.string(),
  created_at: z.int(),
  level: z.enum(["info", "warn", "error"]),
  message: z.string(),
  data: z.nullable(z.record(z.string(), z.any())),
  type: z.enum(["message", "metrics"]),
});

export const eventListSchema = z.object({
  object: z.literal("list"),
  data: z.array(eventSchema),
  has_more: z.boolean(),
});

/** A checkpoint. */
export const checkpointSchema = z.object({
  object: z.literal("fine_tuning.job.checkpoint"),
  id: z.string(),
  created_at: z.int(),
  fine_tuned_model_checkpoint: z.string(),
  fine_tuning_job_id: z.string(),
  metrics: z.record(z.string(), z.number()),
  step_number: z.int(),
});

export const checkpointListSchema = z.object({
  object: z.literal("list"),
  data: z.array(checkpointSchema),
  has_more: z.boolean(),
  first_id: z.nullable(z.string()),
  last_id: z.nullable(z.string()),
});

const seconds = (ms: number) => Math.floor(ms / 1000);
const secondsOrNull = (ms: number | null) => ms === null ? null : seconds(ms);

/** Of jobs and models; there are no organisations here. */
export const ORGANIZATION = "lowrank";

/** @param now Milliseconds since 1970. */
export function jobToWire(job: StoredJob, now: number): z.output<typeof jobSchema> {
  const hyperparameters = shownHyperparameters(job);
  const isRunning = job.status === "running" && job.etaSeconds !== null;
  return {
    id: job.id,
    object: "fine_tuning.job",
    model: job.model,
    created_at: seconds(job.createdAt),
    finished_at: secondsOrNull(job.finishedAt),
    fine_tuned_model: job.fineTunedModel,
    organization_id: ORGANIZATION,
    result_files: [...job.resultFiles],
    status: STATUS[job.status],
    validation_file: job.validationFile,
    training_file: job.trainingFile,
    trained_tokens: job.trainedTokens,
    seed: job.seed,
    estimated_finish: isRunning ? seconds(now + job.etaSeconds! * 1000) : null,
    integrations: [],
    hyperparameters,
    method: { type: "supervised", supervised: { hyperparameters } },
    metadata: job.metadata,
    error: job.error,
    user_provided_suffix: job.suffix,
    usage_metrics: null,
    shared_with_openai: false,
  };
}

/** As they were sent; once the job runs, `auto` gives way to what was chosen. */
function shownHyperparameters({ method, options, startedAt }: StoredJob): Record<string, unknown> {
  const { n_epochs = "auto", batch_size = "auto", learning_rate_multiplier = "auto", ...others } =
    method.hyperparameters;
  const sent = { n_epochs, batch_size, learning_rate_multiplier, ...others };
  if (startedAt === null) return sent;
  const training = trainingOf(options);
  const chosen: Record<string, unknown> = {
    n_epochs: training.numTrainEpochs,
    batch_size: training.batchSize,
    learning_rate_multiplier: training.learningRate / DEFAULT_LEARNING_RATE,
  };
  return Object.fromEntries(
    Object.entries(sent).map(([name, value]) => [name, value === "auto" ? chosen[name] ?? value : value]),
  );
}

/** The id of an event tells its job and number: a page or stream goes on after it without a search. */
export function eventId({ jobId, seq }: Pick<JobEvent, "jobId" | "seq">): string {
  return `ftevent-${jobId.slice("ftjob-".length)}-${seq}`;
}

/** The number of an event of a job by its id, or by the number itself; null if it is of no event of this job. */
export function eventSeq(jobId: string, id: string): number | null {
  const [, number] = new RegExp(`^(?:ftevent-${jobId.slice("ftjob-".length)}-)?(\\d{1,15})$`).exec(id) ?? [];
  return number === undefined ? null : Number(number);
}

export function eventToWire(event: JobEvent): z.output<typeof eventSchema> {
  const { createdAt, level, message, data, type } = event;
  const created_at = seconds(createdAt);
  return { object: "fine_tuning.job.event", id: eventId(event), created_at, level, message, data, type };
}

export function checkpointToWire(
  { id, jobId, step, createdAt, metrics }: StoredCheckpoint,
  modelName: string,
): z.output<typeof checkpointSchema> {
  return {
    object: "fine_tuning.job.checkpoint",
    id,
    created_at: seconds(createdAt),
    fine_tuned_model_checkpoint: `${modelName}:ckpt-step-${step}`,
    fine_tuning_job_id: jobId,
    metrics,
    step_number: step,
  };
}

/** `ft:BASE:ORGANIZATION:SUFFIX:ID`, OpenAI's form; the last part makes it the only one of its name. */
export function modelNameOf({ id, model, suffix }: Pick<StoredJob, "id" | "model" | "suffix">): string {
  const base = /^ft:([^:]+):/.exec(model)?.[1] ?? model;
  return `ft:${base}:${ORGANIZATION}:${suffix ?? ""}:${id.slice(-8)}`;
}

/** Facts that a client keeps with a job, at most. */
const MOST_METADATA = 16;

/** What a request to create a job may say; unknown fields are let pass, as OpenAI adds some now and then. */
export const newJobSchema = z.looseObject({
  model: z.string().check(z.minLength(1), z.maxLength(256)),
  training_file: z.string().check(z.minLength(1), z.maxLength(100)),
  validation_file: z.optional(z.nullable(z.string().check(z.minLength(1), z.maxLength(100)))),
  suffix: z.optional(z.nullable(
    z.string().check(
      z.minLength(1),
      z.maxLength(64),
      z.regex(/^[A-Za-z0-9 ._-]+$/, "must be letters, digits, spaces, '.', '_' or '-'"),
    ),
  )),
  seed: z.optional(z.nullable(z.int().check(z.gte(0), z.lte(2_147_483_647)))),
  metadata: z.optional(z.nullable(
    z.record(z.string().check(z.maxLength(64)), z.string().check(z.maxLength(512))).check(
      z.refine(
        (entries) => Object.keys(entries).length <= MOST_METADATA,
        `must have at most ${MOST_METADATA} entries`,
      ),
    ),
  )),
  method: z.optional(z.nullable(z.looseObject({
    type: z.enum(["supervised", "dpo", "reinforcement"]),
    supervised: z.optional(z.nullable(z.looseObject({
      hyperparameters: z.optional(z.nullable(hyperparametersSchema)),
    }))),
  }))),
  hyperparameters: z.optional(z.nullable(hyperparametersSchema)),
  integrations: z.optional(z.nullable(z.array(z.any()))),
  /** Beyond OpenAI's: the job waits to be resumed, for instance for the checkpoint of a run elsewhere. */
  paused: z.optional(z.boolean()),
});

/** That as the OpenAPI document has it: with every hyperparameter, and without what is refused. */
export function documentedNewJob(checked: JsonSchema): JsonSchema {
  const auto = { const: "auto" };
  const hyperparameters = {
    type: "object",
    properties: {
      ...optionSchemas(),
      n_epochs: { anyOf: [auto, { type: "number", exclusiveMinimum: 0, maximum: 10_000 }], default: "auto" },
      batch_size: { anyOf: [auto, { type: "integer", minimum: 1, maximum: 65_535 }], default: "auto" },
      learning_rate_multiplier: {
        anyOf: [auto, { type: "number", exclusiveMinimum: 0, maximum: 10_000 }],
        default: "auto",
      },
    },
    additionalProperties: false,
  };
  const supervised = { type: "object", properties: { hyperparameters } };
  const { properties: declared } = checked as { properties: Record<string, { anyOf: JsonSchema[] }> };
  const [metadata, none] = declared.metadata!.anyOf;
  const properties = {
    ...declared,
    metadata: { anyOf: [{ ...metadata, maxProperties: MOST_METADATA }, none] },
    hyperparameters: { anyOf: [hyperparameters, { type: "null" }], deprecated: true },
    method: {
      anyOf: [
        { type: "object", required: ["type"], properties: { type: { const: "supervised" }, supervised } },
        { type: "null" },
      ],
    },
    integrations: { anyOf: [{ type: "array", maxItems: 0 }, { type: "null" }] },
  };
  return { ...checked, properties };
}
