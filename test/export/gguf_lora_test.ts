import assert from "node:assert/strict";
import { type LoraUpdate, loraUpdates } from "../../src/checkpoint/adapter.ts";
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { ggufName, turnedRow } from "../../src/checkpoint/gguf_names.ts";
import { exportGgufLora } from "../../src/export/gguf_lora.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { FAMILIES, familyModel } from "./families.ts";

/** scaling·B·A in f64, [out, in]. */
function product({ loraA, loraB, rank }: LoraUpdate, scaling: number): Float64Array {
  const columns = loraA.length / rank, rows = loraB.length / rank;
  return Float64Array.from({ length: rows * columns }, (_, at) => {
    const row = Math.floor(at / columns), column = at % columns;
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += loraB[row * rank + k]! * loraA[k * columns + column]!;
    return scaling * sum;
  });
}

/** What llama.cpp adds to a tensor of its base: alpha over the rank of B, times B·A. */
async function addedBy(file: GgufFile, name: string): Promise<{ delta: Float64Array; columns: number }> {
  const [loraA, loraB] = [await file.readF32(`${name}.lora_a`), await file.readF32(`${name}.lora_b`)];
  const [rank, columns] = file.info(`${name}.lora_a`).shape as [number, number];
  assert.equal(file.info(`${name}.lora_b`).shape[1], rank);
  const alpha = file.metadata.get("adapter.lora.alpha") as number;
  return { delta: product({ loraA, loraB, rank, scaling: 1 }, alpha / rank), columns };
}

for (const modelType of Object.keys(FAMILIES)) {
  Deno.test(`exportGgufLora() adds to a ${modelType} in GGUF what the adapter adds to it`, async () => {
    const { base } = await familyModel(modelType), updates = loraUpdates(tinyAdapter(base));
    const out = new MemoryFolder("out"), { headDim } = base.config;
    await exportGgufLora(out, "lora.gguf", { source: { name: "tiny", base, updates }, type: "F32" });
    const file = await GgufFile.open(out, "lora.gguf");
    assert.equal(file.infos.size, 2 * updates.size);
    const architecture = file.metadata.get("general.architecture") as string;
    assert.deepEqual(
      ["general.type", "adapter.type", "adapter.lora.alpha"].map((key) => file.metadata.get(key)),
      ["adapter", "lora", 3],
    );
    for (const [target, update] of updates) {
      const { name, turned } = ggufName(architecture, target)!;
      const { delta, columns } = await addedBy(file, name);
      const want = product(update, update.scaling), placed = new Float64Array(want.length);
      for (let row = 0; row * columns < want.length; row++) {
        const to = turned === null ? row : turnedRow(row, headDim);
        placed.set(want.subarray(row * columns, (row + 1) * columns), to * columns);
      }
      assertClose(Float32Array.from(delta), Float32Array.from(placed), arithmetic("f32", "f32", 3));
      assert.equal(turned !== null, architecture === "llama" && /attn_[qk]\.weight$/.test(name));
    }
  });
}

Deno.test("exportGgufLora() keeps the strength of updates of other ranks and scalings", async () => {
  const { base } = await familyModel("qwen3"), path = (map: string) => `model.layers.0.mlp.${map}.weight`;
  const update = (rank: number, scaling: number): LoraUpdate => {
    return {
      loraA: new Float32Array(rank * 32).fill(0.5),
      loraB: new Float32Array(rank * 44).fill(0.25),
      rank,
      scaling,
    };
  };
  const updates = new Map([[path("up_proj"), update(4, 2)], [
    path("gate_proj"),
    update(7, 16 / Math.sqrt(7)),
  ]]);
  const out = new MemoryFolder("out");
  await exportGgufLora(out, "lora.gguf", { source: { name: "tiny", base, updates }, type: "F32" });
  const file = await GgufFile.open(out, "lora.gguf");
  for (const [name, target] of [["ffn_up", "up_proj"], ["ffn_gate", "gate_proj"]] as const) {
    const { delta } = await addedBy(file, `blk.0.${name}.weight`), given = updates.get(path(target))!;
    const want = product(given, given.scaling);
    assertClose(Float32Array.from(delta), Float32Array.from(want), arithmetic("f32", "f32", 7));
  }
});

Deno.test("exportGgufLora() refuses no adapter, magnitudes, a tensor without a place, and what f16 cannot hold", async () => {
  const { base } = await familyModel("llama"), out = new MemoryFolder("out");
  const write = (updates: ReadonlyMap<string, LoraUpdate>, type: "F16" | "F32" = "F16") =>
    exportGgufLora(out, "lora.gguf", { source: { name: "tiny", base, updates }, type });
  const one = (value: number) => ({
    loraA: new Float32Array(32).fill(1),
    loraB: new Float32Array(44).fill(value),
    rank: 1,
    scaling: 1,
  });
  await assert.rejects(write(new Map()), { name: "UnsupportedModelError", message: /it has none/ });
  await assert.rejects(write(new Map([["model.layers.0.mlp.router.weight", one(1)]])), {
    name: "UnsupportedModelError",
    message: /changes "model.layers.0.mlp.router.weight"/,
  });
  const dora = { ...one(1), magnitude: new Float32Array(44) };
  await assert.rejects(write(new Map([["model.layers.0.mlp.up_proj.weight", dora]])), {
    name: "UnsupportedModelError",
    message: /it has magnitudes \(DoRA\), which llama\.cpp does not know; export the merged model/,
  });
  const large = new Map([["model.layers.0.mlp.up_proj.weight", one(1e5)]]);
  await assert.rejects(write(large), { name: "RangeError", message: /as F16: .* holds 100000 at 0/ });
  assert.deepEqual(await out.list(), []);
  await write(large, "F32");
  assert.deepEqual(await out.list(), ["lora.gguf"]);
});
