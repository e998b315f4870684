import assert from "node:assert/strict";
import type { LoraUpdate } from "../../src/checkpoint/adapter.ts";
import { encodeFloats, type FloatDtype } from "../../src/quant/float16.ts";
import { addLowRank, mergedValues, mergeModel, type MergeProgress } from "../../src/checkpoint/merge.ts";
import { writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";

const Q = "model.layers.0.self_attn.q_proj.weight";
const ROWS = 7, COLUMNS = 5;

function update(rank: number, scaling = 2): LoraUpdate {
  return { loraA: ramp(rank * COLUMNS), loraB: ramp(ROWS * rank, { phase: 2 }), rank, scaling };
}

const DORA = { ...update(3), magnitude: ramp(ROWS, { phase: 4 }) };

/** W + s·B·A term by term, in f64. */
function reference(weights: Float32Array, { loraA, loraB, rank, scaling }: LoraUpdate): number[] {
  return Array.from(weights, (weight, i) => {
    const row = Math.floor(i / COLUMNS), column = i % COLUMNS;
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += loraB[row * rank + k]! * loraA[k * COLUMNS + column]!;
    return weight + scaling * sum;
  });
}

async function baseFolder(
  dtype: FloatDtype,
  weights = ramp(ROWS * COLUMNS, { phase: 1 }),
): Promise<MemoryFolder> {
  const folder = new MemoryFolder("base", {
    "config.json": '{ "model_type":"llama" }\n',
    "tokenizer.json": "{}",
    "chat_template.jinja": "{{ messages }}",
    "LICENSE.txt": "free",
    "README.md": "about the base",
    "training_args.bin": "x",
  });
  await writeSafetensors(folder, "model.safetensors", [
    { name: Q, dtype, shape: [ROWS, COLUMNS], data: encodeFloats(dtype, weights) },
    { name: "model.norm.weight", dtype: "F32", shape: [3], data: encodeFloats("F32", ramp(3)) },
    { name: "positions", dtype: "I64", shape: [1], data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
  ]);
  return folder;
}

async function merge(
  from: MemoryFolder,
  updates: [string, LoraUpdate][],
  onProgress = (_: MergeProgress) => {},
) {
  const out = new MemoryFolder("out");
  const base = await WeightFiles.open(from);
  await mergeModel({ base, baseFolder: from, out, updates: new Map(updates), onProgress });
  return { out, base };
}

for (const rank of [1, 3, 4, 5, 8]) {
  Deno.test(`addLowRank() adds s·B·A for rank ${rank}`, () => {
    const weights = ramp(ROWS * COLUMNS, { phase: 1 }), given = update(rank);
    const want = reference(weights, given);
    addLowRank(weights, Float64Array.from(given.loraA), given.loraB, rank, given.scaling);
    assertClose(weights, want.map(Math.fround), arithmetic("f32", "f32", 1));
  });
}

Deno.test("mergedValues() gives rows of DoRA the lengths that their magnitudes say", async () => {
  const { out, base } = await merge(await baseFolder("F32"), [[Q, DORA]]);
  const turned = reference(await base.readF32(Q), DORA);
  const want = turned.map((value, i) => {
    const row = Math.floor(i / COLUMNS),
      norm = Math.hypot(...turned.slice(row * COLUMNS, (row + 1) * COLUMNS));
    return value * DORA.magnitude[row]! / norm;
  });
  const written = await WeightFiles.open(out), given = mergedValues(base, new Map([[Q, DORA]]));
  assertClose(await written.readF32(Q), want.map(Math.fround), arithmetic("f32", "f32", 1));
  assert.deepEqual(await given.readF32(Q), await written.readF32(Q));
  assert.deepEqual(await given.readRowsF32(Q, 2, 3), await written.readRowsF32(Q, 2, 3));
});

Deno.test("addLowRank() leaves a row of zeros as it is, whatever its magnitude", () => {
  const weights = new Float32Array(COLUMNS);
  addLowRank(weights, new Float64Array(COLUMNS), new Float32Array(1), 1, 2, Float32Array.of(3));
  assertClose(weights, new Float32Array(COLUMNS), exact());
});

for (const dtype of ["F32", "F16", "BF16"] as const) {
  Deno.test(`mergeModel() rounds once to the base's dtype, here ${dtype}`, async () => {
    const folder = await baseFolder(dtype);
    const { out, base } = await merge(folder, [[Q, update(3)]]);
    const merged = await WeightFiles.open(out);
    assert.equal(merged.infos.get(Q)!.dtype, dtype);
    const sums = Float32Array.from(reference(await base.readF32(Q), update(3)));
    // The order of the sum may move the last bit of an f32; it does not reach the 16 bits kept here.
    const want = encodeFloats(dtype, sums), got = await merged.readRaw(Q);
    if (dtype === "F32") assertClose(await merged.readF32(Q), sums, arithmetic("f32", "f32", 1));
    else assert.deepEqual(got, want);
  });
}

for (const dtype of ["F32", "BF16"] as const) {
  Deno.test(`mergedValues() gives the values that mergeModel() writes, of ${dtype}`, async () => {
    const { out, base } = await merge(await baseFolder(dtype), [[Q, update(3)]]);
    const written = await WeightFiles.open(out), given = mergedValues(base, new Map([[Q, update(3)]]));
    assert.deepEqual(await given.readF32(Q), await written.readF32(Q));
    assert.deepEqual(await given.readRowsF32(Q, 2, 3), await written.readRowsF32(Q, 2, 3));
    assert.notDeepEqual(await given.readF32(Q), await base.readF32(Q));
    assert.deepEqual(await given.readF32("model.norm.weight"), await base.readF32("model.norm.weight"));
  });
}

Deno.test("mergeModel() of a quantised base drops what describes the quantisation", async () => {
  const from = await baseFolder("F32");
  await writeFile(
    from,
    "config.json",
    '{ "model_type":"llama", "quantization_config":{"load_in_4bit":true} }',
  );
  const { out } = await merge(from, []);
  assert.deepEqual(JSON.parse(await readText(out, "config.json")), { model_type: "llama" });
});

Deno.test("mergeModel() gives each row its own row of B, in a tensor of several pieces", async () => {
  const rows = 3, columns = 2 ** 19; // two rows a piece
  const folder = new MemoryFolder("base", { "config.json": "{}" });
  const data = new Uint8Array(4 * rows * columns);
  await writeSafetensors(folder, "model.safetensors", [{
    name: Q,
    dtype: "F32",
    shape: [rows, columns],
    data,
  }]);
  const given = {
    loraA: new Float32Array(columns).fill(1),
    loraB: Float32Array.of(1, 2, 3),
    rank: 1,
    scaling: 2,
  };
  const { out } = await merge(folder, [[Q, given]]);
  const merged = await (await WeightFiles.open(out)).readF32(Q);
  const ends = [0, 1, 2].flatMap((row) => [merged[row * columns]!, merged[(row + 1) * columns - 1]!]);
  assert.deepEqual(ends, [2, 2, 4, 4, 6, 6]);
});

Deno.test("mergeModel() leaves the other tensors untouched, whatever their dtype", async () => {
  const { out } = await merge(await baseFolder("F32"), [[Q, update(2)]]);
  const merged = await WeightFiles.open(out);
  assertClose(await merged.readF32("model.norm.weight"), ramp(3), exact());
  assert.deepEqual([...await merged.readRaw("positions")], [1, 2, 3, 4, 5, 6, 7, 8]);
});

Deno.test("mergeModel() copies what describes the model verbatim, and nothing else", async () => {
  const { out } = await merge(await baseFolder("F32"), []);
  assert.deepEqual(await out.list(), [
    "LICENSE.txt",
    "chat_template.jinja",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
  ]);
  assert.equal(await readText(out, "config.json"), '{ "model_type":"llama" }\n');
});

Deno.test("mergeModel() tells how many bytes are done, up to all", async () => {
  const seen: MergeProgress[] = [];
  await merge(await baseFolder("F32"), [[Q, update(2)]], (progress) => seen.push(progress));
  const totalBytes = ROWS * COLUMNS * 4 + 3 * 4 + 8;
  assert.deepEqual(seen.at(-1), { bytes: totalBytes, totalBytes });
  assert.equal(seen.length, 3);
});

Deno.test("mergeModel() splits the weights as the base does and keeps its index", async () => {
  const from = new MemoryFolder("base", { "config.json": "{}" });
  const tensor = (name: string) => {
    return { name, dtype: "F32", shape: [ROWS, COLUMNS], data: encodeFloats("F32", ramp(ROWS * COLUMNS)) };
  };
  await writeSafetensors(from, "a.safetensors", [tensor(Q)]);
  await writeSafetensors(from, "b.safetensors", [tensor("model.norm.weight")]);
  const index = JSON.stringify({
    weight_map: { [Q]: "a.safetensors", "model.norm.weight": "b.safetensors" },
  });
  await writeFile(from, "model.safetensors.index.json", index);
  const { out } = await merge(from, [[Q, update(2)]]);
  const merged = await WeightFiles.open(out);
  assert.deepEqual([...merged.files.keys()], ["a.safetensors", "b.safetensors"]);
  assertClose(
    await merged.readF32(Q),
    reference(ramp(35), update(2)).map(Math.fround),
    arithmetic("f32", "f32", 1),
  );
  assert.equal(await readText(out, "model.safetensors.index.json"), index);
});

Deno.test("mergeModel() refuses an update without a tensor, of another shape, or of codes", async () => {
  const refused = async (name: string, given: LoraUpdate, expected: { name: string; message: RegExp }) => {
    await assert.rejects(merge(await baseFolder("F32"), [[name, given]]), expected);
  };
  await refused("lm_head.weight", update(2), {
    name: "ModelFormatError",
    message: /has no tensor "lm_head.weight"/,
  });
  await refused(Q, { ...update(2), loraB: ramp(6 * 2) }, {
    name: "ModelFormatError",
    message: /q_proj.weight" is \[7, 5\], the update is for \[6, 5\]/,
  });
  await refused("positions", update(2), {
    name: "UnsupportedModelError",
    message: /"positions" as its dtype is I64/,
  });
});

Deno.test("mergeModel() refuses a result that overflows the base's dtype and leaves no weights and no config", async () => {
  const from = await baseFolder("F16", ramp(ROWS * COLUMNS).fill(65504));
  const given = {
    loraA: new Float32Array(COLUMNS),
    loraB: new Float32Array(ROWS).fill(1),
    rank: 1,
    scaling: 1,
  };
  given.loraA[3] = 100;
  const out = new MemoryFolder("out");
  const base = await WeightFiles.open(from);
  await assert.rejects(mergeModel({ base, baseFolder: from, out, updates: new Map([[Q, given]]) }), {
    name: "RangeError",
    message: /q_proj.weight": the value at row 0, column 3 becomes 65604, which is not a finite F16/,
  });
  assert.deepEqual(await out.list(), []);
});
