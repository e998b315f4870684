/**
 * Puts the server together over a data folder.
 *
 *     DATA/lowrank.db       jobs, events, files, tokens
 *     DATA/files/           bytes of uploads
 *     DATA/incoming/        uploads on their way
 *     DATA/jobs/ID/run/     what a job's run leaves
 *     DATA/models/          base models, unless they are elsewhere
 *
 * @module
 */
import { type AccessEntry, type App, type AppDeps, createApp } from "./app.ts";
import { CheckpointStore } from "./checkpoint_store.ts";
import type { CheckData } from "./data_check.ts";
import type { Database } from "./database.ts";
import { EventStore } from "./event_store.ts";
import { FileStore } from "./file_store.ts";
import type { TextGenerator } from "./generation.ts";
import { GenerationQueue } from "./generation_queue.ts";
import { IdempotencyKeys } from "./idempotency.ts";
import { JobRecordMirror } from "./job_record_mirror.ts";
import { JobRunner, runFolder } from "./job_runner.ts";
import { JobStore } from "./job_store.ts";
import type { WatchableJobRecords } from "../src/job_tracker.ts";
import type { JobLauncher, Slot } from "./launchers/launcher.ts";
import { ProxyUploads } from "./proxy_uploads.ts";
import { type StorageArea, StorageAreas } from "./storage_areas.ts";
import { ModelCatalog } from "./model_catalog.ts";
import { ServerMetrics } from "./server_metrics.ts";
import type { ServerSettings } from "./settings.ts";
import { TokenStore } from "./token_store.ts";

/** The file of the database in a data folder. */
export const DATABASE_FILE = "lowrank.db";

/** What the server is made of. */
export interface ServerParts {
  readonly database: Database;
  /** The data folder, absolute. */
  readonly folder: string;
  /** Where base models are, absolute. */
  readonly modelsFolder: string;
  /** Base models elsewhere, by name. */
  readonly bundledModels: ReadonlyMap<string, string>;
  readonly launcher: JobLauncher;
  readonly slots: readonly Slot[];
  readonly generator: TextGenerator;
  readonly settings: ServerSettings;
  /** What the proxy offers of buckets; default nothing. */
  readonly areas?: readonly StorageArea[];
  /** Records of jobs wherever they run, to which those of this server are added; default none. */
  readonly records?: WatchableJobRecords;
  /** Gives the folder of the built page; null where none is served. */
  readonly page?: (() => Promise<string>) | null;
  readonly checkData: CheckData;
  readonly log: (entry: AccessEntry) => void;
  readonly logFailure: (message: string, error: unknown) => void;
  /** See `JobRunnerDeps`. */
  readonly mostCrashes?: number;
  readonly pauseMs?: number;
  /** See `JobRecordMirrorDeps.intervalMs`. */
  readonly recordIntervalMs?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** A server that answers and runs jobs. */
export interface Server {
  readonly app: App;
  readonly deps: AppDeps;
  readonly runner: JobRunner;
  /** Has jobs save checkpoints and end. The database stays open. */
  stop(): Promise<void>;
}

/** Between two looks for files whose time is over. */
const SWEEP_MS = 60_000;

/** Makes a server and has it take up the jobs that are there. */
export async function assemble(parts: ServerParts): Promise<Server> {
  const { database, folder, modelsFolder, bundledModels, launcher, slots, settings, log, logFailure } = parts;
  const now = parts.now ?? Date.now;
  const jobs = new JobStore(database, now), events = new EventStore(database, now);
  const checkpoints = new CheckpointStore(database, now);
  const files = new FileStore(database, folder, now), tokens = new TokenStore(database, now);
  const runs = `${folder}/jobs`;
  const models = new ModelCatalog(modelsFolder, bundledModels, jobs, (id) => runFolder(runs, id));
  await files.open();
  const { mostCrashes, pauseMs } = parts;
  const runner = new JobRunner({
    ...{
      database,
      jobs,
      events,
      checkpoints,
      files,
      models,
      launcher,
      slots,
      folder: runs,
      now,
      log: logFailure,
    },
    ...(mostCrashes === undefined ? {} : { mostCrashes }),
    ...(pauseMs === undefined ? {} : { pauseMs }),
  });
  const generations = new GenerationQueue(parts.generator, {
    mostRequests: settings.maxGenerations,
    idleMs: settings.generationIdleMs,
    logFailure,
  });
  const areas = new StorageAreas(parts.areas ?? []);
  const uploads = new ProxyUploads({ database, areas, idleMs: settings.bodyIdleMs, now });
  let isStopping = false;
  const deps: AppDeps = {
    ...{
      database,
      jobs,
      events,
      checkpoints,
      files,
      tokens,
      models,
      runner,
      generations,
      settings,
      log,
      now,
    },
    areas,
    uploads,
    records: parts.records ?? null,
    page: parts.page ?? null,
    runsFolder: runs,
    checkData: parts.checkData,
    idempotency: new IdempotencyKeys(database, now),
    metrics: new ServerMetrics(jobs),
    notReady: () => isStopping ? "The server is stopping." : null,
  };
  const sweep = setInterval(() => {
    files.removeExpired().catch((error) => logFailure("removing expired files", error));
    uploads.forgetOld().catch((error) => logFailure("forgetting unfinished uploads", error));
  }, SWEEP_MS);
  const app = createApp(deps);
  const { records } = parts;
  const mirror = records && new JobRecordMirror({
    ...{ database, jobs, records, now, log: logFailure },
    ...(parts.recordIntervalMs === undefined ? {} : { intervalMs: parts.recordIntervalMs }),
  });
  runner.start();
  return {
    app,
    deps,
    runner,
    async stop() {
      isStopping = true;
      clearInterval(sweep);
      await Promise.all([runner.stop(), generations.close(), uploads.close()]);
      await mirror?.close(); // what became of the jobs is known now
    },
  };
}
