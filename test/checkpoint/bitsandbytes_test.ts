import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { BitsandbytesWeights, isBitsandbytes } from "../../src/checkpoint/bitsandbytes.ts";
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { ModelFormatError, UnsupportedModelError } from "../../src/errors.ts";
import { dequantizeScales, DYNAMIC_LEVELS, quantizeScales } from "../../src/quant/double_quant.ts";
import { dequantizeInt8, quantizeInt8 } from "../../src/quant/int8.ts";
import { dequantizeNf4, NF4_LEVELS, quantizeNf4 } from "../../src/quant/nf4.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";

const STATE = "x.weight.quant_state.bitsandbytes__nf4";
const floats = (values: ArrayLike<number>) => new Uint8Array(Float32Array.from(values).buffer);
const f32 = (name: string, values: ArrayLike<number>, shape = [values.length]): TensorToWrite => {
  return { name, dtype: "F32", shape, data: floats(values) };
};
const u8 = (name: string, data: Uint8Array, shape = [data.length]): TensorToWrite => ({
  name,
  dtype: "U8",
  shape,
  data,
});
const json = (name: string, value: unknown) => u8(name, new TextEncoder().encode(JSON.stringify(value)));

const ROWS = 6, COLS = 100; // 600 values: 9 whole blocks and a short one, which no row ends with
const X = ramp(ROWS * COLS);

/** What bitsandbytes writes for the matrix X as `x.weight`, 4-bit, its scales nested or not. */
function nf4Tensors(nested: boolean, state: Record<string, unknown> = {}): TensorToWrite[] {
  const { codes, absmax } = quantizeNf4(X), scales = quantizeScales(absmax);
  const fields = { quant_type: "nf4", blocksize: 64, dtype: "bfloat16", shape: [ROWS, COLS] };
  const more = nested ? { nested_blocksize: 256, nested_dtype: "float32", nested_offset: scales.offset } : {};
  return [
    u8("x.weight", codes, [codes.length, 1]),
    f32("x.weight.quant_map", NF4_LEVELS),
    json(STATE, { ...fields, ...more, ...state }),
    ...(nested
      ? [
        u8("x.weight.absmax", scales.codes),
        f32("x.weight.nested_absmax", scales.nestedAbsmax),
        f32("x.weight.nested_quant_map", DYNAMIC_LEVELS),
      ]
      : [f32("x.weight.absmax", absmax)]),
  ];
}

function int8Tensors(): TensorToWrite[] {
  const { codes, absmax } = quantizeInt8(X, COLS);
  return [
    { name: "y.weight", dtype: "I8", shape: [ROWS, COLS], data: new Uint8Array(codes.buffer) },
    f32("y.SCB", absmax),
    u8("y.weight_format", Uint8Array.of(0), []),
  ];
}

async function weightsOf(tensors: readonly TensorToWrite[]): Promise<WeightFiles> {
  const folder = new MemoryFolder("m");
  await writeSafetensors(folder, "model.safetensors", tensors);
  return await WeightFiles.open(folder);
}

const open = async (tensors: readonly TensorToWrite[]) =>
  await BitsandbytesWeights.open(await weightsOf(tensors));
const norm = f32("norm.weight", [1, 2]);

Deno.test("BitsandbytesWeights shows matrices where the file has codes, and all else as it is", async () => {
  const plain = await weightsOf([norm]);
  assert.equal(isBitsandbytes(plain.infos), false);
  const inner = await weightsOf([...nf4Tensors(true), ...int8Tensors(), norm]);
  assert.equal(isBitsandbytes(inner.infos), true);
  const weights = await BitsandbytesWeights.open(inner);
  assert.deepEqual([...weights.infos.keys()].sort(), ["norm.weight", "x.weight", "y.weight"]);
  for (const name of ["x.weight", "y.weight"]) {
    assert.deepEqual(weights.infos.get(name), {
      name,
      dtype: "F32",
      shape: [ROWS, COLS],
      byteLength: 4 * ROWS * COLS,
    });
  }
  assert.deepEqual([...weights.files].map(([file, infos]) => [file, infos.length]), [[
    "model.safetensors",
    3,
  ]]);
  assert.deepEqual([...await weights.readF32("norm.weight")], [1, 2]);
  assert.deepEqual(await weights.readRaw("norm.weight"), floats([1, 2]));
  assert.equal(await weights.quantised("norm.weight"), null);
});

for (const nested of [false, true]) {
  Deno.test(`BitsandbytesWeights decodes NF4 with ${nested ? "nested" : "plain"} scales, whole, in rows and in bytes`, async () => {
    const weights = await open(nf4Tensors(nested));
    const { codes, absmax } = quantizeNf4(X), scales = quantizeScales(absmax);
    const want = dequantizeNf4(codes, nested ? dequantizeScales(scales) : absmax, X.length);
    assertClose(await weights.readF32("x.weight"), want, exact());
    for (const [first, count] of [[0, 1], [1, 2], [5, 1], [3, 0]] as const) {
      const got = await weights.readRowsF32("x.weight", first, count);
      assertClose(got, want.slice(first * COLS, (first + count) * COLS), exact());
    }
    assert.deepEqual(await weights.readRaw("x.weight", 10, 1000), floats(want).slice(10, 1010));
    assert.deepEqual(await weights.readCodes("x.weight"), codes);
    const matrix = await weights.quantised("x.weight");
    assert.ok(matrix?.kind === "nf4");
    assert.deepEqual([matrix.shape, matrix.blockValues], [[ROWS, COLS], 64]);
    assert.deepEqual(matrix.nested?.codes ?? null, nested ? scales.codes : null);
    await assert.rejects(weights.readRowsF32("x.weight", 5, 2), {
      name: "RangeError",
      message: /rows 5 to 7/,
    });
  });
}

Deno.test("BitsandbytesWeights decodes 8-bit rows", async () => {
  const weights = await open(int8Tensors());
  const { codes, absmax } = quantizeInt8(X, COLS), want = dequantizeInt8(codes, absmax, COLS);
  assertClose(await weights.readF32("y.weight"), want, exact());
  assertClose(await weights.readRowsF32("y.weight", 2, 3), want.slice(2 * COLS, 5 * COLS), exact());
  assert.deepEqual(await weights.quantised("y.weight"), { kind: "int8", shape: [ROWS, COLS], absmax });
});

/** The tensors with one replaced, or left out. */
function changed(tensors: readonly TensorToWrite[], name: string, by: TensorToWrite | null): TensorToWrite[] {
  return [...tensors.filter((tensor) => tensor.name !== name), ...(by ? [by] : [])];
}

const nested = nf4Tensors(true), plain = nf4Tensors(false), int8 = int8Tensors();

const LIES: readonly [string, readonly TensorToWrite[], RegExp][] = [
  [
    "a state that is no JSON",
    changed(plain, STATE, u8(STATE, Uint8Array.of(0x7b))),
    /quant_state is not JSON/,
  ],
  ["a state that is no object", changed(plain, STATE, json(STATE, [1])), /quant_state is not a JSON object/],
  [
    "a state of 65 kB",
    changed(plain, STATE, u8(STATE, new Uint8Array(65_537))),
    /quant_state has 65537 bytes, at most 65536/,
  ],
  [
    "another type in the state",
    nf4Tensors(false, { quant_type: "fp4" }),
    /quant_type of its quant_state is "fp4", "nf4" is wanted/,
  ],
  [
    "no shape",
    nf4Tensors(false, { shape: undefined }),
    /shape of its quant_state is missing, \[out, in\] is wanted/,
  ],
  ["a shape of one size", nf4Tensors(false, { shape: [600] }), /shape of its quant_state is \[600\]/],
  ["a negative size", nf4Tensors(false, { shape: [-6, -100] }), /shape of its quant_state is \[-6,-100\]/],
  [
    "a shape that overflows",
    nf4Tensors(false, { shape: [2 ** 40, 2 ** 40] }),
    /shape of its quant_state is \[10995/,
  ],
  ["a shape for more codes", nf4Tensors(false, { shape: [7, 100] }), /it is 300 bytes, \[7, 100\] takes 350/],
  [
    "a block size of 0",
    nf4Tensors(false, { blocksize: 0 }),
    /blocksize of its quant_state is 0, a power of two/,
  ],
  ["an odd block size", nf4Tensors(false, { blocksize: 65 }), /blocksize of its quant_state is 65/],
  [
    "scales for other blocks",
    nf4Tensors(false, { blocksize: 128 }),
    /"x.weight.absmax" is F32 with 10 values, F32 with 5 is wanted/,
  ],
  [
    "scales that are missing",
    changed(plain, "x.weight.absmax", null),
    /"x.weight.absmax" is missing, F32 with 10/,
  ],
  [
    "nested scales in f32",
    changed(nested, "x.weight.absmax", f32("x.weight.absmax", Array(10).fill(1))),
    /"x.weight.absmax" is F32 with 10 values, U8 with 10/,
  ],
  ["no levels", changed(plain, "x.weight.quant_map", null), /"x.weight.quant_map" is missing, F32 with 16/],
  [
    "too few nested levels",
    changed(nested, "x.weight.nested_quant_map", f32("x.weight.nested_quant_map", [1])),
    /nested_quant_map" is F32 with 1 values, F32 with 256/,
  ],
  [
    "no nested scales",
    changed(nested, "x.weight.nested_absmax", null),
    /nested_absmax" is missing, F32 with 1/,
  ],
  [
    "an offset in words",
    nf4Tensors(true, { nested_offset: "NaN" }),
    /nested_offset of its quant_state is "NaN", a number/,
  ],
  ["no codes", changed(plain, "x.weight", null), /it is 0 bytes, \[6, 100\] takes 300/],
  [
    "8-bit scales for other rows",
    changed(int8, "y.SCB", f32("y.SCB", [1])),
    /"y.SCB" is F32 with 1 values, F32 with 6/,
  ],
  [
    "8-bit scales without codes",
    changed(int8, "y.weight", null),
    /it is missing, beside "y.SCB" an I8 matrix/,
  ],
  [
    "8-bit scales of floats",
    changed(int8, "y.weight", f32("y.weight", [1])),
    /it is F32 \[1\], beside "y.SCB"/,
  ],
];

for (const [what, tensors, message] of LIES) {
  Deno.test(`BitsandbytesWeights.open() refuses ${what}`, async () => {
    await assert.rejects(open(tensors), (error: Error) => {
      assert.ok(error instanceof ModelFormatError, String(error));
      assert.match(error.message, /^Cannot read tensor "[xy]\.weight" as bitsandbytes wrote it: /);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("BitsandbytesWeights.open() says that FP4 and columns are not supported", async () => {
  const fp4 = STATE.replace("nf4", "fp4");
  const cases = [
    [changed(plain, STATE, json(fp4, {})), /"x.weight": it is in FP4, and NF4 is supported/],
    [
      changed(int8, "y.weight_format", u8("y.weight_format", Uint8Array.of(2), [])),
      /"y.weight": its weight_format is 2/,
    ],
  ] as const;
  for (const [tensors, message] of cases) {
    await assert.rejects(open(tensors), (error: Error) => {
      assert.ok(error instanceof UnsupportedModelError);
      assert.match(error.message, message);
      return true;
    });
  }
});

const dir = new URL("../../../shared/golden/quant", import.meta.url).pathname;

Deno.test({
  name: "BitsandbytesWeights decodes what bitsandbytes wrote (needs shared data)",
  ignore: !existsSync(dir),
  fn: async () => {
    const golden = await SafetensorsFile.open(new LocalFolder(dir), "nf4.safetensors");
    const copied = async (from: string, to: string): Promise<TensorToWrite> => {
      const { dtype, shape } = golden.infos.get(from)!;
      return { name: to, dtype, shape, data: await golden.readRaw(from) };
    };
    for (const k of [0, 1, 2, 3]) {
      for (const kind of ["plain", "dq"]) {
        const parts = [...golden.infos.keys()].filter((name) => name.startsWith(`hf.${k}.${kind}.`));
        const tensors = await Promise.all(
          parts.map((name) => copied(name, name.replace(/^hf\.\d\.\w+/, "m"))),
        );
        const weights = await open([...tensors, await copied(`nf4.${k}.${kind}.packed`, "m.weight")]);
        assert.deepEqual([...weights.infos.keys()], ["m.weight"]);
        assertClose(
          await weights.readF32("m.weight"),
          await golden.readF32(`nf4.${k}.${kind}.dequant`),
          exact(),
        );
      }
    }
    await golden.close();
  },
});
