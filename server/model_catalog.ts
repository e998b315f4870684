/**
 * Models that jobs may start from: those of a folder that the operator fills, and those that jobs made. Clients know them by
 * name; no name ever becomes a path.
 *
 * @module
 */
import { ApiError } from "./errors.ts";
import type { FileStore } from "./file_store.ts";
import { type BaseKeeping, quantizationOf } from "./job_options.ts";
import type { JobStore, StoredJob } from "./job_store.ts";

/** A model. */
export interface CatalogModel extends BaseKeeping {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly ownedBy: "base" | "fine-tuned";
  /** Absolute path of the base model. */
  readonly basePath: string;
  /** Absolute path of the adapter; null for a base model. */
  readonly adapterPath: string | null;
}

/** A file of a base model. */
export interface ModelFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly changedAt: number;
  /** Absolute. */
  readonly path: string;
}

export class ModelCatalog {
  readonly #folder: string;
  readonly #bundled: ReadonlyMap<string, string>;
  readonly #jobs: JobStore;
  readonly #runFolder: (jobId: string) => string;

  /**
   * @param folder Absolute; holds `NAME/config.json`, `OWNER/NAME/config.json` and `NAME.gguf`.
   * @param bundled Models elsewhere, by name.
   * @param runFolder Where a job's run leaves its files.
   */
  constructor(
    folder: string,
    bundled: ReadonlyMap<string, string>,
    jobs: JobStore,
    runFolder: (jobId: string) => string,
  ) {
    this.#folder = folder;
    this.#bundled = bundled;
    this.#jobs = jobs;
    this.#runFolder = runFolder;
  }

  /** All models, base models first, by name. */
  async list(): Promise<CatalogModel[]> {
    const bases = await this.#bases();
    const tuned = this.#jobs.withModels().map((job) => this.#tuned(job, bases));
    return [...bases.values(), ...tuned.filter((model) => model !== null)];
  }

  /** Null if there is none of that name. */
  async find(id: string): Promise<CatalogModel | null> {
    const bases = await this.#bases(), base = bases.get(id);
    if (base) return base;
    const job = this.#jobs.byModel(id);
    return job && this.#tuned(job, bases);
  }

  /** Files of a model's base, by name: what stands beside its config.json, or the one file that it is. */
  async files({ basePath }: CatalogModel): Promise<ModelFile[]> {
    const isFile = basePath.endsWith(".gguf"), slash = basePath.lastIndexOf("/");
    const folder = isFile ? basePath.slice(0, slash) : basePath;
    const found: ModelFile[] = [];
    for (const name of isFile ? [basePath.slice(slash + 1)] : await visible(basePath)) {
      const path = `${folder}/${name}`, stat = await Deno.stat(path).catch(() => null);
      if (stat?.isFile) found.push({ name, size: stat.size, changedAt: stat.mtime?.getTime() ?? 0, path });
    }
    return found;
  }

  /**
   * Deletes a fine-tuned model from the disk, and the archives of its job. The job and its metrics stay.
   *
   * @throws {ApiError} 403 for a base model, 409 where a job that is not over begins from it.
   */
  async remove({ id, ownedBy }: CatalogModel, files: FileStore): Promise<void> {
    if (ownedBy === "base") {
      throw new ApiError(403, "Base models are the operator's: only fine-tuned models can be deleted.", {
        param: "model",
        code: "base_model",
      });
    }
    const user = this.#jobs.inStates("queued", "validating", "running", "paused").find(({ model }) =>
      model === id
    );
    if (user) {
      const message = `The model is in use: ${user.id} begins from it. Cancel that job first.`;
      throw new ApiError(409, message, { param: "model", code: "model_in_use" });
    }
    const job = this.#jobs.byModel(id);
    if (!job) return;
    const archives = job.resultFiles.filter((file) => files.get(file)?.place.kind === "archive");
    this.#jobs.update(job.id, {
      modelDeletedAt: Date.now(),
      resultFiles: job.resultFiles.filter((file) => !archives.includes(file)),
    });
    for (const file of archives) await files.remove(file);
    for (const made of ["adapter", "merged"]) {
      await Deno.remove(`${this.#runFolder(job.id)}/${made}`, { recursive: true }).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
  }

  /** What a job made; null if its base is no longer there. */
  #tuned(job: StoredJob, bases: ReadonlyMap<string, CatalogModel>): CatalogModel | null {
    const start = this.#jobs.makerOf(job.model);
    const base = start ? this.#tuned(start, bases) : bases.get(job.model);
    return base && job.fineTunedModel !== null
      ? {
        id: job.fineTunedModel,
        createdAt: job.finishedAt ?? job.createdAt,
        ownedBy: "fine-tuned",
        basePath: base.basePath,
        adapterPath: `${this.#runFolder(job.id)}/adapter`,
        ...quantizationOf(job.options),
      }
      : null;
  }

  async #bases(): Promise<Map<string, CatalogModel>> {
    const found = new Map<string, CatalogModel>();
    const add = async (id: string, path: string) => {
      const stat = await Deno.stat(path.endsWith(".gguf") ? path : `${path}/config.json`).catch(() => null);
      if (!stat?.isFile) return false;
      const createdAt = stat.mtime?.getTime() ?? 0;
      const keeping = { quantization: "none", doubleQuant: true } as const;
      found.set(id, { id, createdAt, ownedBy: "base", basePath: path, adapterPath: null, ...keeping });
      return true;
    };
    for (const [id, path] of this.#bundled) await add(id, path);
    for (const name of await visible(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      if (name.endsWith(".gguf")) await add(name.slice(0, -".gguf".length), path);
      else if (!await add(name, path)) {
        for (const inner of await visible(path)) await add(`${name}/${inner}`, `${path}/${inner}`);
      }
    }
    return new Map([...found].sort(([a], [b]) => a < b ? -1 : 1));
  }
}

/** Names in a folder that are not hidden; none if there is no such folder. */
async function visible(folder: string): Promise<string[]> {
  try {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(folder)) if (!name.startsWith(".")) names.push(name);
    return names.sort();
  } catch {
    return [];
  }
}
