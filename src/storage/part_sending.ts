/**
 * Sending a file in parts, each tried again on its own, and summing it up on the way: every byte is read once.
 *
 * @module
 */
import { crc32c, joinedCrc32c } from "../crc32c.ts";
import type { FileReader } from "../storage.ts";
import type { Transfer } from "./download.ts";
import type { ObjectStore, OrderedUpload, Part, PartUpload, UnorderedUpload } from "./object_store.ts";
import type { PartBuffers } from "./part_buffers.ts";
import { retried, Retries } from "./retry.ts";

/** What sending a file needs to know. */
export interface PartTransfer extends Transfer<ObjectStore> {
  readonly buffers: PartBuffers;
  /** Told after each part that arrived. */
  readonly arrived: () => Promise<void>;
}

/** Sends what the store does not have yet, and returns the CRC-32C of the whole file, or 0 where the store has no use for it. */
export function sendParts(job: PartTransfer, parts: PartUpload, reader: FileReader): Promise<number> {
  return "holds" in parts ? sendAtOnce(job, parts, reader) : sendInOrder(job, parts, reader);
}

/**
 * Sends as many parts at the same time as there are buffers. What an earlier process sent is read again, for the sum and since
 * the file may be another one by now. The first failure stops the other parts.
 */
async function sendAtOnce(job: PartTransfer, parts: UnorderedUpload, reader: FileReader): Promise<number> {
  const failed = new AbortController();
  const signal = job.signal ? AbortSignal.any([job.signal, failed.signal]) : failed.signal;
  const onTheirWay = new Set<Promise<void>>();
  const send = async (part: Part) => {
    await retried(job.retries, signal, () => parts.send(part, signal));
    job.moved(part.bytes.length);
    await job.arrived();
  };
  const sum = new RunningSum(job.store.sums ?? true);
  try {
    for (let offset = 0; offset < reader.size; offset += parts.partBytes) {
      const buffer = await job.buffers.take(Math.min(parts.partBytes, reader.size));
      let sending: Promise<void> | null = null;
      try {
        signal.throwIfAborted();
        const part = sum.add(await read(parts, reader, offset, buffer));
        if (await parts.holds(part)) job.moved(part.bytes.length);
        else sending = send(part);
      } finally {
        if (sending === null) job.buffers.give(buffer);
      }
      const settled = sending?.catch((error) => failed.abort(error)).then(() => {
        job.buffers.give(buffer);
        onTheirWay.delete(settled!);
      });
      if (settled) onTheirWay.add(settled);
    }
  } catch (error) {
    failed.abort(error);
  }
  await Promise.all(onTheirWay);
  signal.throwIfAborted();
  return sum.value;
}

async function sendInOrder(job: PartTransfer, parts: OrderedUpload, reader: FileReader): Promise<number> {
  const { size } = reader;
  const retries = new Retries(job.retries, job.signal);
  const sum = new RunningSum(job.store.sums ?? true);
  const withPart = async (offset: number, work: (part: Part) => Promise<void>) => {
    const buffer = await job.buffers.take(Math.min(parts.partBytes, size));
    try {
      await work(sum.add(await read(parts, reader, offset, buffer)));
    } finally {
      job.buffers.give(buffer);
    }
  };
  let offset = await retried(job.retries, job.signal, () => parts.sent(job.signal));
  // what an earlier process sent is read again, for the sum
  for (let at = 0; at < offset; at += parts.partBytes) await withPart(at, () => Promise.resolve());
  job.moved(offset);
  while (offset < size) {
    job.signal?.throwIfAborted();
    await withPart(offset, async (part) => {
      try {
        await parts.send(part, job.signal);
        job.moved(part.bytes.length);
        offset += part.bytes.length;
        retries.progress();
        await job.arrived();
      } catch (error) {
        await retries.after(error);
        const there = await retried(job.retries, job.signal, () => parts.sent(job.signal));
        job.moved(there - offset);
        offset = there;
      }
    });
  }
  return sum.value;
}

async function read(
  { partBytes }: PartUpload,
  reader: FileReader,
  offset: number,
  buffer: Uint8Array<ArrayBuffer>,
): Promise<Omit<Part, "crc32c">> {
  return { offset, bytes: await reader.read(offset, Math.min(partBytes, reader.size - offset), buffer) };
}

/** The CRC-32C of a file whose parts come in order, some of them more than once. */
class RunningSum {
  value = 0;
  readonly #isWanted: boolean;
  #bytes = 0;

  constructor(isWanted: boolean) {
    this.#isWanted = isWanted;
  }

  /** The part with its own sum. */
  add({ offset, bytes }: Omit<Part, "crc32c">): Part {
    if (!this.#isWanted) return { offset, bytes, crc32c: 0 };
    const part = { offset, bytes, crc32c: crc32c(bytes) };
    const end = offset + bytes.length;
    if (offset === this.#bytes) this.value = joinedCrc32c(this.value, part.crc32c, bytes.length);
    else if (end > this.#bytes) {
      const rest = bytes.subarray(this.#bytes - offset);
      this.value = joinedCrc32c(this.value, crc32c(rest), rest.length);
    }
    this.#bytes = Math.max(this.#bytes, end);
    return part;
  }
}
