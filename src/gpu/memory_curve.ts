/**
 * Memory over the course of a program, from its plan alone: nothing is allocated or measured.
 *
 * @module
 */
import type { Tensor } from "../tensor.ts";
import type { MatrixTexture } from "./kernel.ts";
import type { PlannedProgram } from "./program.ts";
import { usedBy } from "./recorder.ts";

/** An intermediate and the operations between which it is needed, both included. */
export interface LiveItem {
  readonly label: string;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** How much a program's intermediates need while it runs. */
export interface MemoryCurve {
  /** Bytes that are needed during each operation. */
  readonly liveBytes: readonly number[];
  /** Bytes of the slots that the intermediates share: what is allocated. */
  readonly slotBytes: number;
  /** Named parts in their order; `end` is the operation after the last. Empty ones are left out. */
  readonly sections: readonly { readonly name: string; readonly first: number; readonly end: number }[];
  /** The operation that needs most, the first of several. */
  readonly peak: { readonly at: number; readonly bytes: number };
  /** What is needed during the peak, largest first. */
  readonly atPeak: readonly LiveItem[];
}

/** Follows the intermediates of a program through its operations. */
export function memoryCurve({ operations, sections, arenaPlan }: PlannedProgram): MemoryCurve {
  const { bufferSlots, textureSlots } = arenaPlan;
  const lives = new Map<Tensor | MatrixTexture, { first: number; last: number }>();
  operations.forEach((operation, at) => {
    for (const used of usedBy(operation)) {
      if (!("width" in used ? textureSlots.has(used) : bufferSlots.has(used))) continue;
      const life = lives.get(used);
      if (life) life.last = at;
      else lives.set(used, { first: at, last: at });
    }
  });
  const items = [...lives].map(([{ label, bytes }, life]): LiveItem => ({ label, bytes, ...life }));
  const liveBytes = sumOverTime(items, operations.length);
  const bytes = liveBytes.reduce((most, live) => Math.max(most, live), 0);
  const at = Math.max(0, liveBytes.indexOf(bytes));
  return {
    liveBytes,
    slotBytes: [...new Set([...bufferSlots.values(), ...textureSlots.values()])]
      .reduce((sum, slot) => sum + slot.bytes, 0),
    sections: [...sections].filter(([, { first, end }]) => end > first)
      .map(([name, { first, end }]) => ({ name, first, end })),
    peak: { at, bytes },
    atPeak: items.filter(({ first, last }) => first <= at && at <= last).sort((a, b) => b.bytes - a.bytes),
  };
}

/** Each item counts from its first operation to its last. */
function sumOverTime(items: readonly LiveItem[], length: number): number[] {
  const changes = new Array<number>(length + 1).fill(0);
  for (const { bytes, first, last } of items) {
    changes[first]! += bytes;
    changes[last + 1]! -= bytes;
  }
  let live = 0;
  return changes.slice(0, length).map((change) => live += change);
}
