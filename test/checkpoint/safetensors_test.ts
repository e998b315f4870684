import assert from "node:assert/strict";
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { ModelFormatError, UnsupportedModelError } from "../../src/errors.ts";
import type { Folder } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

/** A file with a header of any content. */
function fileOf(header: string | Uint8Array, dataBytes = 0): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const open = (bytes: Uint8Array) =>
  SafetensorsFile.open(new MemoryFolder("m", { "w.safetensors": bytes }), "w.safetensors");

async function bytesOf(folder: Folder, name: string): Promise<Uint8Array> {
  const file = await folder.open(name);
  return await file.read(0, file.size);
}

Deno.test("writeSafetensors() writes the bytes that Python writes", async () => {
  const folder = new MemoryFolder();
  await writeSafetensors(folder, "w.safetensors", [
    { name: "b", dtype: "BF16", shape: [1], data: Uint8Array.of(0x80, 0x3f) },
    { name: "a", dtype: "F32", shape: [2, 1], data: Uint8Array.of(0, 0, 128, 63, 0, 0, 0, 64) },
  ]);
  // save_file({"a": torch.tensor([[1.], [2.]]), "b": torch.ones(1, dtype=torch.bfloat16)}, …, {"format": "pt"})
  const header = '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},' +
    '"b":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]}}';
  const want = [0x90, 0, 0, 0, 0, 0, 0, 0, ...new TextEncoder().encode(header.padEnd(0x90))];
  want.push(0, 0, 128, 63, 0, 0, 0, 64, 0x80, 0x3f);
  assert.deepEqual([...await bytesOf(folder, "w.safetensors")], want);
});

Deno.test("writeSafetensors() orders by dtype, then by the bytes of the name", async () => {
  const folder = new MemoryFolder();
  const names = ["layers.2", "layers.10", "\u{1f600}", "\uffee", "Z"];
  const tensors = (dtype: string) =>
    names.map((name): TensorToWrite => ({ name: dtype + name, dtype, shape: [0], data: new Uint8Array() }));
  await writeSafetensors(folder, "w", [...tensors("F16"), ...tensors("F32"), ...tensors("BF16")]);
  const { infos } = await SafetensorsFile.open(folder, "w");
  const sorted = ["Z", "layers.10", "layers.2", "\uffee", "\u{1f600}"];
  const want = ["F32", "BF16", "F16"].flatMap((dtype) => sorted.map((name) => dtype + name));
  assert.deepEqual([...infos.keys()], want);
});

Deno.test("writeSafetensors() takes data as a promise and as a stream", async () => {
  const folder = new MemoryFolder();
  await writeSafetensors(folder, "w", [
    { name: "promise", dtype: "F16", shape: [2], data: () => Promise.resolve(Uint8Array.of(1, 2, 3, 4)) },
    {
      name: "stream",
      dtype: "F16",
      shape: [2],
      data: async function* () {
        yield Uint8Array.of(5);
        yield Uint8Array.of(6, 7, 8);
      },
    },
  ], new Map());
  const file = await SafetensorsFile.open(folder, "w");
  assert.deepEqual([...await file.readRaw("promise")], [1, 2, 3, 4]);
  assert.deepEqual([...await file.readRaw("stream")], [5, 6, 7, 8]);
  assert.equal(file.metadata.size, 0);
});

Deno.test("writeSafetensors() leaves no file when a tensor's data is short, long or named twice", async () => {
  const folder = new MemoryFolder();
  const write = (...tensors: [string, number][]) =>
    writeSafetensors(
      folder,
      "w",
      tensors.map(([name, bytes]) => ({ name, dtype: "F32", shape: [2], data: new Uint8Array(bytes) })),
    );
  await assert.rejects(write(["x", 7]), {
    name: "RangeError",
    message: /"x": only 7 bytes came, F32 \[2\] takes 8/,
  });
  await assert.rejects(write(["x", 9]), { name: "RangeError", message: /"x": more than 8 bytes came/ });
  await assert.rejects(write(["x", 8], ["x", 8]), { name: "TypeError", message: /two tensors are "x"/ });
  assert.deepEqual(await folder.list(), []);
});

Deno.test("SafetensorsFile reads tensors whole, in bytes and in rows, widened to f32", async () => {
  const folder = new MemoryFolder();
  await writeSafetensors(folder, "w", [
    { name: "f32", dtype: "F32", shape: [3], data: new Uint8Array(Float32Array.of(1, -2, 0.1).buffer) },
    {
      name: "f16",
      dtype: "F16",
      shape: [3, 2],
      data: new Uint8Array(Uint16Array.of(0x3c00, 0, 1, 2, 3, 0xc000).buffer),
    },
    { name: "scalar", dtype: "BF16", shape: [], data: Uint8Array.of(0x40, 0x40) },
  ]);
  const file = await SafetensorsFile.open(folder, "w");
  assert.deepEqual(file.infos.get("f16"), { name: "f16", dtype: "F16", shape: [3, 2], byteLength: 12 });
  assert.equal(file.metadata.get("format"), "pt");
  assert.deepEqual(await file.readF32("f32"), Float32Array.of(1, -2, 0.1));
  assert.deepEqual(
    await file.readRowsF32("f16", 1, 2),
    Float32Array.of(2 ** -24, 2 ** -23, 3 * 2 ** -24, -2),
  );
  assert.deepEqual(await file.readF32("scalar"), Float32Array.of(3));
  assert.deepEqual([...await file.readRaw("f16", 10, 2)], [0, 0xc0]);
  await assert.rejects(file.readRaw("f16", 10, 3), {
    name: "RangeError",
    message: /bytes 10 to 13[^]*it has 12/,
  });
  await assert.rejects(file.readRowsF32("f16", 2, 2), {
    name: "RangeError",
    message: /rows 2 to 4[^]*\[3, 2\]/,
  });
  await assert.rejects(file.readF32("f64"), {
    name: "ModelFormatError",
    message: /"f64"[^]*holds 3 tensors[^]*"f32"/,
  });
});

Deno.test("SafetensorsFile lists and gives the bytes of dtypes that it cannot widen", async () => {
  const file = await open(fileOf('{"ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', 8));
  assert.equal((await file.readRaw("ids")).length, 8);
  await assert.rejects(file.readF32("ids"), (error: Error) => {
    assert.ok(error instanceof UnsupportedModelError);
    assert.match(error.message, /"ids" of "m\/w.safetensors"[^]*dtype is I64, F32, F16, BF16 can be read/);
    return true;
  });
});

const entry = (begin: number, end: number, more = {}) =>
  JSON.stringify({ dtype: "F32", shape: [(end - begin) / 4], data_offsets: [begin, end], ...more });

const LIES: readonly [string, Uint8Array, RegExp][] = [
  ["an empty file", new Uint8Array(), /it has 0 bytes, the header's length alone takes 8/],
  [
    "a huge header length",
    new Uint8Array(8).fill(0xff),
    /header of 18446744073709551615 bytes, at most 100000000/,
  ],
  ["a cut header", fileOf("{}").slice(0, 9), /header should have 2 bytes, the file has 9/],
  ["a header that is not UTF-8", fileOf(Uint8Array.of(0x7b, 0xff)), /not UTF-8/],
  ["a header that is not JSON", fileOf('{"a":'), /not JSON/],
  ["a header that is a list", fileOf("[]"), /the header is a list, an object is wanted/],
  [
    "a name given twice",
    fileOf(`{"a":${entry(0, 4)},"\\u0061":${entry(4, 8)}}`, 8),
    /names "a" more than once/,
  ],
  [
    "a shape given twice",
    fileOf('{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', 4),
    /"shape" more/,
  ],
  ["an entry that is no object", fileOf('{"a":null}'), /tensor "a": its entry is null/],
  [
    "an unknown dtype",
    fileOf(`{"a":${entry(0, 4, { dtype: "F33" })}}`, 4),
    /tensor "a": dtype is "F33", one of BOOL,/,
  ],
  [
    "a dtype named as a method",
    fileOf(`{"a":${entry(0, 4, { dtype: "toString" })}}`, 4),
    /dtype is "toString"/,
  ],
  ["a negative dimension", fileOf(`{"a":${entry(0, 4, { shape: [-1] })}}`, 4), /tensor "a": shape is \[-1\]/],
  [
    "backward offsets",
    fileOf(`{"a":${entry(0, 4, { data_offsets: [4, 0] })}}`, 4),
    /data_offsets is \[4,0\]/,
  ],
  [
    "a wrong byte count",
    fileOf(`{"a":${entry(0, 8, { shape: [3] })}}`, 8),
    /span 8 bytes, F32 \[3\] takes 12/,
  ],
  [
    "an overlap",
    fileOf(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12),
    /"b" begins at byte 4 and overlaps tensor "a", which ends at 8/,
  ],
  [
    "a hole",
    fileOf(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12),
    /"b" begins at byte 8 and leaves a hole after tensor "a" at 4/,
  ],
  [
    "data cut short",
    fileOf(`{"a":${entry(0, 8)}}`, 7),
    /"a" ends at byte 8 of the data, the file holds 7: it is cut short/,
  ],
  [
    "data that no tensor owns",
    fileOf(`{"a":${entry(0, 8)}}`, 9),
    /1 bytes after tensor "a" belong to no tensor/,
  ],
  ["metadata that is no string", fileOf('{"__metadata__":{"format":1}}'), /__metadata__ "format" is 1/],
];

for (const [what, bytes, message] of LIES) {
  Deno.test(`SafetensorsFile.open() refuses ${what}`, async () => {
    await assert.rejects(open(bytes), (error: Error) => {
      assert.ok(error instanceof ModelFormatError);
      assert.match(error.message, /^Cannot read "m\/w.safetensors" as safetensors: /);
      assert.match(error.message, message);
      return true;
    });
  });
}

const shared = new URL("../../../shared/golden/llama/adapter/adapter_model.safetensors", import.meta.url);
let golden: Uint8Array | undefined;
try {
  golden = Deno.readFileSync(shared);
} catch (error) {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

Deno.test({
  name: "writeSafetensors() rewrites a PEFT adapter byte for byte (needs shared data)",
  ignore: !golden,
  fn: async () => {
    const folder = new MemoryFolder("m", { "python.safetensors": golden! });
    const file = await SafetensorsFile.open(folder, "python.safetensors");
    const tensors = [...file.infos.values()].reverse().map(({ name, shape }): TensorToWrite => {
      return { name, dtype: "F32", shape, data: () => file.readRaw(name) };
    });
    await writeSafetensors(folder, "ours.safetensors", tensors, file.metadata);
    assert.equal(tensors.length, 28);
    assert.deepEqual(await bytesOf(folder, "ours.safetensors"), golden);
  },
});
