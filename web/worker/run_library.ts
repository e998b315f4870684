/**
 * The runs that the page's store holds: listed, opened, removed.
 *
 * @module
 */
import { checkpointName, listCheckpoints } from "../../src/checkpoint/resume.ts";
import { StorageDeniedError } from "../../src/errors.ts";
import { readRounds } from "../../src/logs/samples_file.ts";
import { METRICS_FILE, type MetricsRow, RUN_FILE, type RunRecord } from "../../src/run_files.ts";
import { type Folder, readText } from "../../src/storage.ts";
import { filesBelow } from "../../src/storage/files_below.ts";
import type {
  RunCheckpoint,
  RunDetails,
  RunEntry,
  RunFile,
  RunGlance,
  RunHoldings,
} from "../protocol/runs.ts";
import { courseOf, glanceOf } from "../run_glance.ts";
import { blobOf } from "../storage/stored_copy.ts";
import { handedOverTo } from "./handed_over.ts";
import { renameRun } from "./rename_run.ts";

/** Folders of a run whose files are offered. */
const OFFERED_FOLDERS = ["adapter", "merged"];

export class RunLibrary {
  readonly #runs: Folder;

  /** @param root Holds the runs in its folder `runs`. */
  constructor(root: Folder) {
    this.#runs = root.folder("runs");
  }

  /** The latest first. A run whose record cannot be read is left out. */
  async list(): Promise<RunEntry[]> {
    const entries: RunEntry[] = [];
    for (const name of await this.#runs.folders()) {
      const entry = await this.#entry(name).catch(() => null);
      if (entry) entries.push(entry);
    }
    return entries.sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  }

  /** @throws {StorageNotFoundError} If there is no such run. */
  async open(name: string): Promise<RunDetails> {
    const run = this.#runs.folder(name);
    return {
      entry: await this.#entry(name),
      metrics: await readMetrics(run),
      rounds: await readRounds(run),
      ...await this.holdings(name),
    };
  }

  /** What a run has made so far. */
  async holdings(name: string): Promise<RunHoldings> {
    const run = this.#runs.folder(name), folders = await run.folders();
    return {
      files: await offeredFiles(run),
      checkpoints: await readCheckpoints(run),
      hasAdapter: folders.includes("adapter"),
    };
  }

  /** Steps that a run can go on from; null if all are done or it left no checkpoint. */
  async resumable(name: string): Promise<number | null> {
    const run = this.#runs.folder(name);
    return await run.exists(RUN_FILE) ? (await this.#entry(name)).resumable : null;
  }

  /** How each run went. A run whose files cannot be read is left out. */
  async glances(): Promise<RunGlance[]> {
    const found: RunGlance[] = [];
    for (const name of await this.#runs.folders()) {
      const run = this.#runs.folder(name);
      const glance = async () => {
        const bytes = (await filesBelow(run)).reduce((sum, { size }) => sum + size, 0);
        return glanceOf(name, courseOf(await readMetrics(run)), bytes);
      };
      const seen = await glance().catch(() => null);
      if (seen) found.push(seen);
    }
    return found;
  }

  /**
   * Gives a run another name. Its records name it so from then on, and it goes on as before.
   *
   * @throws {RangeError} If the name cannot be one or is taken, or the run goes on elsewhere.
   */
  async rename(from: string, to: string): Promise<void> {
    await renameRun(this.#runs, from, to);
  }

  /** @throws {StorageDeniedError} If it goes on, as in another tab. */
  async remove(name: string): Promise<void> {
    const lock = await this.#runs.folder(name).lock?.();
    if (lock === null) {
      throw new StorageDeniedError(
        `Cannot remove "${name}" as it goes on in another tab: pause it there first`,
      );
    }
    try {
      await this.#runs.removeFolder(name);
    } finally {
      await lock?.release();
    }
  }

  /** @param path As {@link RunFile} has it. */
  async read(name: string, path: string): Promise<Blob> {
    const parts = path.split("/"), file = parts.pop()!;
    const folder = [name, ...parts].reduce((outer, part) => outer.folder(part), this.#runs);
    return await blobOf(folder, file);
  }

  async #entry(name: string): Promise<RunEntry> {
    const run = this.#runs.folder(name);
    const record: RunRecord = JSON.parse(await readText(run, RUN_FILE));
    const last = (await listCheckpoints(run)).at(-1) ?? null;
    const isWhole = record.status === "completed" && record.steps >= record.total_steps;
    return {
      name,
      status: record.status,
      startedAt: record.started_at,
      steps: record.steps,
      totalSteps: record.total_steps,
      resumable: isWhole ? null : last,
      baseModel: record.base_model.path,
      evalLossBefore: record.eval_loss_before,
      evalLossAfter: record.eval_loss_after,
      error: record.status === "failed" ? record.error : null,
      serverJob: await handedOverTo(run),
      config: record.config,
    };
  }
}

async function readMetrics(run: Folder): Promise<MetricsRow[]> {
  if (!await run.exists(METRICS_FILE)) return [];
  const lines = (await readText(run, METRICS_FILE)).split("\n");
  // a crash may cut the last line, and what it told comes again
  return lines.slice(0, -1).map((line) => JSON.parse(line));
}

async function readCheckpoints(run: Folder): Promise<RunCheckpoint[]> {
  const found: RunCheckpoint[] = [];
  for (const step of await listCheckpoints(run)) {
    const files = await filesBelow(run.folder(checkpointName(step)));
    found.push({ step, bytes: files.reduce((sum, { size }) => sum + size, 0) });
  }
  return found;
}

/** Those of the adapter or, until there is one, of the last checkpoint, which is an adapter too; and the records. */
async function offeredFiles(run: Folder): Promise<RunFile[]> {
  const folders = await run.folders();
  const made = OFFERED_FOLDERS.filter((name) => folders.includes(name));
  const last = (await listCheckpoints(run)).at(-1);
  if (made.length === 0 && last !== undefined) made.push(`checkpoint-${last}`);
  const files: RunFile[] = [];
  for (const folder of made) files.push(...await filesOf(run.folder(folder), `${folder}/`));
  return [...files, ...await filesOf(run, "")];
}

async function filesOf(folder: Folder, prefix: string): Promise<RunFile[]> {
  const files: RunFile[] = [];
  for (const name of await folder.list()) {
    const file = await folder.open(name);
    files.push({ path: prefix + name, bytes: file.size });
    await file.close();
  }
  return files;
}
