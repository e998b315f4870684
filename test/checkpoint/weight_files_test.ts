import assert from "node:assert/strict";
import { writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { INDEX_FILE, WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

const SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;

/** A folder with tensors a and b in the first file and c in the second; each [1] and equal to 1, 2, 3. */
async function sharded(
  weightMap: unknown = { a: SHARDS[0], b: SHARDS[0], c: SHARDS[1] },
): Promise<MemoryFolder> {
  const folder = new MemoryFolder("tiny");
  const tensor = (name: string, value: number) => {
    return { name, dtype: "F32", shape: [1], data: new Uint8Array(Float32Array.of(value).buffer) } as const;
  };
  await writeSafetensors(folder, SHARDS[0], [tensor("a", 1), tensor("b", 2)]);
  await writeSafetensors(folder, SHARDS[1], [tensor("c", 3)]);
  await writeFile(
    folder,
    INDEX_FILE,
    JSON.stringify({ metadata: { total_size: 12 }, weight_map: weightMap }),
  );
  return folder;
}

Deno.test("WeightFiles reads tensors from whichever file holds them", async () => {
  const weights = await WeightFiles.open(await sharded());
  assert.deepEqual([...weights.infos.keys()], ["a", "b", "c"]);
  assert.deepEqual([...weights.files.keys()], [...SHARDS]);
  assert.deepEqual(await weights.readF32("b"), Float32Array.of(2));
  assert.deepEqual(await weights.readRowsF32("c", 0, 1), Float32Array.of(3));
  assert.deepEqual([...await weights.readRaw("a", 2, 2)], [128, 63]);
  assert.equal(weights.has("c"), true);
  assert.equal(weights.has("d"), false);
  await assert.rejects(
    weights.readF32("d"),
    /tensor "d" of "tiny": model-00001-of-00002.safetensors, model-00002-of-00002.safetensors hold 3 tensors/,
  );
  await weights.close();
});

Deno.test("WeightFiles prefers model.safetensors to an index, as transformers does", async () => {
  const folder = await sharded();
  await writeSafetensors(folder, "model.safetensors", [{
    name: "x",
    dtype: "F16",
    shape: [0],
    data: new Uint8Array(),
  }]);
  assert.deepEqual([...(await WeightFiles.open(folder)).infos.keys()], ["x"]);
});

Deno.test("WeightFiles leaves out tensors that the index does not place in that file", async () => {
  const weights = await WeightFiles.open(await sharded({ a: SHARDS[0], c: SHARDS[1] }));
  assert.deepEqual([...weights.infos.keys()], ["a", "c"]);
});

Deno.test("WeightFiles.open() names the missing file of a split model", async () => {
  const folder = await sharded();
  await folder.remove(SHARDS[1]);
  await assert.rejects(WeightFiles.open(folder), {
    name: "ModelFormatError",
    message:
      /"tiny": model.safetensors.index.json names "model-00002-of-00002.safetensors", which is missing/,
  });
});

Deno.test("WeightFiles.open() names the tensor that its file does not hold", async () => {
  await assert.rejects(WeightFiles.open(await sharded({ a: SHARDS[0], c: SHARDS[0] })), {
    name: "ModelFormatError",
    message: /"model-00001-of-00002.safetensors" holds tensor "c", which it does not/,
  });
});

Deno.test("WeightFiles.open() refuses an index without a map, or with paths out of the folder", async () => {
  for (const map of [undefined, [], {}]) {
    await assert.rejects(WeightFiles.open(await sharded(map ?? null)), /weight_map is missing or empty/);
  }
  await assert.rejects(WeightFiles.open(await sharded({ a: "../other.safetensors" })), {
    name: "ModelFormatError",
    message: /tensor "a" the file "..\/other.safetensors", NAME.safetensors is wanted/,
  });
  const broken = new MemoryFolder("tiny", { [INDEX_FILE]: "{" });
  await assert.rejects(WeightFiles.open(broken), /"tiny\/model.safetensors.index.json": it is not JSON/);
});

Deno.test("WeightFiles.open() says what lies in a folder without weights", async () => {
  await assert.rejects(WeightFiles.open(new MemoryFolder("tiny", { "pytorch_model.bin": "" })), {
    name: "StorageNotFoundError",
    message: /weights in "tiny"[^]*found: pytorch_model.bin/,
  });
});
