/**
 * Ranks in one process, for tests: each is driven by an asynchronous function of its own.
 *
 * @module
 */
import type { Communicator } from "./communicator.ts";

/** A call that waits for the other ranks. */
interface Meeting<T> {
  readonly given: (T | undefined)[];
  readonly all: Promise<T[]>;
  readonly meet: (all: T[]) => void;
}

/** Communicators of so many ranks that hear each other. */
export function memoryRanks(size: number): Communicator[] {
  const values = new MeetingPlace<Float32Array | Float64Array>(size);
  const texts = new MeetingPlace<string>(size);
  return Array.from({ length: size }, (_, rank): Communicator => ({
    rank,
    size,
    async sum(own) {
      const all = await values.meet(rank, own.slice());
      for (let i = 0; i < own.length; i++) {
        own[i] = all[0]![i]!;
        // one addition after the other, each rounded to the type of the array
        for (let other = 1; other < size; other++) own[i]! += all[other]![i]!;
      }
    },
    gather: (text) => texts.meet(rank, text),
    close: async () => void await texts.meet(rank, ""),
  }));
}

class MeetingPlace<T> {
  readonly #size: number;
  readonly #calls: number[];
  readonly #meetings = new Map<number, Meeting<T>>();

  constructor(size: number) {
    this.#size = size;
    this.#calls = Array(size).fill(0);
  }

  /** What all ranks gave to their n-th call. */
  async meet(rank: number, given: T): Promise<T[]> {
    const call = this.#calls[rank]!++;
    let meeting = this.#meetings.get(call);
    if (!meeting) {
      const { promise, resolve } = Promise.withResolvers<T[]>();
      this.#meetings.set(call, meeting = { given: Array(this.#size), all: promise, meet: resolve });
    }
    meeting.given[rank] = given;
    if (meeting.given.filter((one) => one !== undefined).length === this.#size) {
      this.#meetings.delete(call);
      meeting.meet(meeting.given as T[]);
    }
    return [...await meeting.all];
  }
}
