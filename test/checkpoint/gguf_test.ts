import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { parseGgufHeader } from "../../src/checkpoint/gguf_header.ts";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { ModelFormatError, UnsupportedModelError } from "../../src/errors.ts";
import { encodeBlocks } from "../../src/quant/gguf_blocks.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import {
  bool,
  f32,
  ggufBytes,
  type GgufContent,
  type GgufEntry,
  type GgufTensorToWrite,
  i32s,
  text,
  texts,
  u32,
} from "../helpers/gguf_file.ts";

const F32 = 0, F16 = 1, Q8_0 = 8, IQ2_S = 22;

const open = (bytes: Uint8Array) => GgufFile.open(new MemoryFolder("m", { "w.gguf": bytes }), "w.gguf");

/** A tensor of `bytes` zeros that says what is asked. */
function zeros(bytes: number, says: Partial<GgufTensorToWrite> = {}): GgufTensorToWrite {
  return { name: "x", shape: [bytes / 4], type: F32, data: new Uint8Array(bytes), ...says };
}

Deno.test("GgufFile reads metadata of every type", async () => {
  const { metadata } = await open(ggufBytes({
    entries: [
      ["u8", { type: 0, value: 200 }],
      ["i8", { type: 1, value: -3 }],
      ["u16", { type: 2, value: 60_000 }],
      ["i16", { type: 3, value: -300 }],
      ["u32", u32(7)],
      ["i32", { type: 5, value: -7 }],
      ["f32", f32(1.5)],
      ["bool", bool(true)],
      ["text", text("héllo")],
      ["u64", { type: 10, value: 5 }],
      ["large", { type: 10, value: 2n ** 63n }],
      ["i64", { type: 11, value: -5 }],
      ["f64", { type: 12, value: 0.1 }],
      ["numbers", i32s([1, -2])],
      ["names", texts(["a", ""])],
      ["flags", { type: 9, element: 7, value: [true, false] }],
    ],
  }));
  assert.deepEqual(Object.fromEntries(metadata), {
    u8: 200,
    i8: -3,
    u16: 60_000,
    i16: -300,
    u32: 7,
    i32: -7,
    f32: 1.5,
    bool: true,
    text: "héllo",
    u64: 5,
    large: 2n ** 63n,
    i64: -5,
    f64: 0.1,
    numbers: Int32Array.of(1, -2),
    names: ["a", ""],
    flags: [true, false],
  });
});

Deno.test("GgufFile reads tensors whole and in rows, packed and dequantised", async () => {
  const values = ramp(5 * 64), packed = encodeBlocks("Q8_0", values);
  const file = await open(ggufBytes({
    tensors: [
      { name: "plain", shape: [3], type: F32, data: new Uint8Array(Float32Array.of(1, 2, 3).buffer) },
      { name: "packed", shape: [5, 64], type: Q8_0, data: packed },
      { name: "half", shape: [2, 2], type: F16, data: Uint8Array.of(0, 0x3c, 0, 0x40, 0, 0x42, 0, 0xc0) },
    ],
  }));
  assert.deepEqual(file.info("packed").shape, [5, 64]);
  assert.equal(file.info("packed").type.name, "Q8_0");
  assert.deepEqual([...await file.readF32("plain")], [1, 2, 3]);
  assert.deepEqual([...await file.readRowsF32("half", 1, 1)], [3, -2]);
  assert.deepEqual(await file.readRows("packed", 1, 2), packed.slice(68, 3 * 68));
  const whole = await file.readF32("packed");
  assertClose(await file.readRowsF32("packed", 3, 2), whole.slice(3 * 64), exact());
  await assert.rejects(file.readRows("packed", 4, 2), {
    name: "RangeError",
    message: 'Cannot read rows 4 to 6 of tensor "packed" in "m/w.gguf": its shape is [5, 64]',
  });
  await assert.rejects(file.readF32("other"), {
    name: "ModelFormatError",
    message:
      'Cannot read tensor "other" of "m/w.gguf": it holds 3 tensors, none of that name (the first are "plain", "packed", "half")',
  });
});

Deno.test("GgufFile lists tensors that it cannot decode, and gives their bytes", async () => {
  const file = await open(ggufBytes({ tensors: [zeros(2 * 82, { shape: [2, 256], type: IQ2_S })] }));
  assert.equal((await file.readRows("x", 1, 1)).length, 82);
  await assert.rejects(file.readF32("x"), (error: Error) => {
    assert.ok(error instanceof UnsupportedModelError);
    assert.match(error.message, /"x" of "m\/w\.gguf" as numbers: its type is IQ2_S, F32, F16, BF16, Q4_0/);
    return true;
  });
});

Deno.test("GgufFile begins data at the alignment that the file names", async () => {
  const file = await open(ggufBytes({
    alignment: 128,
    entries: [["general.alignment", u32(128)]],
    tensors: [
      zeros(4, { name: "a" }),
      zeros(4, { name: "b", data: new Uint8Array(Float32Array.of(5).buffer) }),
    ],
  }));
  assert.equal(file.info("b").firstByte % 128, 0);
  assert.deepEqual([...await file.readF32("b")], [5]);
});

Deno.test("parseGgufHeader() asks for more where the header goes on, and only there", () => {
  const bytes = ggufBytes({ entries: [["names", texts(["a", "b"])], ["n", u32(1)]], tensors: [zeros(64)] });
  const whole = parseGgufHeader(bytes, bytes.length, "w")!;
  const dataStart = whole.infos.get("x")!.firstByte;
  let shortest = bytes.length;
  for (let length = bytes.length; length >= 0; length--) {
    const header = parseGgufHeader(bytes.subarray(0, length), bytes.length, "w");
    if (header) {
      shortest = length;
      assert.deepEqual(header, whole);
    } else assert.ok(length < shortest);
  }
  assert.ok(shortest <= dataStart && shortest > dataStart - 32, `${shortest} bytes sufficed`);
});

Deno.test("GgufFile.open() reads on until a long header ends, and closes a file that it refuses", async () => {
  const names = Array.from({ length: 200_000 }, (_, i) => `token ${i}`);
  const file = await open(ggufBytes({ entries: [["names", texts(names)]] }));
  assert.deepEqual(file.metadata.get("names"), names);
  const folder = new MemoryFolder("m", { "w.gguf": "GGML" });
  let closed = 0;
  const openFile = folder.open.bind(folder);
  folder.open = async (name) =>
    Object.assign(await openFile(name), { close: () => Promise.resolve(void closed++) });
  await assert.rejects(GgufFile.open(folder, "w.gguf"), ModelFormatError);
  assert.equal(closed, 1);
});

const entries = (...all: (readonly [string, GgufEntry])[]): GgufContent => ({ entries: all });
const tensors = (...all: GgufTensorToWrite[]): GgufContent => ({ tensors: all });
const HUGE = 2n ** 63n;

/** Bytes of a file whose only metadata is the key "k" with what follows. */
function value(...bytes: number[]): Uint8Array {
  const file = ggufBytes({ entries: [["k", { type: 99, value: 0 }]] });
  return Uint8Array.from([...file.subarray(0, -4), ...bytes]);
}

const u64 = (count: number | bigint) => [...new Uint8Array(BigUint64Array.of(BigInt(count)).buffer)];

const LIES: readonly [string, GgufContent | Uint8Array, RegExp][] = [
  ["an empty file", new Uint8Array(), /the magic number ends at byte 4, the file has 0: it is cut short/],
  ["another format", { magic: "GGML" }, /it begins with 0x4c4d4747, "GGUF" is wanted/],
  [
    "a file that ends behind the magic number",
    ggufBytes({}).slice(0, 4),
    /version ends at byte 8, the file has 4/,
  ],
  ["a file that ends within its counts", ggufBytes({}).slice(0, 20), /metadata_kv_count ends at byte 24/],
  ["2^63 tensors", { tensorCount: HUGE }, /tensor_count is 9223372036854775808, at most 0 is possible/],
  ["more tensors than the file has bytes for", { tensorCount: 1 }, /tensor_count is 1, at most 0/],
  ["2^63 metadata entries", { entryCount: HUGE }, /metadata_kv_count is 9223372036854775808, at most 1 /],
  ["one metadata entry too many", { entryCount: 1 }, /the length of key 0 of the metadata ends at byte 32/],
  ["a key that is empty", entries(["", u32(1)]), /key 0 of the metadata is empty/],
  [
    "a key of 2^63 bytes",
    Uint8Array.from([...value().subarray(0, 24), ...u64(HUGE), 0, 0, 0, 0, 0, 0]),
    /the length of key 0 of the metadata is 9223372036854775808, at most 65535/,
  ],
  [
    "a key that is not UTF-8",
    Uint8Array.from([...value().subarray(0, 32), 0xff, 4, 0, 0, 0, 1, 0, 0, 0]),
    /key 0 of the metadata is not UTF-8 text/,
  ],
  ["a key that occurs twice", entries(["k", u32(1)], ["k", u32(2)]), /the metadata has "k" more than once/],
  ["an unknown value type", value(13, 0, 0, 0, 0), /"k" has type 13, 0 to 12 are known/],
  ["a cut number", value(4, 0, 0, 0, 1, 2), /"k" ends at byte 41, the file has 39/],
  ["a boolean that is neither", value(7, 0, 0, 0, 2), /"k" is a boolean of 2, 0 or 1 is wanted/],
  [
    "a string of 2^63 bytes",
    value(8, 0, 0, 0, ...u64(HUGE)),
    /the length of "k" is 9223372036854775808, at most/,
  ],
  [
    "a string longer than the file",
    value(8, 0, 0, 0, ...u64(9), 65),
    /"k" ends at byte 54, the file has 46/,
  ],
  ["a string that is not UTF-8", value(8, 0, 0, 0, ...u64(1), 0xc3), /"k" is not UTF-8 text/],
  [
    "an array of 2^63 numbers",
    value(9, 0, 0, 0, 0, 0, 0, 0, ...u64(HUGE)),
    /the length of "k" is 9223372036854775808, at most 0/,
  ],
  [
    "an array of more strings than fit",
    value(9, 0, 0, 0, 8, 0, 0, 0, ...u64(2), ...u64(0)),
    /the length of "k" is 2, at most 1/,
  ],
  [
    "an array of wide numbers that is cut",
    value(9, 0, 0, 0, 12, 0, 0, 0, ...u64(2), ...u64(0)),
    /"k" ends at byte 65, the file has 57/,
  ],
  ["an array of an unknown type", value(9, 0, 0, 0, 77, 0, 0, 0, ...u64(0)), /"k" has type 77/],
  [
    "arrays nested four deep",
    value(9, 0, 0, 0, ...[1, 2, 3].flatMap(() => [9, 0, 0, 0, ...u64(1)]), 0, 0, 0, 0, ...u64(0)),
    /"k"\[0\]\[0\]\[0\] nests arrays more than 3 deep/,
  ],
  [
    "an alignment of 0",
    entries(["general.alignment", u32(0)]),
    /"general.alignment" is 0, a power of two up to/,
  ],
  [
    "an alignment of 24",
    entries(["general.alignment", u32(24)]),
    /"general.alignment" is 24, a power of two/,
  ],
  [
    "an alignment in words",
    entries(["general.alignment", text("wide")]),
    /"general.alignment" is wide, a power/,
  ],
  ["a tensor without a name", tensors(zeros(4, { name: "" })), /the name of tensor 0 is empty/],
  ["two tensors of one name", tensors(zeros(4), zeros(4)), /two tensors are "x"/],
  [
    "a tensor of no dimensions",
    tensors(zeros(4, { shape: [] })),
    /tensor "x" has 0 dimensions, 1 to 4 are possible/,
  ],
  [
    "a tensor of five dimensions",
    tensors(zeros(4, { shape: [1, 1, 1, 1, 1] })),
    /tensor "x" has 5 dimensions/,
  ],
  ["a size of 0", tensors(zeros(4, { shape: [3, 0] })), /size 0 of tensor "x" is 0/],
  [
    "a size of 2^63",
    tensors(zeros(4, { shape: [HUGE] })),
    /size 0 of tensor "x" is 9223372036854775808, at most/,
  ],
  [
    "sizes whose product overflows",
    tensors(zeros(4, { shape: [2 ** 31, 2 ** 31] })),
    /tensor "x" is \[2147483648, 2147483648\], more than any file holds/,
  ],
  [
    "sizes whose product wraps around 2^64",
    tensors(zeros(4, { shape: [2 ** 32, 2 ** 32] })),
    /tensor "x" is \[4294967296, 4294967296\], more than any file holds/,
  ],
  [
    "an unknown element type",
    tensors(zeros(4, { type: 200 })),
    /tensor "x" has type 200, which is none of ggml's/,
  ],
  [
    "a row of half a block",
    tensors(zeros(34, { shape: [1, 48], type: Q8_0 })),
    /rows of 48 values, Q8_0 packs blocks of 32/,
  ],
  [
    "an offset of 2^63",
    tensors(zeros(4, { offset: HUGE })),
    /the offset of tensor "x" is 9223372036854775808, at most/,
  ],
  [
    "an offset past the end",
    tensors(zeros(4, { offset: 4096 })),
    /tensor "x" ends at byte 4[0-9]{3}, the file has/,
  ],
  [
    "a crooked offset",
    tensors(zeros(64, { offset: 4 })),
    /the offset of tensor "x" is 4, a multiple of 32 is wanted/,
  ],
  [
    "data cut short",
    ggufBytes(tensors(zeros(64))).slice(0, -1),
    /tensor "x" ends at byte \d+, the file has \d+: it is cut short/,
  ],
  [
    "an overlap",
    tensors(zeros(64, { name: "a" }), zeros(64, { name: "b", offset: 32 })),
    /tensor "b" begins at byte \d+ and overlaps "a", which ends at \d+/,
  ],
];

for (const [what, content, message] of LIES) {
  Deno.test(`GgufFile.open() refuses ${what}`, async () => {
    await assert.rejects(
      open(content instanceof Uint8Array ? content : ggufBytes(content)),
      (error: Error) => {
        assert.ok(error instanceof ModelFormatError, String(error));
        assert.match(error.message, /^Cannot read "m\/w\.gguf" as GGUF: /);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

Deno.test("GgufFile.open() says of other versions and byte orders that they are not supported", async () => {
  for (
    const [version, found] of [[1, "version 1"], [4, "version 4"], [3 << 24, "big-endian numbers"]] as const
  ) {
    await assert.rejects(open(ggufBytes({ version })), (error: Error) => {
      assert.ok(error instanceof UnsupportedModelError);
      assert.ok(
        error.message.includes(`it has ${found}, and little-endian files of version 2 or 3`),
        error.message,
      );
      return true;
    });
  }
});

const shared = new URL("../../../shared/golden/quant", import.meta.url).pathname;

Deno.test({
  name: "GgufFile reads what the gguf package wrote and dequantised (needs shared data)",
  ignore: !existsSync(shared),
  fn: async () => {
    const folder = new LocalFolder(shared);
    const file = await GgufFile.open(folder, "tiny.gguf");
    const want = await SafetensorsFile.open(folder, "tiny_gguf_expected.safetensors");
    assert.equal(file.metadata.get("test.str"), "héllo");
    assert.deepEqual(file.metadata.get("test.sarr"), ["a", "bc"]);
    assert.deepEqual([...file.infos.keys()].sort(), [...want.infos.keys()].sort());
    for (const [name, { shape }] of want.infos) {
      assert.deepEqual(file.info(name).shape, shape);
      assertClose(await file.readF32(name), await want.readF32(name), exact());
    }
    await file.close();
    await want.close();
  },
});
