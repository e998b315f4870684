/**
 * Checkpoint folders: `checkpoint-{step}` in the output folder, each with all that a run needs to go on from there.
 *
 *     weights                 adapter_config.json, adapter_model.safetensors, as PEFT reads them
 *     optimizer.safetensors   the optimizer's moments, f32: `{parameter}.exp_avg`, and of AdamW `{parameter}.exp_avg_sq`
 *     resume.json             see `resume_record.ts`
 *
 * A checkpoint is written under a temporary name, each file synced, and renamed as a whole; those before it stay until
 * then. Only one whose files are all as they were written is taken.
 *
 * @module
 */
import { ModelFormatError, StorageNotFoundError } from "../errors.ts";
import { type Folder, readText, writeFile } from "../storage.ts";
import { encodeFloats } from "../quant/float16.ts";
import {
  type FileDigest,
  formatResume,
  parseResume,
  RESUME_FILE,
  type ResumeRecord,
  sha256,
} from "./resume_record.ts";
import { SafetensorsFile, writeSafetensors } from "./safetensors.ts";

export const MOMENTS_FILE = "optimizer.safetensors";

/** Hashing needs all bytes at once, so longer files are hashed in parts. */
const PART_BYTES = 256 * 2 ** 20;

/** A parameter's moments are as long as its values. */
export interface NamedValues {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** First and second moments by parameter; none where the optimizer keeps none. */
export interface Moments {
  readonly m: ReadonlyMap<string, NamedValues>;
  readonly v: ReadonlyMap<string, NamedValues>;
}

/** A checkpoint that was found whole. */
export interface Checkpoint {
  readonly folder: Folder;
  readonly record: ResumeRecord;
}

/** Name of a checkpoint's folder, as transformers has it. */
export function checkpointName(step: number): string {
  return `checkpoint-${step}`;
}

/** Steps of the checkpoints in a run's folder, whole or not, ascending. */
export async function listCheckpoints(output: Folder): Promise<number[]> {
  const steps = (await output.folders()).flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []);
  return steps.map(Number).sort((a, b) => a - b);
}

/**
 * Writes a checkpoint.
 *
 * @param writeWeights Writes the files of the trained parameters.
 * @returns Its folder.
 * @throws {StorageDeniedError} Or what the medium throws; no checkpoint of that step appears then.
 */
export async function writeCheckpoint(
  output: Folder,
  record: ResumeRecord,
  moments: Moments,
  writeWeights: (folder: Folder) => Promise<void>,
): Promise<Folder> {
  const name = checkpointName(record.step);
  const writer = await output.createFolder(name);
  try {
    await writeWeights(writer.folder);
    await writeMoments(writer.folder, moments);
    const files: Record<string, FileDigest> = {};
    for (const file of await writer.folder.list()) files[file] = await digest(writer.folder, file);
    await writeFile(writer.folder, RESUME_FILE, await formatResume(record, files));
    await writer.commit();
  } finally {
    await writer.abort();
  }
  return output.folder(name);
}

/**
 * Opens a checkpoint and checks every file of it.
 *
 * @throws {StorageNotFoundError} If a file is missing.
 * @throws {ModelFormatError} If a file is not as it was written.
 * @throws {UnsupportedModelError} If a newer version wrote it.
 */
export async function openCheckpoint(folder: Folder): Promise<Checkpoint> {
  const { record, files } = await parseResume(
    await readText(folder, RESUME_FILE).catch(notText(folder)),
    `${folder.uri}/${RESUME_FILE}`,
  );
  for (const [name, written] of Object.entries(files)) {
    const found = await digest(folder, name);
    const fail = (problem: string) =>
      new ModelFormatError(`Cannot resume from "${folder.uri}/${name}": ${problem}`);
    if (found.bytes !== written.bytes) {
      throw fail(`it has ${found.bytes} bytes, ${written.bytes} were written`);
    }
    if (found.sha256.join() !== written.sha256.join()) {
      throw fail("its bytes are not those that were written");
    }
  }
  return { folder, record };
}

/**
 * The newest checkpoint that is whole, and why newer ones are not.
 *
 * @throws {UnsupportedModelError} If a newer version wrote the newest whole one.
 */
export async function latestCheckpoint(
  output: Folder,
): Promise<{ checkpoint: Checkpoint | null; damaged: string[] }> {
  const damaged: string[] = [];
  for (const step of (await listCheckpoints(output)).reverse()) {
    try {
      return { checkpoint: await openCheckpoint(output.folder(checkpointName(step))), damaged };
    } catch (error) {
      if (!(error instanceof ModelFormatError || error instanceof StorageNotFoundError)) throw error;
      damaged.push(error.message);
    }
  }
  return { checkpoint: null, damaged };
}

/** Removes all but the `keep` newest checkpoints and those of the steps `spared`, oldest first. */
export async function rotateCheckpoints(
  output: Folder,
  keep: number,
  spared: readonly (number | null | undefined)[] = [],
): Promise<void> {
  const steps = await listCheckpoints(output);
  for (const step of steps.slice(0, Math.max(0, steps.length - keep))) {
    if (!spared.includes(step)) await output.removeFolder(checkpointName(step));
  }
}

/** Removes checkpoints beyond a step: of a run that went another way. Newest first. */
export async function removeCheckpointsAfter(output: Folder, step: number): Promise<void> {
  for (const later of (await listCheckpoints(output)).reverse()) {
    if (later > step) await output.removeFolder(checkpointName(later));
  }
}

/** Reads the moments of a checkpoint. @throws {ModelFormatError} If the file is damaged. */
export async function readMoments(folder: Folder): Promise<Moments> {
  const file = await SafetensorsFile.open(folder, MOMENTS_FILE);
  try {
    const moments = { m: new Map<string, NamedValues>(), v: new Map<string, NamedValues>() };
    for (const { name, shape } of file.infos.values()) {
      const [, parameter, squared] = /^(.+)\.exp_avg(_sq)?$/.exec(name) ?? [];
      if (parameter === undefined) {
        throw new ModelFormatError(`Cannot resume from "${file.uri}": tensor "${name}" is no moment`);
      }
      moments[squared ? "v" : "m"].set(parameter, { shape, data: await file.readF32(name) });
    }
    return moments;
  } finally {
    await file.close();
  }
}

async function writeMoments(folder: Folder, { m, v }: Moments): Promise<void> {
  const tensors = (values: ReadonlyMap<string, NamedValues>, suffix: string) =>
    [...values].map(([name, { shape, data }]) => ({
      name: `${name}.${suffix}`,
      dtype: "F32",
      shape,
      data: () => Promise.resolve(encodeFloats("F32", data)),
    }));
  await writeSafetensors(folder, MOMENTS_FILE, [...tensors(m, "exp_avg"), ...tensors(v, "exp_avg_sq")]);
}

async function digest(folder: Folder, name: string): Promise<FileDigest> {
  const file = await folder.open(name);
  try {
    const parts: string[] = [];
    for (let at = 0; at < file.size || at === 0; at += PART_BYTES) {
      parts.push(await sha256(await file.read(at, Math.min(PART_BYTES, file.size - at))));
    }
    return { bytes: file.size, sha256: parts };
  } finally {
    await file.close();
  }
}

/** Bytes that are no UTF-8 are damage too. */
function notText(folder: Folder): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof TypeError)) throw error;
    throw new ModelFormatError(`Cannot resume from "${folder.uri}/${RESUME_FILE}": it is not text`, {
      cause: error,
    });
  };
}
