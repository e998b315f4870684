import assert from "node:assert/strict";
import { registerTile } from "../../kernels/matmul/kernel.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { reasonLines } from "../../src/tuning/describe.ts";
import { tilesOf } from "../../src/tuning/for_run.ts";
import { recordedVariants } from "../../src/tuning/recorded.ts";

const GPU = { name: "SwiftShader", software: true } as Gpu;
const TILES = { ...tilesOf(VARIANTS.software), forward: registerTile(16, 16, 8) };
const RUN = {
  gpu: GPU,
  adapter: "SwiftShader",
  setting: "auto",
  kernels: { reason: "measured", tiles: TILES },
};

Deno.test("recordedVariants() takes the run's tiles on the adapter's variants, or on those it was told", () => {
  assert.deepEqual(recordedVariants(RUN), { ...VARIANTS.software, ...TILES, reason: "measured" });
  const told = recordedVariants({ ...RUN, setting: "hardware" });
  assert.deepEqual(told, { ...VARIANTS.hardware, ...TILES, reason: "measured" });
});

Deno.test("recordedVariants() takes the adapter's own where the run's mean nothing, and says why", () => {
  const { reason: standing, ...rest } = VARIANTS.software;
  const { narrow: _, ...fewer } = TILES;
  const old = { reason: "", tiles: { ...TILES, forward: { TILE: 8 } } as unknown as typeof TILES };
  const cases = [
    [{ kernels: undefined }, "the run does not tell its own tiles"],
    [{ adapter: "an H100" }, 'the run chose for "an H100"'],
    [{ kernels: old }, "the run's tiles are of another build"],
    [{ kernels: { reason: "", tiles: fewer as typeof TILES } }, "the run's tiles are of another build"],
  ] as const;
  for (const [changes, why] of cases) {
    const { reason, ...found } = recordedVariants({ ...RUN, ...changes });
    assert.equal(reason, `${standing} (${why})`);
    assert.deepEqual(found, rest);
  }
});

Deno.test("reasonLines() cuts at semicolons outside of parentheses", () => {
  assert.deepEqual(reasonLines("a (b; c (d); e); measured: f (g; h); i"), [
    "a (b; c (d); e)",
    "measured: f (g; h)",
    "i",
  ]);
  assert.deepEqual(reasonLines("one reason"), ["one reason"]);
});
