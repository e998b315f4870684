/**
 * Blocks of a file for Azure Blob Storage. A block is named after its place and its checksum, so what an earlier process
 * sent is found again by the name of the file alone. Blocks that are never committed go away after a week.
 *
 * @module
 */
import { joinedCrc32c } from "../crc32c.ts";
import type { BlobRequestConditions, BlockBlobClient } from "@azure/storage-blob";
import { StorageNotFoundError } from "../errors.ts";
import type { StoredFile, WriteCondition } from "../storage_manager.ts";
import { crcHex } from "./checksums.ts";
import { orConflict, plainTag } from "./entity_tags.ts";
import type { Attempt } from "./failures.ts";
import { md5 } from "./node_digests.ts";
import type { Part, PutOptions, UnorderedUpload } from "./object_store.ts";

/** Azure takes 50,000 blocks at most. */
const MOST_BLOCKS = 50_000;
const BLOCK = 8 << 20;
/** Of files from 128 MiB on: half as many requests. */
const LARGE_BLOCK = 16 << 20;

/** Asks the service about the file, sending so many bytes. */
type Ask = <T>(
  request: (blob: BlockBlobClient, signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
  bytes?: number,
) => Promise<T>;

/** The file that blocks are of. */
interface UploadedFile {
  readonly attempt: Attempt;
  readonly name: string;
  readonly size: number;
}

export class AzureUpload implements UnorderedUpload {
  readonly token = null;
  readonly partBytes: number;
  readonly #ask: Ask;
  readonly #file: UploadedFile;
  /** Names of the blocks that make the file, by their place; with gaps until all are there. */
  readonly #blocks: string[] = [];
  /** Bytes of the blocks that an earlier process sent, by their names. */
  readonly #found = new Map<string, number>();

  constructor(ask: Ask, file: UploadedFile) {
    this.#ask = ask;
    this.#file = file;
    const block = file.size < 8 * LARGE_BLOCK ? BLOCK : LARGE_BLOCK;
    this.partBytes = Math.max(block, Math.ceil(file.size / MOST_BLOCKS));
  }

  /** Looks which blocks the service has. @returns Whether there is any. */
  async find(signal?: AbortSignal): Promise<boolean> {
    const list = (blob: BlockBlobClient, signal: AbortSignal) =>
      blob.getBlockList("uncommitted", { abortSignal: signal });
    const listed = await this.#ask(list, signal).catch((error) => {
      if (error instanceof StorageNotFoundError) return null;
      throw error;
    });
    for (const { name, size } of listed?.uncommittedBlocks ?? []) this.#found.set(name, size);
    return this.#found.size > 0;
  }

  async send({ offset, bytes, crc32c }: Part, signal?: AbortSignal): Promise<void> {
    const index = offset / this.partBytes;
    const name = blockName(index, crc32c);
    const transactionalContentMD5 = await md5(bytes);
    await this.#ask(
      (blob, signal) =>
        blob.stageBlock(name, bytes, bytes.length, {
          transactionalContentMD5,
          abortSignal: signal,
        }),
      signal,
      bytes.length,
    );
    this.#blocks[index] = name;
  }

  holds({ offset, bytes, crc32c }: Part): boolean {
    const index = offset / this.partBytes, name = blockName(index, crc32c);
    if (this.#found.get(name) !== bytes.length) return false;
    this.#blocks[index] = name;
    return true;
  }

  /** Names tell place and sum of a block: together they must have the sum of the whole. */
  begins(sent: number, crc32c: number): boolean {
    let sum = 0;
    for (let index = 0; index * this.partBytes < sent; index++) {
      const bytes = Math.min(this.partBytes, sent - index * this.partBytes);
      const found = [...this.#found].filter(([name, size]) => size === bytes && placeOf(name) === index);
      const [only] = found;
      if (!only || found.length > 1) return false;
      sum = joinedCrc32c(sum, sumOf(only[0]), bytes);
      this.#blocks[index] = only[0];
    }
    return sum === crc32c;
  }

  async finish({ condition, crc32c: whole, signal }: PutOptions): Promise<StoredFile> {
    const hex = crcHex(whole);
    const { etag } = await orConflict(
      this.#file.attempt,
      condition,
      () =>
        this.#ask((blob, signal) =>
          blob.commitBlockList([...this.#blocks], {
            conditions: azureConditions(condition),
            metadata: { crc32c: hex },
            abortSignal: signal,
          }), signal),
    );
    const { name, size } = this.#file;
    return { name, size, version: plainTag(etag ?? null), checksum: { algorithm: "crc32c", hex } };
  }

  abort(): Promise<void> {
    return Promise.resolve();
  }
}

/** What must hold, as Azure is told. */
export function azureConditions(condition: WriteCondition | null): BlobRequestConditions {
  if (!condition) return {};
  return "ifAbsent" in condition ? { ifNoneMatch: "*" } : { ifMatch: `"${condition.ifVersion}"` };
}

/** Names must be equally long, in base 64. */
function blockName(index: number, sum: number): string {
  return btoa(`${String(index).padStart(5, "0")}-${crcHex(sum)}`);
}

function placeOf(name: string): number {
  return Number(atob(name).slice(0, 5));
}

function sumOf(name: string): number {
  return parseInt(atob(name).slice(6), 16);
}
