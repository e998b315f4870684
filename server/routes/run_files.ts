/**
 * `/api/runs`: what a run may go on from, so that one that was begun in a page goes on here, and the other way round.
 *
 * @module
 */
import { Hono } from "hono";
import * as z from "zod/mini";
import { RUN_FILE, type RunRecord } from "../../src/run_files.ts";
import { readText } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import type { ServerEnv } from "../env.ts";
import { ApiError, notFound } from "../errors.ts";
import { type JobControl, runFolder } from "../job_runner.ts";
import type { JobStore, StoredJob } from "../job_store.ts";
import { requires } from "../middleware/authentication.ts";
import { tooLarge } from "../multipart.ts";
import { operation } from "../operations.ts";
import { piecesInTime } from "../request_body.ts";
import { withoutPaths } from "../training_events.ts";

/** What these routes need. */
export interface RunFileRouteDeps {
  readonly jobs: JobStore;
  readonly runner: JobControl;
  /** Holds a folder for each job, absolute. */
  readonly runsFolder: string;
  readonly settings: { readonly maxFileBytes: number; readonly bodyIdleMs: number };
}

/** Checkpoints, and what was measured and answered. None of these tells where the server keeps its files. */
const TAKEN = /^(checkpoint-\d{1,9}\/[A-Za-z0-9][\w.-]{0,99}|metrics\.jsonl|samples\.json)$/;
/** And, of a run that is over, its adapter. */
const GIVEN = /^((checkpoint-\d{1,9}|adapter)\/[A-Za-z0-9][\w.-]{0,99}|metrics\.jsonl|samples\.json)$/;

const listSchema = z.object({
  object: z.literal("list"),
  data: z.array(z.object({ path: z.string(), bytes: z.int() })),
});

const runSchema = z.object({
  object: z.literal("run"),
  id: z.string(),
  options: z.record(z.string(), z.any()),
  record: z.nullable(z.record(z.string(), z.any())),
});

const fileSchema = z.object({ path: z.string(), bytes: z.int() });

export function runFileRoutes({ jobs, runner, runsFolder, settings }: RunFileRouteDeps): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();

  /** A job whose files nobody is writing. */
  const restingJob = (id: string): StoredJob => {
    const job = jobs.get(id);
    if (!job) throw notFound("job", id);
    if (!runner.isBusy(id)) return job;
    throw new ApiError(409, "The job has a process: pause it first, and wait until it has saved.", {
      code: "job_is_busy",
      retryAfter: 1,
    });
  };

  app.get(
    "/:id",
    operation({
      id: "retrieveRun",
      tag: "Run files",
      summary: "Look at the run of a job: its options, and its record as run.json has it",
      description:
        "Options by their names in configuration files, without those that name places here. The " +
        "record is null before the run began; models and data have the names in it that clients know.",
      scope: "jobs:read",
      isProblem: true,
      ok: { description: "The run", schema: runSchema },
      refusals: [404],
    }),
    requires("jobs:read"),
    async (c) => {
      const job = jobs.get(c.req.param("id"));
      if (!job) throw notFound("job", c.req.param("id"));
      const options = { ...job.options, seed: job.seed };
      const record = await recordOf(new LocalFolder(runFolder(runsFolder, job.id)), job.model, options);
      return c.json({ object: "run" as const, id: job.id, options, record });
    },
  );

  app.get(
    "/:id/files",
    operation({
      id: "listRunFiles",
      tag: "Run files",
      summary: "List the checkpoints of a job that rests, with its metrics and adapter",
      scope: "jobs:read",
      isProblem: true,
      ok: { description: "Files by their paths", schema: listSchema },
      refusals: [404, 409],
    }),
    requires("jobs:read"),
    async (c) => {
      const run = new LocalFolder(runFolder(runsFolder, restingJob(c.req.param("id")).id));
      const data: z.output<typeof fileSchema>[] = [];
      for (const folder of ["", ...await run.folders()]) {
        const within = folder === "" ? run : run.folder(folder);
        for (const name of await within.list()) {
          const path = folder === "" ? name : `${folder}/${name}`;
          if (!GIVEN.test(path)) continue;
          const file = await within.open(name);
          data.push({ path, bytes: file.size });
          await file.close();
        }
      }
      return c.json({ object: "list" as const, data });
    },
  );

  app.get(
    "/:id/files/:path{.+}",
    operation({
      id: "readRunFile",
      tag: "Run files",
      summary: "Read a file of a job that rests",
      scope: "jobs:read",
      isProblem: true,
      ok: { description: "Its bytes", content: { "application/octet-stream": {} } },
      refusals: [404, 409],
    }),
    requires("jobs:read"),
    async (c) => {
      const { id } = restingJob(c.req.param("id")), path = c.req.param("path");
      const found = GIVEN.test(path)
        ? await Deno.open(`${runFolder(runsFolder, id)}/${path}`).catch(() => null)
        : null;
      if (!found) throw new ApiError(404, "The run has no such file.", { code: "file_not_found" });
      const { size } = await found.stat();
      const headers = { "content-type": "application/octet-stream", "content-length": String(size) };
      return new Response(found.readable, { headers });
    },
  );

  app.put(
    "/:id/files/:path{.+}",
    operation({
      id: "writeRunFile",
      tag: "Run files",
      summary: "Give a paused job a file to go on from",
      description: "A file of a checkpoint as a run elsewhere wrote it, metrics.jsonl or samples.json. " +
        "What is not whole when the job is resumed is not gone on from.",
      scope: "jobs:write",
      isProblem: true,
      ok: { description: "The file", schema: fileSchema },
      refusals: [400, 404, 408, 409, 413],
    }),
    requires("jobs:write"),
    async (c) => {
      const { id, status } = restingJob(c.req.param("id")), path = c.req.param("path");
      if (status !== "paused") {
        throw new ApiError(409, "Only a paused job takes files.", { code: "not_paused" });
      }
      if (!TAKEN.test(path)) {
        throw new ApiError(400, "The path must be checkpoint-N/NAME, metrics.jsonl or samples.json.", {
          code: "invalid_path",
        });
      }
      const bytes = await keep(runFolder(runsFolder, id), path, c.req.raw.body, settings);
      return c.json({ path, bytes });
    },
  );

  return app;
}

/** A run's record without the paths of this machine; null where there is none yet. */
async function recordOf(
  run: LocalFolder,
  model: string,
  config: RunRecord["config"],
): Promise<Record<string, unknown> | null> {
  if (!await run.exists(RUN_FILE).catch(() => false)) return null;
  const record: RunRecord = JSON.parse(await readText(run, RUN_FILE));
  const data = record.data.map((one) => ({ ...one, file: one.file.slice(one.file.lastIndexOf("/") + 1) }));
  const error = record.error === null ? null : withoutPaths(record.error);
  return { ...record, config, data, error, base_model: { ...record.base_model, path: model } };
}

/** Writes a body under a name that appears when all of it has come. */
async function keep(
  run: string,
  path: string,
  body: ReadableStream<Uint8Array> | null,
  { maxFileBytes, bodyIdleMs: idleMs }: RunFileRouteDeps["settings"],
): Promise<number> {
  const parts = path.split("/"), name = parts.pop()!;
  const folder = parts.reduce((outer, part) => outer.folder(part), new LocalFolder(run));
  const writer = await folder.create(name);
  let bytes = 0;
  try {
    for await (const piece of piecesInTime(body, { idleMs })) {
      bytes += piece.length;
      if (bytes > maxFileBytes) throw tooLarge(maxFileBytes);
      await writer.write(piece);
    }
    await writer.commit();
  } finally {
    await writer.abort();
  }
  return bytes;
}
