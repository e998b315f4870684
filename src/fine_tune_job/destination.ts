/**
 * The folder in a bucket that a run's results are copied to. It holds what the output folder holds, but for checkpoints:
 *
 *     adapter/  merged/  training_config.json  run.json  trainer_state.json  metrics.jsonl  samples.json  report.html  tensorboard/
 *
 * run.json comes last: where it says completed, all else is there. As long as the run is not completed, `checkpoints/` has
 * copies of its checkpoints.
 *
 * @module
 */
import type { FineTuneJobConfig, JobConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { TrainingEvent } from "../job.ts";
import { isCourse } from "../output_folder.ts";
import { RUN_FILE, type RunRecord, runRecordText } from "../run_files.ts";
import type { Folder } from "../storage.ts";
import type { StorageManager } from "../storage_manager.ts";
import { STORAGE_ERRORS } from "../storage_manager/storage_errors.ts";
import { transferEvents } from "../transfer_events.ts";
import { CheckpointMirror, MIRROR_FOLDER } from "./checkpoint_mirror.ts";
import type { FineTuneJobDeps } from "./deps.ts";

/** Notes about unfinished uploads, in the output folder. */
const SESSIONS_FOLDER = "upload-sessions";
/** How long the removal of a probe may take after the job was stopped. */
const LAST_WORD_MS = 2000;
const MODEL_FOLDERS = ["adapter", "merged"];

/** Where the results of a job go; null for nowhere. @throws {ConfigError} If nobody can open it. */
export async function openDestination(
  { job: { uploadUri } }: FineTuneJobConfig,
  { storage }: FineTuneJobDeps,
): Promise<Destination | null> {
  if (uploadUri === null) return null;
  if (!storage) {
    const message = `names "${uploadUri}", but this job was given no storage that could open it`;
    throw new ConfigError([{ path: "output_uri", message }]);
  }
  const opened = await storage(uploadUri);
  return new Destination(uploadUri, opened.storage, opened.name);
}

export class Destination {
  readonly uri: string;
  readonly #storage: StorageManager;
  readonly #prefix: string;

  /** @param name Of the folder in the bucket; empty for the bucket itself. */
  constructor(uri: string, storage: StorageManager, name: string) {
    this.uri = uri;
    this.#storage = storage;
    this.#prefix = name === "" ? "" : `${name.replace(/\/+$/, "")}/`;
  }

  /**
   * Finds out before training whether results can be written there, by writing and removing an empty file; a dry run only
   * looks whether the bucket is there.
   *
   * @throws {ConfigError} If another run's results are there, unless they may be replaced.
   * @throws {StorageBucketError} @throws {StorageDeniedError} @throws {StorageInterruptedError}
   */
  async check({ overwrite, resume }: JobConfig, dryRun: boolean, signal: AbortSignal): Promise<void> {
    if (!dryRun) {
      const probe = `${this.#prefix}.write-check-${crypto.randomUUID()}`;
      try {
        await this.#storage.write(probe, new Uint8Array(0), { ifAbsent: true }, signal);
        await this.#storage.remove(probe, null, signal);
      } catch (error) {
        const soon = AbortSignal.timeout(LAST_WORD_MS);
        if (signal.aborted) await this.#storage.remove(probe, null, soon).catch(() => {}); // it may be there
        throw error;
      }
    }
    const { files } = await this.#storage.listPage({ prefix: this.#prefix, pageSize: 1, signal });
    if (files.length === 0 || overwrite || resume !== null) return;
    throw new ConfigError([{
      path: "output_uri",
      message:
        `"${this.uri}" holds files already (${files[0]!.name.slice(this.#prefix.length)}): choose another ` +
        "output_model_name or output_uri, or set overwrite, or resume to go on with a run",
    }]);
  }

  /** Copies of the checkpoints that are in an output folder. */
  mirror(output: Folder): CheckpointMirror {
    const uri = `${this.uri}/${MIRROR_FOLDER}`;
    return new CheckpointMirror({ storage: this.#storage, prefix: this.#mirrorPrefix, uri }, output);
  }

  get #mirrorPrefix(): string {
    return `${this.#prefix}${MIRROR_FOLDER}/`;
  }

  /**
   * Copies the results. What is there already with the same checksum is left alone, and an upload that was cut goes on
   * where it broke off.
   *
   * @param record Of the completed run.
   * @throws What the bucket throws, with what to do now; everything stays in the output folder.
   */
  async *upload(
    output: Folder,
    record: RunRecord,
    overwrite: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<TrainingEvent> {
    yield { type: "phase", stage: "upload", message: `uploading the results to ${this.uri}` };
    try {
      const sessions = output.folder(SESSIONS_FOLDER);
      yield* transferEvents(
        { direction: "upload", what: "the results", signal },
        (onProgress, either) =>
          this.#storage.uploadFolder(output, this.#prefix, {
            skipSame: true,
            include: isResult,
            sessions,
            onProgress,
            signal: either,
          }),
      );
      if (overwrite) await this.#removeOthers(output, signal);
      const text = new TextEncoder().encode(runRecordText(record));
      await this.#storage.write(this.#prefix + RUN_FILE, text, null, signal);
      await output.removeFolder(SESSIONS_FOLDER);
      for await (const { name } of this.#storage.list(this.#mirrorPrefix, signal)) {
        await this.#storage.remove(name, null, signal);
      }
    } catch (error) {
      throw signal.aborted ? error : withWayOn(error, output.uri);
    }
    yield { type: "saved", what: "results", path: this.uri };
  }

  /** Removes what another run left among the models, so that no file of it is taken for one of this run. */
  async #removeOthers(output: Folder, signal: AbortSignal): Promise<void> {
    for (const name of MODEL_FOLDERS) {
      const own = new Set(await pathsBelow(output.folder(name), `${this.#prefix}${name}/`));
      for await (const file of this.#storage.list(`${this.#prefix}${name}/`, signal)) {
        if (!own.has(file.name)) await this.#storage.remove(file.name, null, signal);
      }
    }
  }
}

function isResult(path: string): boolean {
  return path !== RUN_FILE &&
    (isCourse(path) || MODEL_FOLDERS.some((folder) => path.startsWith(`${folder}/`)));
}

async function pathsBelow(folder: Folder, path: string): Promise<string[]> {
  const below = (await folder.folders()).map((name) => pathsBelow(folder.folder(name), `${path}${name}/`));
  return [...(await folder.list()).map((name) => path + name), ...(await Promise.all(below)).flat()];
}

/** The same error, which says in addition how to go on. */
function withWayOn(error: unknown, output: string): unknown {
  const kind = STORAGE_ERRORS.find((known) => error instanceof known);
  if (!kind) return error;
  const message = `${(error as Error).message}. The run is trained and saved in "${output}": ` +
    `"lowrank resume ${output}", or the same command with --resume auto, uploads what is missing`;
  return new kind(message, { cause: error });
}
