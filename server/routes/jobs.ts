/**
 * `/v1/fine_tuning/jobs`: what is trained, how it goes, and how it is stopped and continued.
 *
 * @module
 */
import { Hono } from "hono";
import * as z from "zod/mini";
import { ConfigError } from "../../src/errors.ts";
import type { JobStatus } from "../../src/job.ts";
import { FINAL_STATUSES } from "../../src/job_tracker.ts";
import type { CheckpointStore } from "../checkpoint_store.ts";
import type { Database } from "../database.ts";
import type { ServerEnv } from "../env.ts";
import { ApiError, badRequest, notFound } from "../errors.ts";
import type { EventStore } from "../event_store.ts";
import { EventFeed } from "../event_stream.ts";
import type { FileStore } from "../file_store.ts";
import type { IdempotencyKeys } from "../idempotency.ts";
import { ID_PATTERNS, newId } from "../ids.ts";
import { optionsFrom } from "../job_options.ts";
import type { JobControl } from "../job_runner.ts";
import { type JobStore, type NewJob, type StoredJob, UNFINISHED } from "../job_store.ts";
import {
  checkpointListSchema,
  checkpointToWire,
  documentedNewJob,
  eventListSchema,
  eventSeq,
  eventToWire,
  jobListSchema,
  jobSchema,
  jobToWire,
  modelNameOf,
  newJobSchema,
} from "../job_wire.ts";
import { callerKey, requires } from "../middleware/authentication.ts";
import type { ModelCatalog } from "../model_catalog.ts";
import { jsonBody, operation, pageQuery, query } from "../operations.ts";
import { pageToWire } from "../pages.ts";
import { type EventResponses, wantsEvents } from "../server_sent_events.ts";

/** What these routes need. */
export interface JobRouteDeps {
  readonly database: Database;
  readonly jobs: JobStore;
  readonly events: EventStore;
  readonly checkpoints: CheckpointStore;
  readonly files: FileStore;
  readonly models: ModelCatalog;
  readonly idempotency: IdempotencyKeys;
  readonly runner: JobControl;
  readonly settings: {
    readonly maxQueuedJobs: number;
    readonly heartbeatMs: number;
  };
  /** Shared by all that tells events. */
  readonly streams: EventResponses;
  readonly now: () => number;
}

const jobListQuery = z.object(pageQuery(20, 100, ID_PATTERNS.job));
const eventListQuery = z.object(pageQuery(20, 1000, ID_PATTERNS.event));
const checkpointListQuery = z.object(pageQuery(10, 100, ID_PATTERNS.checkpoint));

/** The number of an event, its id, or nothing: what clients send again of a stream. */
const LAST_EVENT_ID = /^((ftevent-[A-Za-z0-9]{24}-)?[0-9]{1,15})?$/;

/** What a job may be asked to do: from which states, to which, and what is told of it. */
const MOVES = {
  cancel: {
    from: UNFINISHED,
    to: "cancelled",
    message: "Fine-tuning job cancelled",
    summary: "Cancel a job for good",
  },
  pause: {
    from: ["queued", "validating", "running"],
    to: "paused",
    message: "Fine-tuning job paused",
    summary: "Pause a job: it saves a checkpoint and frees its GPU",
  },
  resume: {
    from: ["paused"],
    to: "queued",
    message: "Fine-tuning job resumed: it is queued to go on from its last checkpoint",
    summary: "Put a paused job in line again",
  },
} as const satisfies Record<string, {
  from: readonly JobStatus[];
  to: JobStatus;
  message: string;
  summary: string;
}>;

export function jobRoutes(deps: JobRouteDeps): Hono<ServerEnv> {
  const { database, jobs, events, checkpoints, files, models, idempotency, runner, settings, streams, now } =
    deps;
  const app = new Hono<ServerEnv>();
  const feed = new EventFeed(events);

  const jobOf = (id: string): StoredJob => {
    const job = jobs.get(id);
    if (!job) throw notFound("job", id);
    return job;
  };

  app.post(
    "/",
    operation({
      id: "createFineTuningJob",
      tag: "Fine-tuning",
      summary: "Create a job",
      description:
        "Hyperparameters beside OpenAI's three are the options of `lowrank train` by their names in files; " +
        "in `metadata` they are given as `lowrank.NAME`.",
      scope: "jobs:write",
      ok: { description: "The job, in line", schema: jobSchema },
      refusals: [400, 404, 413, 422],
      parameters: [{
        name: "Idempotency-Key",
        in: "header",
        description: "The same key and body make one job, for 24 hours",
        schema: { type: "string", minLength: 1, maxLength: 255, pattern: "^[!-~]+$" },
      }],
    }),
    requires("jobs:write"),
    jsonBody(newJobSchema, documentedNewJob),
    async (c) => {
      const request = c.req.valid("json"), caller = c.var.caller!.tokenId;
      const job = await newJob(request, caller);
      const key = c.req.header("idempotency-key");
      const id = key === undefined
        ? create(job, request.paused)
        : idempotency.once({ caller, key, request }, () => create(job, request.paused));
      runner.nudge();
      return c.json(jobToWire(jobOf(id), now()));
    },
  );

  async function newJob(request: z.output<typeof newJobSchema>, createdBy: string | null): Promise<NewJob> {
    const { method, integrations, training_file: trainingFile, validation_file: validationFile = null } =
      request;
    if (method && method.type !== "supervised") {
      const message = `The method '${method.type}' is not supported: this server trains with 'supervised'.`;
      throw badRequest(message, "method.type", "unsupported_method");
    }
    if (integrations && integrations.length > 0) {
      throw badRequest(
        "Integrations are not supported: follow the job's events.",
        "integrations",
        "unsupported",
      );
    }
    if (!await models.find(request.model)) throw notFound("model", request.model);
    for (
      const [param, id] of [["training_file", trainingFile], ["validation_file", validationFile]] as const
    ) {
      if (id === null) continue;
      const file = files.get(id);
      if (!file) throw notFound("file", id, param);
      if (file.purpose !== "fine-tune") {
        const message = `The file ${id} was not uploaded with the purpose fine-tune.`;
        throw badRequest(message, param, `invalid_${param}`);
      }
    }
    const metadata = request.metadata ?? null;
    const hyperparameters = method?.supervised?.hyperparameters ?? request.hyperparameters ?? {};
    return {
      id: newId("ftjob-"),
      model: request.model,
      trainingFile,
      validationFile,
      suffix: request.suffix ?? null,
      seed: request.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1,
      metadata,
      method: { type: "supervised", hyperparameters },
      options: checkedOptions(hyperparameters, metadata),
      createdBy,
    };
  }

  function create(job: NewJob, isPaused = false): string {
    if ((jobs.counts().queued ?? 0) >= settings.maxQueuedJobs) {
      const message = `${settings.maxQueuedJobs} jobs wait already. Try again later.`;
      throw new ApiError(429, message, { code: "queue_full", retryAfter: 60 });
    }
    return database.transaction(() => {
      const { id } = jobs.create(job, isPaused ? "paused" : "queued");
      events.append(id, { message: `Created fine-tuning job: ${id}` });
      return id;
    });
  }

  app.get(
    "/",
    operation({
      id: "listFineTuningJobs",
      tag: "Fine-tuning",
      summary: "List jobs",
      scope: "jobs:read",
      ok: { description: "Jobs, the latest first", schema: jobListSchema },
      refusals: [400, 404],
      parameters: [{
        name: "metadata",
        in: "query",
        description:
          "Metadata that a job has to have, `metadata[k]=v`, compared as text, or `metadata=null` for none",
        style: "deepObject",
        explode: true,
        schema: { type: "object", maxProperties: 16, additionalProperties: true },
      }],
    }),
    requires("jobs:read"),
    query(jobListQuery),
    (c) => {
      const { limit, after = null } = c.req.valid("query"), metadata = metadataFilter(c.req.query());
      const page = jobs.list({ limit, after, ...(metadata === undefined ? {} : { metadata }) });
      if (!page) throw notFound("job", after!, "after");
      return c.json(pageToWire(page.entries.map((job) => jobToWire(job, now())), page.hasMore));
    },
  );

  app.get(
    "/:id",
    operation({
      id: "retrieveFineTuningJob",
      tag: "Fine-tuning",
      summary: "Look at a job",
      scope: "jobs:read",
      ok: { description: "The job", schema: jobSchema },
      refusals: [404],
    }),
    requires("jobs:read"),
    (c) => c.json(jobToWire(jobOf(c.req.param("id")), now())),
  );

  for (const [verb, { from, to, message, summary }] of Object.entries(MOVES)) {
    app.post(
      `/:id/${verb}`,
      operation({
        id: `${verb}FineTuningJob`,
        tag: "Fine-tuning",
        summary,
        scope: "jobs:write",
        ok: { description: "The job as it stands now", schema: jobSchema },
        refusals: [400, 404],
      }),
      requires("jobs:write"),
      (c) => {
        const { id } = jobOf(c.req.param("id")), at = now();
        const changes = {
          etaSeconds: null,
          notBefore: 0,
          ...(to === "queued" ? { queuedAt: at, crashes: 0 } : {}),
          ...(to === "cancelled" ? { finishedAt: at } : {}),
        };
        const moved = database.transaction(() => {
          const job = jobs.move(id, from, to, changes);
          if (job) events.append(id, { message });
          return job;
        });
        if (!moved) {
          const { status } = jobToWire(jobOf(id), at);
          throw badRequest(`Cannot ${verb} a job that is ${status}.`, "fine_tune_id", "invalid_status");
        }
        runner.nudge();
        return c.json(jobToWire(moved, at));
      },
    );
  }

  app.get(
    "/:id/events",
    operation({
      id: "listFineTuningEvents",
      tag: "Fine-tuning",
      summary: "List a job's events, or follow them",
      description:
        "With `Accept: text/event-stream` events come as they happen, the earliest first, with ids that rise " +
        "by one; `Last-Event-ID` goes on after one. `done` ends the stream of a job that is over.",
      scope: "jobs:read",
      ok: {
        description: "Events, the latest first",
        schema: eventListSchema,
      },
      refusals: [400, 404],
      parameters: [{
        name: "Last-Event-ID",
        in: "header",
        description: "Of a stream: the last event that the client has",
        schema: { type: "string", pattern: LAST_EVENT_ID.source },
      }],
    }),
    requires("jobs:read"),
    query(eventListQuery),
    (c) => {
      const { id } = jobOf(c.req.param("id")), { limit, after } = c.req.valid("query");
      const lastEventId = c.req.header("last-event-id") ?? "";
      if (!LAST_EVENT_ID.test(lastEventId)) {
        throw badRequest("'Last-Event-ID' is not the id of an event.", "Last-Event-ID", "invalid_value");
      }
      if (wantsEvents(c.req.header("accept"))) return followed(callerKey(c), id, lastEventId);
      const before = after === undefined ? null : eventSeq(id, after);
      if (after !== undefined && before === null) throw notFound("event", after);
      const page = events.list(id, before, limit);
      return c.json(pageToWire(page.entries.map(eventToWire), page.hasMore));
    },
  );

  function followed(caller: string, jobId: string, lastEventId: string): Response {
    const after = lastEventId === "" ? 0 : eventSeq(jobId, lastEventId);
    if (after === null) throw notFound("event", lastEventId, "Last-Event-ID");
    return streams.answer(caller, (onEnd) =>
      feed.stream({
        jobId,
        after,
        heartbeatMs: settings.heartbeatMs,
        isOver: () => FINAL_STATUSES.includes(jobs.statusOf(jobId) ?? "failed"),
        onEnd,
      }));
  }

  app.get(
    "/:id/checkpoints",
    operation({
      id: "listFineTuningCheckpoints",
      tag: "Fine-tuning",
      summary: "List a job's checkpoints that are on the disk",
      scope: "jobs:read",
      ok: { description: "Checkpoints, the latest first", schema: checkpointListSchema },
      refusals: [400, 404],
    }),
    requires("jobs:read"),
    query(checkpointListQuery),
    (c) => {
      const job = jobOf(c.req.param("id")), { limit, after = null } = c.req.valid("query");
      const page = checkpoints.list(job.id, after, limit);
      if (!page) throw notFound("checkpoint", after!);
      const entries = page.entries.map((checkpoint) => checkpointToWire(checkpoint, modelNameOf(job)));
      return c.json(pageToWire(entries, page.hasMore, true));
    },
  );

  return app;
}

/** @throws {ApiError} 400 with everything that is wrong with the options. */
function checkedOptions(
  hyperparameters: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, string>> | null,
): Record<string, unknown> {
  try {
    return optionsFrom(hyperparameters, metadata);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const text = error.issues.map(({ path, message }) => `'${path}' ${message}`).join("\n");
    throw badRequest(`Invalid hyperparameters: ${text}`, error.issues[0]!.path, "invalid_hyperparameters");
  }
}

/** `metadata[k]=v` of a query; null for `metadata=null`, undefined where it says nothing of metadata. */
function metadataFilter(given: Readonly<Record<string, string>>): Record<string, string> | null | undefined {
  const wanted = Object.entries(given).flatMap(([name, value]): [string, string][] => {
    const key = /^metadata\[(.*)\]$/s.exec(name)?.[1];
    return key === undefined ? [] : [[key, value]];
  });
  if (wanted.length > 16) {
    throw badRequest("At most 16 metadata may be asked for.", "metadata", "invalid_value");
  }
  if (wanted.length > 0) return Object.fromEntries(wanted);
  if (given.metadata === undefined) return undefined;
  if (given.metadata === "null") return null;
  throw badRequest("'metadata' must be null, or given as metadata[k]=v.", "metadata", "invalid_value");
}
