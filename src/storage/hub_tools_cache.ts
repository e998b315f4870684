/**
 * What the tools of Hugging Face have downloaded on this machine already, in their own cache. Deno only.
 *
 *     models--OWNER--NAME/refs/main              the commit that a branch was at
 *     models--OWNER--NAME/snapshots/COMMIT/PATH  a link to
 *     models--OWNER--NAME/blobs/CHECKSUM         the bytes; large files by SHA-256, others by git's SHA-1
 *
 * It is read only. A file counts if its bytes have the checksum that names it.
 *
 * @see https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 * @module
 */
import { logger } from "../logger.ts";
import type { FileReader } from "../storage.ts";
import type { Checksum, StoredFile } from "../storage_manager.ts";
import { variable } from "./environment.ts";
import type { KeptSnapshot } from "./hub_snapshots.ts";
import { hubHome } from "./hub_token.ts";
import { LocalFolder } from "./local.ts";
import { nodeDigest } from "./node_digests.ts";

/** Bytes that are read at once. */
const PIECE_BYTES = 4 << 20;

export class HubToolsCache {
  readonly #root: LocalFolder | null;
  /** What was found by checksum. */
  readonly #sound = new Map<string, Promise<boolean>>();

  /** @param root Default: the variable HF_HUB_CACHE, `hub` in HF_HOME. Null for none. */
  constructor(root: string | null = rootOfTools()) {
    this.#root = root === null ? null : new LocalFolder(root);
  }

  /** Opens a file of a repository; null where it is not there with all its bytes. */
  async open(repository: string, { checksum, size }: StoredFile): Promise<FileReader | null> {
    const blobs = this.#place(repository)?.folder("blobs");
    if (!blobs || checksum === null || !/^[0-9a-f]+$/.test(checksum.hex)) return null;
    try {
      if (!await blobs.exists(checksum.hex)) return null;
      const file = await blobs.open(checksum.hex);
      const sound = this.#sound.get(checksum.hex) ?? isSound(file, checksum, size);
      this.#sound.set(checksum.hex, sound);
      if (await sound) return file;
      await file.close();
      return null;
    } catch (error) {
      logger("storage").debug("the cache of the Hub's tools cannot be read: {problem}", {
        problem: String(error),
      });
      return null; // not to be read, or removed meanwhile: the Hub has it
    }
  }

  /** The state that a branch, tag or commit was in when the tools looked last; null where they never did. */
  async snapshot(repository: string, revision: string): Promise<KeptSnapshot | null> {
    const place = this.#place(repository);
    if (!place) return null;
    try {
      const commit = /^[0-9a-f]{40}$/.test(revision)
        ? revision
        : (await Deno.readTextFile(`${place.uri}/refs/${revision}`)).trim();
      const files = await linkedFiles(`${place.uri}/snapshots/${commit}`, "");
      return files.length === 0 ? null : { commit, files };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) return null;
      throw error;
    }
  }

  #place(repository: string): LocalFolder | null {
    const [, kind = "models", name] =
      /^(?:(models|datasets|spaces)\/)?([\w.-]+\/[\w.-]+?)(?:@.+)?$/.exec(repository) ?? [];
    return name === undefined
      ? null
      : this.#root?.folder(`${kind}--${name.replace("/", "--")}`) as LocalFolder | undefined ?? null;
  }
}

function rootOfTools(): string | null {
  const named = variable("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"), home = hubHome();
  return named ?? (home === null ? null : `${home}/hub`);
}

async function isSound(file: FileReader, checksum: Checksum, size: number): Promise<boolean> {
  if (file.size !== size) return false;
  const digest = nodeDigest(checksum, size);
  for (let at = 0; at < size; at += PIECE_BYTES) {
    digest.update(await file.read(at, Math.min(PIECE_BYTES, size - at)));
  }
  return digest.hex() === checksum.hex;
}

/** Links below a folder that lead to files named by their checksums. */
async function linkedFiles(folder: string, below: string): Promise<StoredFile[]> {
  const found: StoredFile[] = [];
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await linkedFiles(path, `${below}${name}/`));
    const [hex] = isSymlink ? /[0-9a-f]+$/.exec(await Deno.readLink(path)) ?? [] : [];
    if (hex?.length !== 64 && hex?.length !== 40) continue;
    const algorithm = hex.length === 64 ? "sha256" : "git-sha1";
    const { size } = await Deno.stat(path);
    found.push({ name: below + name, size, version: hex, checksum: { algorithm, hex } });
  }
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}
