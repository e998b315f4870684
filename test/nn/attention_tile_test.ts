import assert from "node:assert/strict";
import { workgroupBytes } from "../../kernels/attention/staged.ts";
import { type AttentionPass, attentionTile } from "../../src/nn/attention_tile.ts";
import { VARIANTS } from "../../src/nn/variants.ts";

const PASSES: readonly AttentionPass[] = ["forward", "backwardQuery", "backwardKeyValue"];

Deno.test("attentionTile() stays within WebGPU's default limits for heads of every width", () => {
  for (const { attention } of Object.values(VARIANTS)) {
    for (const headDim of [4, 8, 12, 16, 64, 80, 96, 128, 256, 512]) {
      for (const pass of PASSES) {
        const tile = attentionTile(attention, pass, { headDim, softcap: 0 });
        assert.equal(tile.HEAD_DIM4 * 4, headDim);
        assert.equal(tile.HEAD_DIM4 % tile.SPLIT, 0, `${headDim} wide over ${tile.SPLIT} lanes`);
        assert.equal(tile.LANES % tile.SPLIT, 0);
        assert.ok(tile.ROWS >= 1 && tile.LANES <= 256);
        if (tile.STAGED) assert.ok(workgroupBytes(tile, pass === "forward" ? 1 : 2) <= 16384);
      }
    }
  }
});

Deno.test("attentionTile() gives a lane fewer rows, or a row more lanes, the wider the head", () => {
  const of = (name: keyof typeof VARIANTS, headDim: number, pass: AttentionPass) =>
    attentionTile(VARIANTS[name].attention, pass, { headDim, softcap: 0 });
  const rows = (headDim: number) => PASSES.map((pass) => of("llvmpipe", headDim, pass).ROWS);
  const lanes = (headDim: number) => PASSES.map((pass) => of("hardware", headDim, pass).SPLIT);
  assert.deepEqual([64, 96, 128, 256].map(rows), [[4, 4, 4], [4, 2, 2], [4, 2, 2], [2, 1, 1]]);
  assert.deepEqual([64, 96, 128, 256].map(lanes), [[1, 2, 2], [2, 4, 4], [2, 4, 4], [4, 8, 8]]);
});

Deno.test("attentionTile() caps scores only where a cap is given", () => {
  const { attention } = VARIANTS.software;
  assert.equal(attentionTile(attention, "forward", { headDim: 64, softcap: 0 }).SOFTCAP, 0);
  assert.equal(attentionTile(attention, "forward", { headDim: 64, softcap: 50 }).SOFTCAP, 1);
});
