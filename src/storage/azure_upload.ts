/**
 * Blocks of a file for Azure Blob Storage. A block is named after its place and its checksum, so what an earlier process
 * sent is found again by the name of the file alone. Blocks that are never committed go away after a week.
 *
 * @module
 */
import type { BlobRequestConditions, BlockBlobClient } from "@azure/storage-blob";
import { StorageNotFoundError } from "../errors.ts";
import type { StoredFile, WriteCondition } from "../storage_manager.ts";
import { crcHex } from "./checksums.ts";
import { orConflict, plainTag } from "./entity_tags.ts";
import type { Attempt } from "./failures.ts";
import { md5 } from "./node_digests.ts";
import type { Part, PartUpload, PutOptions } from "./object_store.ts";

/** Azure takes 50,000 blocks at most. */
const MOST_BLOCKS = 50_000;
const SMALLEST_BLOCK = 8 << 20;

/** Asks the service about the file. */
type Ask = <T>(request: (blob: BlockBlobClient) => Promise<T>, signal?: AbortSignal) => Promise<T>;

export class AzureUpload implements PartUpload {
  readonly token = null;
  readonly partBytes: number;
  readonly #ask: Ask;
  readonly #file: { readonly attempt: Attempt; readonly name: string; readonly size: number };
  /** Names of the blocks that the service has, in their order. */
  readonly #blocks: string[] = [];

  constructor(ask: Ask, file: { readonly attempt: Attempt; readonly name: string; readonly size: number }) {
    this.#ask = ask;
    this.#file = file;
    this.partBytes = Math.max(SMALLEST_BLOCK, Math.ceil(file.size / MOST_BLOCKS));
  }

  /** Looks which blocks the service has. @returns Whether there is any. */
  async find(): Promise<boolean> {
    const listed = await this.#ask((blob) => blob.getBlockList("uncommitted")).catch((error) => {
      if (error instanceof StorageNotFoundError) return null;
      throw error;
    });
    const named = new Map(
      listed?.uncommittedBlocks?.map(({ name, size }) => [atob(name), { name, size }]) ?? [],
    );
    for (let index = 0; index * this.partBytes < this.#file.size; index++) {
      const text = [...named.keys()].find((text) => text.startsWith(placeOf(index)));
      const block = text === undefined ? null : named.get(text)!;
      if (
        block === null || block.size !== Math.min(this.partBytes, this.#file.size - index * this.partBytes)
      ) break;
      this.#blocks.push(block.name);
    }
    return this.#blocks.length > 0;
  }

  sent(): Promise<number> {
    return Promise.resolve(Math.min(this.#blocks.length * this.partBytes, this.#file.size));
  }

  async send({ offset, bytes, crc32c }: Part, signal?: AbortSignal): Promise<void> {
    const index = offset / this.partBytes;
    const name = blockName(index, crc32c);
    await this.#ask((blob) =>
      blob.stageBlock(name, bytes, bytes.length, {
        transactionalContentMD5: md5(bytes),
        ...(signal ? { abortSignal: signal } : {}),
      }), signal);
    this.#blocks[index] = name;
  }

  holds({ offset, crc32c }: Part): boolean {
    const index = offset / this.partBytes;
    return this.#blocks[index] === blockName(index, crc32c);
  }

  async finish({ condition, crc32c: whole, signal }: PutOptions): Promise<StoredFile> {
    const hex = crcHex(whole);
    const { etag } = await orConflict(
      this.#file.attempt,
      condition,
      () =>
        this.#ask((blob) =>
          blob.commitBlockList([...this.#blocks], {
            conditions: azureConditions(condition),
            metadata: { crc32c: hex },
            ...(signal ? { abortSignal: signal } : {}),
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
  return btoa(placeOf(index) + crcHex(sum));
}

function placeOf(index: number): string {
  return `${String(index).padStart(5, "0")}-`;
}
