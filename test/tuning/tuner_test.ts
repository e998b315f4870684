import assert from "node:assert/strict";
import { ConfigError } from "../../src/errors.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { TUNING_FILE, TuningCache } from "../../src/tuning/cache.ts";
import { tilesOf, variantsForRun } from "../../src/tuning/for_run.ts";
import { isCoarse, measureTile } from "../../src/tuning/measure.ts";
import { tune } from "../../src/tuning/tuner.ts";
import { TUNED_OPS, workOf } from "../../src/tuning/work.ts";
import { onEveryAdapter } from "../helpers/gpu.ts";

/** Small enough to measure in a moment. */
const WORK = workOf({
  maps: [{ out: 40, in: 24, count: 2 }],
  head: { out: 64, in: 24 },
  tokens: 32,
  headRows: 32,
  rank: 4,
});

onEveryAdapter("measureTile() times every kind of product after checking it", async ({ gpu, pipelines }) => {
  for (const op of TUNED_OPS) {
    const bench = { gpu, pipelines, variants: VARIANTS.software };
    const { seconds, compileSeconds } = await measureTile(bench, op, VARIANTS.software[op], WORK[op]);
    assert.ok(seconds > 0 && seconds < 10, `${op} took ${seconds} s`);
    assert.ok(compileSeconds >= 0);
  }
}, ["deno"]);

Deno.test("isCoarse() tells times that browsers may have rounded to from times that tell something", () => {
  assert.deepEqual([0, 0.1, 0.3, 0.065536, 0.131072].map(isCoarse), [true, true, true, true, true]);
  assert.deepEqual([0.0421, 0.0999, 0.25001, 2, 2.1, 100].map(isCoarse), [
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
});

onEveryAdapter("measureTile() refuses a tile whose results are wrong", async ({ gpu, pipelines }) => {
  const broken = new Proxy(gpu, {
    get(of, name) {
      const value = Reflect.get(of, name, of);
      if (name === "read") {
        return async (...args: Parameters<typeof gpu.read>) => {
          const bytes = await of.read(...args);
          new Float32Array(bytes)[3]! += 0.01;
          return bytes;
        };
      }
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
  const bench = { gpu: broken, pipelines, variants: VARIANTS.software };
  await assert.rejects(
    measureTile(bench, "forward", VARIANTS.software.forward, WORK.forward),
    /^RangeError: wrong result: element \[0, 3\] is off by 0\.0/,
  );
}, ["deno"]);

onEveryAdapter("tune() measures once, and takes from the cache after that", async ({ gpu, pipelines }) => {
  const folder = new MemoryFolder("cache");
  const bench = { gpu, pipelines, variants: VARIANTS.software };
  const request = { bench, work: WORK, microBatches: 1e9, cache: await TuningCache.open(folder) };
  const first = await tune(request);
  assert.deepEqual(Object.keys(first.choices), [...TUNED_OPS]);
  assert.match(first.variants.reason, /measured: x·wᵀ .+ GFLOP\/s.*; dy·w .+; x·Aᵀ .+; vᵀ·x /);
  const { entries } = await TuningCache.open(folder);
  assert.ok(entries.length >= 8);
  const known = await TuningCache.open(folder);
  const again = await tune({ ...request, cache: known });
  assert.deepEqual(tilesOf(again.variants), tilesOf(first.variants));
  assert.deepEqual(
    known.entries.map(({ measuredAt }) => measuredAt),
    entries.map(({ measuredAt }) => measuredAt),
  );
  const retuned = await TuningCache.open(folder);
  await tune({ ...request, cache: retuned, retune: true });
  assert.notDeepEqual(
    retuned.entries.map(({ measuredAt }) => measuredAt),
    entries.map(({ measuredAt }) => measuredAt),
  );
}, ["deno"]);

onEveryAdapter("variantsForRun() measures nothing for a short run", async ({ gpu, pipelines }) => {
  const folder = new MemoryFolder("cache");
  const request = { gpu, pipelines, work: WORK, tiles: null, folder, retune: false };
  const short = await variantsForRun({ ...request, setting: "auto", microBatches: 10 });
  assert.deepEqual(await folder.list(), []);
  assert.equal(short, VARIANTS.llvmpipe);
}, ["deno"]);

onEveryAdapter(
  "variantsForRun() takes what it is told, or the checkpoint's tiles",
  async ({ gpu, pipelines }) => {
    const request = {
      gpu,
      pipelines,
      work: WORK,
      tiles: null,
      folder: null,
      retune: false,
      microBatches: 1e9,
    };
    const told = await variantsForRun({ ...request, setting: "software" });
    assert.deepEqual({ ...told, reason: "" }, { ...VARIANTS.software, reason: "" });
    const tiles = tilesOf(VARIANTS.register64);
    const resumed = await variantsForRun({ ...request, setting: "auto", tiles });
    assert.deepEqual(tilesOf(resumed), tiles);
    assert.equal(resumed.operands, "texture");
    await assert.rejects(variantsForRun({ ...request, setting: "subgroup" }), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(
        error.message,
        /subgroup cannot run here: .+ take auto, or llvmpipe, llvmpipe_wide, software/,
      );
      return true;
    });
  },
  ["deno"],
);

Deno.test("the names that the option takes are those of the variants", async () => {
  const { CONFIG_FIELDS } = await import("../../src/config/fields.ts");
  const { choices } = CONFIG_FIELDS.find(({ wireName }) => wireName === "variant")!;
  assert.deepEqual(choices, ["auto", ...Object.keys(VARIANTS)]);
  assert.equal(TUNING_FILE, "tuning.json");
});
