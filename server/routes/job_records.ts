/**
 * `/api/jobs`: records of jobs wherever they run, in Firestore or in a SQLite file: read, watched, and written by runs in a
 * browser.
 *
 * @module
 */
import { Hono } from "hono";
import * as z from "zod/mini";
import { FINAL_STATUSES, type JobRecord, type WatchableJobRecords } from "../../src/job_tracker.ts";
import { redactedData } from "../../src/redact.ts";
import type { ServerEnv } from "../env.ts";
import { ApiError, badRequest } from "../errors.ts";
import { callerKey, requires } from "../middleware/authentication.ts";
import { jsonBody, type JsonSchema, operation, query } from "../operations.ts";
import { RecordWatches } from "../record_watches.ts";
import { type EventResponses, wantsEvents } from "../server_sent_events.ts";

/** What these routes need. */
export interface JobRecordRouteDeps {
  /** Null where the server keeps no records. */
  readonly records: WatchableJobRecords | null;
  readonly settings: { readonly heartbeatMs: number };
  /** Shared by all that tells events. */
  readonly streams: EventResponses;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const STATUSES = ["queued", "validating", "running", "paused", "completed", "failed", "cancelled"] as const;

/** Facts about a job that one record holds, at most. */
const MOST_METADATA = 64;

/** Longer than this a store is not waited for. */
const PATIENCE_MS = 30_000;

/** Ids that begin so are of this server's own jobs. */
const OWN = /^ftjob-/;

/** Firestore keeps names between double underscores to itself. */
const JOB_ID = /^(?!__.*__$)[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const KEY = /^(?!__.*__$)[A-Za-z_][\w.-]{0,99}$/;

const metadataValueSchema = z.union([z.string().check(z.maxLength(2000)), z.number(), z.boolean(), z.null()]);

/** A record as clients see it; times are milliseconds since 1970. */
const recordSchema = z.object({
  object: z.literal("job.record"),
  job_id: z.string(),
  status: z.enum(STATUSES),
  progress: z.number(),
  error: z.nullable(z.string()),
  metadata: z.record(z.string(), metadataValueSchema),
  created_at: z.int(),
  updated_at: z.int(),
  started_at: z.nullable(z.int()),
  completed_at: z.nullable(z.int()),
  heartbeat_at: z.int(),
});

const listSchema = z.object({
  object: z.literal("list"),
  data: z.array(recordSchema),
  next_page_token: z.nullable(z.string()),
});

const listQuery = z.object({
  limit: z._default(z.coerce.number().check(z.int(), z.gte(1), z.lte(100)), 20),
  page_token: z.optional(z.string().check(z.regex(/^\d{1,15}_.{1,200}$/))),
});

const updateSchema = z.strictObject({
  status: z.optional(z.enum(STATUSES)),
  progress: z.optional(z.number().check(z.gte(0), z.lte(1))),
  error: z.optional(z.nullable(z.string().check(z.maxLength(10_000)))),
  metadata: z.optional(z.record(
    z.string().check(
      z.regex(KEY, "names of metadata are 1 to 100 letters, digits, '.', '_' and '-', a letter or '_' first"),
    ),
    metadataValueSchema,
  )),
});

/** That as the OpenAPI document has it. */
function documentedUpdate(checked: JsonSchema): JsonSchema {
  const { properties } = checked as { properties: { metadata: JsonSchema } };
  const metadata = { ...properties.metadata, maxProperties: MOST_METADATA };
  return { ...checked, properties: { ...properties, metadata } };
}

const ID_PARAMETER = {
  name: "id",
  in: "path" as const,
  required: true,
  description: "The job's",
  schema: { type: "string" as const, pattern: JOB_ID.source },
};

function recordToWire(record: JobRecord): z.output<typeof recordSchema> {
  return {
    object: "job.record",
    job_id: record.jobId,
    status: record.status,
    progress: record.progress,
    error: record.error,
    metadata: record.metadata,
    created_at: record.createdAt,
    updated_at: record.updatedAt,
    started_at: record.startedAt,
    completed_at: record.completedAt,
    heartbeat_at: record.heartbeatAt,
  };
}

export function jobRecordRoutes({ records, settings, streams, now }: JobRecordRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();
  const watches = records && new RecordWatches(records);

  const store = (): WatchableJobRecords => {
    if (records) return records;
    throw new ApiError(404, "This server keeps no job records.", { code: "no_records" });
  };

  async function recordOf(id: string): Promise<JobRecord> {
    const record = await answered(() => store().read(checkedId(id)));
    if (record) return record;
    throw new ApiError(404, "There is no record of such a job.", { code: "job_not_found" });
  }

  app.get(
    "/",
    operation({
      id: "listJobRecords",
      tag: "Job records",
      summary: "List job records",
      scope: "records:read",
      isProblem: true,
      ok: { description: "Records, the latest made first", schema: listSchema },
      refusals: [400, 404, 503],
    }),
    requires("records:read"),
    query(listQuery),
    async (c) => {
      const { limit, page_token: pageToken = null } = c.req.valid("query");
      const page = await answered(() => store().list({ limit, pageToken }));
      const data = page.records.map(recordToWire);
      return c.json({ object: "list" as const, data, next_page_token: page.nextPageToken });
    },
  );

  app.get(
    "/:id",
    operation({
      id: "retrieveJobRecord",
      tag: "Job records",
      summary: "Look at a job's record, or follow it",
      description:
        "With `Accept: text/event-stream`, events `record` tell it as it is and after each change; `done` ends the " +
        "stream of a job that is over.",
      scope: "records:read",
      isProblem: true,
      ok: { description: "The record", schema: recordSchema },
      refusals: [400, 404, 503],
      parameters: [ID_PARAMETER],
    }),
    requires("records:read"),
    async (c) => {
      const record = await recordOf(c.req.param("id"));
      return wantsEvents(c.req.header("accept"))
        ? followed(callerKey(c), record.jobId)
        : c.json(recordToWire(record));
    },
  );

  function followed(caller: string, jobId: string): Response {
    const { heartbeatMs } = settings;
    return streams.answer(
      caller,
      (onEnd) => watches!.stream(jobId, { heartbeatMs, toWire: recordToWire, onEnd }),
    );
  }

  app.patch(
    "/:id",
    operation({
      id: "updateJobRecord",
      tag: "Job records",
      summary: "Tell how a job stands",
      description:
        "Makes the record at the first update. Fields that are not sent stay; metadata are added to those there. " +
        "A job that failed or was cancelled may begin again; a completed one does not change.",
      scope: "records:write",
      isProblem: true,
      ok: { description: "The record as it is now", schema: recordSchema },
      refusals: [400, 403, 404, 409, 413, 503],
      parameters: [ID_PARAMETER],
    }),
    requires("records:write"),
    jsonBody(updateSchema, documentedUpdate),
    async (c) => {
      const id = checkedId(c.req.param("id")!), { status, progress, error, metadata } = c.req.valid("json");
      if (OWN.test(id)) {
        throw new ApiError(403, "Only this server tells of its own jobs.", { code: "record_not_yours" });
      }
      const before = await answered(() => store().read(id));
      if (before) refuseOver(before, status);
      refuseTooMany({ ...before?.metadata, ...metadata });
      const update = {
        at: now(),
        ...(status === undefined ? {} : { status }),
        ...(progress === undefined ? {} : { progress }),
        ...(error === undefined ? {} : { error }),
        ...(metadata === undefined ? {} : { metadata }),
      };
      await answered(() => store().write(id, redactedData(update)));
      return c.json(recordToWire(await recordOf(id)));
    },
  );

  return app;
}

function checkedId(id: string): string {
  if (JOB_ID.test(id)) return id;
  throw badRequest("The id of a job is 1 to 128 letters, digits, '.', '_' and '-'.", "id", "invalid_value");
}

function refuseOver({ status: before }: JobRecord, status: JobRecord["status"] | undefined): void {
  if (!FINAL_STATUSES.includes(before)) return;
  const beginsAgain = before !== "completed" && status !== undefined && !FINAL_STATUSES.includes(status);
  if (!beginsAgain) throw new ApiError(409, `The job is ${before}.`, { code: "job_is_over" });
}

function refuseTooMany(all: JobRecord["metadata"]): void {
  if (Object.keys(all).length <= MOST_METADATA) return;
  throw badRequest(`A record holds ${MOST_METADATA} metadata at most.`, "metadata", "invalid_value");
}

/** What a store answers, in time. @throws {ApiError} 503; its own message may hold paths. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  const tooLate = Promise.withResolvers<never>();
  const timer = setTimeout(() => tooLate.reject(new Error("no answer in time")), PATIENCE_MS);
  try {
    return await Promise.race([ask(), tooLate.promise]);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (error instanceof RangeError) throw badRequest("'page_token' is not one of a list.", "page_token");
    const details = { code: "store_unavailable", retryAfter: 5 };
    const refusal = new ApiError(503, "The store of job records does not answer.", details);
    refusal.cause = error; // for the log
    throw refusal;
  } finally {
    clearTimeout(timer);
  }
}
