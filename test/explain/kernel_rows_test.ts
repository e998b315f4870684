import assert from "node:assert/strict";
import { byKernel, bySection, bySize, medianTimes } from "../../src/explain/kernel_rows.ts";
import { roofOf } from "../../src/explain/roofline.ts";
import type { DispatchTime } from "../../src/gpu/profile.ts";

/** 10 GFLOP/s and 2 GB/s: 1e7 operations or 2e6 bytes take a millisecond. */
const ROOF = { gigaflops: 10, matmulSize: 512, gigabytes: 2 };

function entry(changes: Partial<DispatchTime>): DispatchTime {
  return {
    section: "forward",
    kernel: "matmul",
    output: "y",
    sizes: { rows: 8, cols: 4, x_cols: 6, w_cols: 6 },
    constants: { LANES: 8 },
    sources: { x: "texture", w: "vec4" },
    bytesRead: 1e6,
    bytesWritten: 1e6,
    flops: 4e7,
    ms: 8,
    ...changes,
  };
}

const norm = (changes: Partial<DispatchTime>) =>
  entry({ kernel: "norm", sizes: { rows: 8, first_row: 0 }, sources: {}, flops: 0, ms: 2, ...changes });

Deno.test("roofOf() is the longer of computing and moving, and says which", () => {
  assert.deepEqual(roofOf({ flops: 4e7, bytes: 2e6 }, ROOF), { ms: 4, bound: "compute" });
  assert.deepEqual(roofOf({ flops: 1e6, bytes: 4e6 }, ROOF), { ms: 2, bound: "memory" });
  assert.deepEqual(roofOf({ flops: 0, bytes: 2e6 }, ROOF), { ms: 1, bound: "memory" });
});

Deno.test("byKernel() sums launches, longest first, with rates and the share of the roofline", () => {
  const rows = byKernel([norm({}), entry({}), norm({ sizes: { rows: 9 }, ms: 6 }), entry({ ms: 4 })], ROOF);
  assert.deepEqual(rows, [
    {
      kernel: "matmul",
      sizes: "",
      variant: "",
      launches: 2,
      ms: 12,
      share: 0.6,
      gigaflops: 8e7 / 12 / 1e6,
      gigabytes: 4e6 / 12 / 1e6,
      roofShare: 8 / 12,
      bound: "compute",
    },
    {
      kernel: "norm",
      sizes: "",
      variant: "",
      launches: 2,
      ms: 8,
      share: 0.4,
      gigaflops: null,
      gigabytes: 0.5,
      roofShare: 0.25,
      bound: "memory",
    },
  ]);
});

Deno.test("bySize() keeps sizes and variants apart, and launches that differ by where they begin together", () => {
  const rows = bySize([
    entry({}),
    entry({ constants: { LANES: 64 } }),
    norm({}),
    norm({ sizes: { rows: 8, first_row: 8 } }),
  ], null);
  assert.deepEqual(rows.map(({ kernel, sizes, variant, launches }) => [kernel, sizes, variant, launches]), [
    [
      "matmul",
      "rows 8, cols 4, x_cols 6",
      "LANES 8; x from textures; w from storage, four columns at a time",
      1,
    ],
    [
      "matmul",
      "rows 8, cols 4, x_cols 6",
      "LANES 64; x from textures; w from storage, four columns at a time",
      1,
    ],
    ["norm", "rows 8", "LANES 8", 2],
  ]);
  assert.deepEqual(rows.map(({ roofShare, bound }) => [roofShare, bound]), Array(3).fill([null, null]));
});

Deno.test("bySize() names no rate where the clock saw no time pass", () => {
  const [row] = bySize([entry({ ms: 0 })], ROOF);
  assert.deepEqual([row!.share, row!.gigaflops, row!.gigabytes, row!.roofShare], [0, 0, 0, 0]);
});

Deno.test("bySection() adds numbered sections up", () => {
  const sections = ["forward", "head 0", "head 1", "backward", "forward"];
  assert.deepEqual(bySection(sections.map((section) => entry({ section, ms: 1 }))), [
    { section: "forward", ms: 2 },
    { section: "head", ms: 2 },
    { section: "backward", ms: 1 },
  ]);
});

Deno.test("medianTimes() takes each launch's median and refuses profiles of other programs", () => {
  const profile = (...times: number[]) => times.map((ms) => entry({ ms }));
  assert.deepEqual(medianTimes([profile(9, 1), profile(2, 5), profile(3, 2)]).map(({ ms }) => ms), [3, 2]);
  assert.throws(() => medianTimes([profile(1), profile(1, 2)]), /profiles of 1,2 launches/);
  assert.throws(() => medianTimes([]), RangeError);
});
