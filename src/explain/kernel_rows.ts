/**
 * Launches of one profiled micro-batch summed up: by kernel, and by kernel, sizes and variant.
 *
 * @module
 */
import type { DispatchTime } from "../gpu/profile.ts";
import { type Bound, type Roofline, roofOf } from "./roofline.ts";

/** Launches of one kind together. */
export interface KernelRow {
  readonly kernel: string;
  /** Sizes that the launches share, such as `rows 256, cols 576, x_cols 576`; empty where they differ. */
  readonly sizes: string;
  /** Baked constants and where operands are read from; empty where they differ. */
  readonly variant: string;
  readonly launches: number;
  readonly ms: number;
  /** Of the time of all kernels, 0..1. */
  readonly share: number;
  /** Units of 1e9 a second; null for kernels that move more than they compute. */
  readonly gigaflops: number | null;
  /** Least traffic, read and written, in units of 1e9 bytes a second. */
  readonly gigabytes: number;
  /** Least time over the time taken, each launch by itself; null where the adapter's best rates are not known. */
  readonly roofShare: number | null;
  readonly bound: Bound | null;
}

/** Time of one part of the program. */
export interface SectionTime {
  readonly section: string;
  readonly ms: number;
}

/** Parameters that say where a launch begins and not how much it does. */
const OFFSETS = /^first(_|$)/;
/** The right side of a product reduces over as many columns as the left one. */
const REPEATED = new Set(["w_cols", "a_cols", "b_cols"]);

/** One row a kernel, longest first. */
export function byKernel(entries: readonly DispatchTime[], roof: Roofline | null): KernelRow[] {
  return rowsBy(entries, roof, ({ kernel }) => [kernel, "", ""]);
}

/** One row for each kernel, size and variant, longest first. */
export function bySize(entries: readonly DispatchTime[], roof: Roofline | null): KernelRow[] {
  return rowsBy(entries, roof, (entry) => [entry.kernel, sizesOf(entry), variantOf(entry)]);
}

/** Time by section in the order of running, those that are numbered (`head 0`, `head 1`) together. */
export function bySection(entries: readonly DispatchTime[]): SectionTime[] {
  const times = new Map<string, number>();
  for (const { section, ms } of entries) {
    const name = unnumbered(section);
    times.set(name, (times.get(name) ?? 0) + ms);
  }
  return [...times].map(([section, ms]) => ({ section, ms }));
}

/** `head 3` → `head` */
export function unnumbered(section: string): string {
  return section.replace(/ \d+$/, "");
}

/**
 * The same launches profiled several times: each with the median of its times.
 *
 * @throws {RangeError} If there is no profile, or they are of different programs.
 */
export function medianTimes(profiles: readonly (readonly DispatchTime[])[]): DispatchTime[] {
  const [first, ...others] = profiles;
  if (!first || others.some(({ length }) => length !== first.length)) {
    throw new RangeError(
      `Cannot take the median of profiles of ${profiles.map(({ length }) => length)} launches`,
    );
  }
  return first.map((entry, i) => {
    const times = profiles.map((profile) => profile[i]!.ms).sort((a, b) => a - b);
    return { ...entry, ms: times[times.length >> 1]! };
  });
}

type Key = readonly [kernel: string, sizes: string, variant: string];

function rowsBy(
  entries: readonly DispatchTime[],
  roof: Roofline | null,
  keyOf: (entry: DispatchTime) => Key,
): KernelRow[] {
  const groups = new Map<string, { key: Key; members: DispatchTime[] }>();
  for (const entry of entries) {
    const key = keyOf(entry), id = key.join("\n");
    const group = groups.get(id);
    if (group) group.members.push(entry);
    else groups.set(id, { key, members: [entry] });
  }
  const total = sum(entries, ({ ms }) => ms);
  return [...groups.values()].map(({ key, members }) => rowOf(key, members, roof, total))
    .sort((a, b) => b.ms - a.ms);
}

function rowOf(
  [kernel, sizes, variant]: Key,
  members: readonly DispatchTime[],
  roof: Roofline | null,
  total: number,
): KernelRow {
  const ms = sum(members, (entry) => entry.ms), flops = sum(members, (entry) => entry.flops);
  const roofs = roof && members.map((entry) => roofOf(workOf(entry), roof));
  const roofMs = roofs && sum(roofs, (least) => least.ms);
  const computing = roofs && sum(roofs, (least) => least.bound === "compute" ? least.ms : 0);
  return {
    kernel,
    sizes,
    variant,
    launches: members.length,
    ms,
    share: ratio(ms, total),
    gigaflops: flops > 0 ? ratio(flops / 1e6, ms) : null,
    gigabytes: ratio(sum(members, (entry) => workOf(entry).bytes) / 1e6, ms),
    roofShare: roofMs === null ? null : ratio(roofMs, ms),
    bound: roofMs === null ? null : computing! > roofMs / 2 ? "compute" : "memory",
  };
}

/** Work of one launch. */
function workOf({ flops, bytesRead, bytesWritten }: DispatchTime) {
  return { flops, bytes: bytesRead + bytesWritten };
}

function sizesOf({ sizes }: DispatchTime): string {
  return Object.entries(sizes).filter(([name]) => !OFFSETS.test(name) && !REPEATED.has(name))
    .map(([name, value]) => `${name} ${value}`).join(", ");
}

function variantOf({ constants, sources }: DispatchTime): string {
  const baked = Object.entries(constants).map(([name, value]) => `${name} ${value}`);
  const kinds = new Map<string, string[]>();
  for (const [operand, source] of Object.entries(sources)) {
    kinds.set(source, [...kinds.get(source) ?? [], operand]);
  }
  const read = [...kinds].map(([source, operands]) =>
    `${operands.join(", ")} from ${SOURCES[source] ?? source}`
  );
  return [baked.join(", "), ...read].filter(Boolean).join("; ");
}

/** Sources of operands in words. */
const SOURCES: Readonly<Record<string, string>> = {
  texture: "textures",
  vec4: "storage, four columns at a time",
  scalar: "storage, column by column",
};

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}

/** 0 where clocks saw no time pass. */
function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
