/**
 * Matrix products of one tile against their f64 twins: each check records several launches in one program.
 *
 * @module
 */
import {
  forwardKernel,
  type ForwardParts,
  loraBackwardA,
  loraBackwardB,
  loraBackwardInput,
  matmulBackwardInput,
  type OutputMode,
  type Tile,
} from "../../kernels/matmul/kernel.ts";
import * as reference from "../../kernels/matmul/reference.ts";
import type { OperandSource } from "../../src/gpu/kernel.ts";
import { matrixShape, type Tensor } from "../../src/tensor.ts";
import { arithmetic, assertClose } from "./close.ts";
import { ramp } from "./fill.ts";
import { adapters, onEveryAdapter, type TestAdapter, TestProgram } from "./gpu.ts";
import { wide } from "./gradient.ts";

/** A product's sizes. */
export interface ProductSize {
  readonly rows: number;
  readonly cols: number;
  readonly inner: number;
  readonly rank: number;
}

/** How it is computed. */
export interface ProductSetting {
  readonly tile: Tile;
  readonly source: OperandSource;
  /** Forms of x·wᵀ; by default the bare one and the one with all parts. */
  readonly parts?: readonly ForwardParts[];
  /** Only the forms with all parts, for tiles that take long to compile. */
  readonly fullOnly?: boolean;
}

export const sum = (...parts: Float64Array[]) =>
  parts[0]!.map((_, i) => parts.reduce((total, part) => total + part[i]!, 0));

/** Declares a test on every adapter that has a feature; skipped by name on the others. */
export function onFeature(
  feature: string,
  name: string,
  test: (adapter: TestAdapter) => Promise<void>,
): void {
  for (const adapterName of ["deno", "dawn"] as const) {
    const has = adapters.find((adapter) => adapter.name === adapterName)?.gpu.features.has(feature);
    if (has === false) {
      Deno.test({ name: `${name} [${adapterName}] (no ${feature})`, ignore: true, fn: () => {} });
    } else onEveryAdapter(name, test, [adapterName]);
  }
}

const ALL: ForwardParts = { lowRank: true, bias: true, addend: true };
const BARE: ForwardParts = { lowRank: false, bias: false, addend: false };
/** All combinations. */
export const EVERY_PART: readonly ForwardParts[] = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => {
  return { lowRank: (bits & 1) > 0, bias: (bits & 2) > 0, addend: (bits & 4) > 0 };
});

/** Data, rounded to f16 for tiles that keep operands in it, so that both sides see the same values. */
function dataFor({ HALF }: Tile) {
  return (count: number, phase = 0) => {
    const values = ramp(count, { phase });
    return HALF ? values.map((value) => Math.f16round(value)) : values;
  };
}

/** A tensor as an operand from a source, or from the nearest that its width allows. */
function bound(run: TestProgram, tensor: Tensor, source: OperandSource) {
  const fits = source !== "vec4" || matrixShape(tensor).cols % 4 === 0;
  return run.operand(tensor, fits ? source : "scalar");
}

/** y = 0.75·(x·wᵀ + u·bᵀ) + bias + addend, and forms with fewer parts. */
export async function checkForward(adapter: TestAdapter, size: ProductSize, setting: ProductSetting) {
  const { rows, cols, inner, rank } = size, { tile, source } = setting;
  const data = dataFor(tile);
  const x = data(rows * inner), w = data(cols * inner, 1), u = data(rows * rank, 2), b = data(cols * rank, 3);
  const bias = ramp(cols, { phase: 5 }), addend = ramp(rows * cols, { phase: 4 });
  using run = new TestProgram(adapter);
  const operand = (values: Float32Array<ArrayBuffer>, shape: number[]) =>
    bound(run, run.holding(values, shape), source);
  const base = { x: operand(x, [rows, inner]), w: operand(w, [cols, inner]) };
  const low = { u: operand(u, [rows, rank]), b: operand(b, [cols, rank]) };
  const added = { bias: run.holding(bias), addend: run.holding(addend, [rows, cols]) };
  const forms = setting.parts ?? (setting.fullOnly ? [ALL] : [BARE, ALL]);
  const outputs = forms.map((parts) => {
    const y = run.output([rows, cols], JSON.stringify(parts));
    const values = {
      y,
      ...base,
      ...(parts.lowRank ? low : {}),
      ...(parts.bias ? { bias: added.bias } : {}),
      ...(parts.addend ? { addend: added.addend } : {}),
    };
    const ranks = parts.lowRank ? { u_cols: rank, b_cols: rank } : {};
    const sizes = { rows, cols, first_row: 0, x_cols: inner, w_cols: inner, ...ranks, scale: 0.75 };
    run.recorder.dispatch(forwardKernel(parts), values, sizes, tile);
    return { y, parts };
  });
  await run.run();
  const main = reference.matmulForward(wide(x), wide(w), { rows, cols, inner, scale: 0.75 });
  const update = reference.matmulForward(wide(u), wide(b), { rows, cols, inner: rank, scale: 0.75 });
  for (const { y, parts } of outputs) {
    const want = main.map((value, i) =>
      value + (parts.lowRank ? update[i]! : 0) + (parts.bias ? bias[i % cols]! : 0) +
      (parts.addend ? addend[i]! : 0)
    );
    assertClose(await run.read(y), want, arithmetic("f32", "f32", inner + rank + 2));
  }
}

/** y (+)= x·w + v·a, with and without each part. */
export async function checkBackwardInput(adapter: TestAdapter, size: ProductSize, setting: ProductSetting) {
  const { rows, cols, inner, rank } = size, { tile, source } = setting;
  const data = dataFor(tile);
  const x = data(rows * inner), w = data(inner * cols, 1), v = data(rows * rank, 2), a = data(rank * cols, 3);
  const before = ramp(rows * cols, { phase: 4 });
  using run = new TestProgram(adapter);
  const operand = (values: Float32Array<ArrayBuffer>, shape: number[]) =>
    bound(run, run.holding(values, shape), source);
  const base = { x: operand(x, [rows, inner]), w: operand(w, [inner, cols]) };
  const low = { v: operand(v, [rows, rank]), a: operand(a, [rank, cols]) };
  const sizes = { rows, cols, first_row: 0, x_cols: inner, w_cols: cols };
  const modes: readonly OutputMode[] = setting.fullOnly ? ["accumulate"] : ["set", "accumulate"];
  const outputs = modes.map((mode) => {
    const make = () => mode === "set" ? run.output([rows, cols]) : run.holding(before, [rows, cols]);
    const plain = setting.fullOnly ? null : make(), lora = make();
    if (plain) run.recorder.dispatch(matmulBackwardInput(mode, cols), { y: plain, ...base }, sizes, tile);
    const lowSizes = { ...sizes, v_cols: rank, a_cols: cols };
    run.recorder.dispatch(loraBackwardInput(mode, cols), { y: lora, ...base, ...low }, lowSizes, tile);
    return { mode, plain, lora };
  });
  await run.run();
  const main = reference.matmulBackwardInput(wide(x), wide(w), { rows, cols, inner });
  const both = sum(main, reference.matmulBackwardInput(wide(v), wide(a), { rows, cols, inner: rank }));
  const tolerance = arithmetic("f32", "f32", inner + rank + 1);
  for (const { mode, plain, lora } of outputs) {
    const want = (value: Float64Array) => mode === "set" ? value : sum(value, wide(before));
    if (plain) assertClose(await run.read(plain), want(main), tolerance);
    assertClose(await run.read(lora), want(both), tolerance);
  }
}

/** dA += leftᵀ·right and dB += rightᵀ·left; `rank` columns on the left, `cols` on the right. */
export async function checkBackwardFactor(adapter: TestAdapter, size: ProductSize, setting: ProductSetting) {
  const { rows, cols, rank } = size, { tile, source } = setting;
  const data = dataFor(tile);
  const left = data(rows * rank), right = data(rows * cols, 1), before = ramp(rank * cols, { phase: 2 });
  using run = new TestProgram(adapter);
  const operands = {
    left: bound(run, run.holding(left, [rows, rank]), source),
    right: bound(run, run.holding(right, [rows, cols]), source),
  };
  const sizes = { rows, first_row: 0, left_cols: rank, right_cols: cols };
  const da = run.holding(before, [rank, cols]), db = run.holding(before, [cols, rank]);
  run.recorder.dispatch(loraBackwardA, { out: da, ...operands }, sizes, tile);
  run.recorder.dispatch(loraBackwardB, { out: db, ...operands }, sizes, tile);
  await run.run();
  const outer = reference.matmulBackwardFactor(wide(left), wide(right), {
    rows,
    leftCols: rank,
    rightCols: cols,
  });
  const transposed = outer.map((_, i) => outer[(i % rank) * cols + Math.floor(i / rank)]!);
  const tolerance = arithmetic("f32", "f32", rows + 1);
  assertClose(await run.read(da), sum(outer, wide(before)), tolerance);
  assertClose(await run.read(db), sum(transposed, wide(before)), tolerance);
}
