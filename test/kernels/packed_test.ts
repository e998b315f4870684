import {
  BF16,
  F16,
  GGUF_FORMATS,
  type GroupedFormat,
  INT8,
  int8Words,
  NF4,
  NF4_DOUBLE,
  nf4DoubleWords,
  nf4Words,
  unpackToBuffer,
  unpackToTexture,
  vectorsPerLane,
  wordsOf,
} from "../../kernels/packed/kernel.ts";
import assert from "node:assert/strict";
import { matmulBackwardInput, matmulForward } from "../../kernels/matmul/kernel.ts";
import * as matmul from "../../kernels/matmul/reference.ts";
import { dequantizeScales, DYNAMIC_LEVELS, quantizeScales } from "../../src/quant/double_quant.ts";
import { decodeFloats, encodeFloats } from "../../src/quant/float16.ts";
import { decodeBlocks } from "../../src/quant/gguf_blocks.ts";
import { ggufType } from "../../src/quant/gguf_types.ts";
import { dequantizeInt8, quantizeInt8 } from "../../src/quant/int8.ts";
import { dequantizeNf4, quantizeNf4 } from "../../src/quant/nf4.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

interface Packed {
  readonly format: GroupedFormat;
  readonly rows: number;
  readonly cols: number;
  readonly words: Uint32Array<ArrayBuffer>;
  /** What the words stand for, by the format's own decoder. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** Bytes that look random and are the same every time. */
function noise(count: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

/** Random blocks whose f16 scales, at these byte offsets, are ordinary numbers. */
function ggufMatrix(name: string, rows: number, cols: number, scalesAt: readonly number[]): Packed {
  const type = ggufType(name), { blockValues, blockBytes } = type;
  const bytes = noise(rows * cols / blockValues * blockBytes, 7);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < bytes.length; block += blockBytes) {
    scalesAt.forEach((at, i) =>
      view.setUint16(block + at, 0x2c00 + 37 * (block / blockBytes) + 101 * i, true)
    );
  }
  const format = GGUF_FORMATS.get(name)!;
  return { format, rows, cols, words: wordsOf(bytes), values: decodeBlocks(type, bytes) };
}

function nf4Matrix(rows: number, cols: number): Packed {
  const { codes, absmax } = quantizeNf4(ramp(rows * cols, { scale: 0.3 }));
  return {
    format: NF4,
    rows,
    cols,
    words: nf4Words(codes, absmax),
    values: dequantizeNf4(codes, absmax, rows * cols),
  };
}

function nf4DoubleMatrix(rows: number, cols: number): Packed {
  const { codes, absmax } = quantizeNf4(ramp(rows * cols, { scale: 0.3 }));
  const nested = quantizeScales(absmax);
  const words = nf4DoubleWords(codes, { ...nested, levels: DYNAMIC_LEVELS });
  const values = dequantizeNf4(codes, dequantizeScales(nested), rows * cols);
  return { format: NF4_DOUBLE, rows, cols, words, values };
}

function int8Matrix(rows: number, cols: number): Packed {
  const { codes, absmax } = quantizeInt8(ramp(rows * cols, { scale: 0.3 }), cols);
  return {
    format: INT8,
    rows,
    cols,
    words: int8Words(codes, absmax, cols),
    values: dequantizeInt8(codes, absmax, cols),
  };
}

function floatMatrix(format: GroupedFormat, dtype: "F16" | "BF16", rows: number, cols: number): Packed {
  const bytes = encodeFloats(dtype, ramp(rows * cols, { scale: 0.3 }));
  return { format, rows, cols, words: wordsOf(bytes), values: decodeFloats(dtype, bytes) };
}

/** Odd numbers of rows; blocks that begin in the middle of a word; blocks that span rows; more than one superblock. */
const MATRICES: readonly Packed[] = [
  ggufMatrix("Q4_0", 5, 96, [0]),
  ggufMatrix("Q4_1", 5, 96, [0, 2]),
  ggufMatrix("Q5_0", 5, 96, [0]),
  ggufMatrix("Q5_1", 5, 96, [0, 2]),
  ggufMatrix("Q8_0", 5, 96, [0]),
  ggufMatrix("Q4_K", 3, 512, [0, 2]),
  ggufMatrix("Q5_K", 3, 512, [0, 2]),
  ggufMatrix("Q6_K", 3, 512, [208]),
  nf4Matrix(7, 36),
  nf4DoubleMatrix(67, 260),
  int8Matrix(5, 20),
  int8Matrix(5, 64),
  floatMatrix(F16, "F16", 5, 20),
  floatMatrix(BF16, "BF16", 5, 20),
];

/** Compiles quickly. */
const SMALL = { ...VARIANTS.software.forward, TILE_ROWS: 2, TILE_COLS: 2 };

/** One multiplication, one addition and the scale's own rounding. */
const ROUNDING = arithmetic("f32", "f32", 2);

for (const packed of MATRICES) {
  const { format, rows, cols, words, values } = packed;
  onEachCompiler(
    `${format.name} [${rows}, ${cols}]: the GPU unpacks what the file's decoder gives`,
    async (adapter) => {
      using run = new TestProgram(adapter);
      const w = run.holding(words), y = run.output([rows, cols]), copy = run.output([rows, cols]);
      const tile = { WORKGROUP_SIZE: 8, VECTORS: vectorsPerLane(format, cols) };
      run.recorder.dispatch(unpackToBuffer(format), { y, w }, { rows, w_cols: cols }, tile);
      const texture = run.recorder.texture("unpacked", 4 * Math.ceil(rows / 4), cols);
      run.recorder.dispatch(unpackToTexture(format), { y: texture, w }, { rows, w_cols: cols }, tile);
      // a product with the unit matrix reads the texture back
      const unit = run.holding(
        Float32Array.from({ length: cols * cols }, (_, i) => i % (cols + 1) === 0 ? 1 : 0),
      );
      const sizes = { rows, cols, x_cols: cols, w_cols: cols, scale: 1, first_row: 0 };
      const x = { source: "texture", texture } as const,
        w1 = { source: "vec4", tensor: unit.first([cols, cols]) } as const;
      run.recorder.dispatch(matmulForward, { y: copy, x, w: w1 }, sizes, SMALL);
      await run.run();
      assertClose(await run.read(y), wide(values), ROUNDING);
      assertClose(await run.read(copy), wide(await run.read(y)).map((value) => value + 0), exact()); // −0 · 1 + 0 is 0
    },
  );

  onEachCompiler(
    `${format.name} [${rows}, ${cols}]: products read it packed, forward and backward`,
    async (adapter) => {
      using run = new TestProgram(adapter);
      const w = { source: format, tensor: run.holding(words) } as const;
      const x = ramp(3 * cols), dy = ramp(3 * rows, { phase: 1 });
      const y = run.output([3, rows]), dx = run.output([3, cols]);
      const operand = (held: Float32Array<ArrayBuffer>, width: number) =>
        run.operand(run.holding(held, [3, width]), width % 4 === 0 ? "vec4" : "scalar");
      run.recorder.dispatch(
        matmulForward,
        { y, x: operand(x, cols), w },
        { rows: 3, cols: rows, x_cols: cols, w_cols: cols, scale: 1, first_row: 0 },
        SMALL,
      );
      run.recorder.dispatch(
        matmulBackwardInput("set", cols),
        { y: dx, x: operand(dy, rows), w },
        { rows: 3, cols, x_cols: rows, w_cols: cols, first_row: 0 },
        { ...SMALL, TILE_COLS: 1 },
      );
      await run.run();
      const want = matmul.matmulForward(wide(x), wide(values), { rows: 3, cols: rows, inner: cols });
      assertClose(await run.read(y), want, arithmetic("f32", "f32", cols + 2));
      const wantDx = matmul.matmulBackwardInput(wide(dy), wide(values), { rows: 3, cols, inner: rows });
      assertClose(await run.read(dx), wantDx, arithmetic("f32", "f32", rows + 2));
    },
  );
}

Deno.test("vectorsPerLane() never crosses a scale", () => {
  assert.deepEqual([NF4, INT8].map((format) => [20, 64, 96].map((cols) => vectorsPerLane(format, cols))), [[
    8,
    8,
    8,
  ], [
    1,
    8,
    8,
  ]]);
  assert.equal(vectorsPerLane(GGUF_FORMATS.get("Q6_K")!, 256), 4);
});
