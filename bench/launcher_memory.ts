/**
 * How the launcher has a process give memory back to the system; children of the benchmark do the same. A test holds
 * the two together.
 *
 * @module
 */
export const LAUNCHER_MEMORY = {
  MALLOC_ARENA_MAX: "1",
  MALLOC_MMAP_THRESHOLD_: "131072",
  MALLOC_TRIM_THRESHOLD_: "131072",
  DENO_V8_FLAGS: "--max-semi-space-size=1",
} as const;
