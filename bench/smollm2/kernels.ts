/**
 * What a step is made of: time by kernel, and each matrix product in the step beside the best of the same product alone.
 *
 * @module
 */
import { formatFigures, formatShare } from "../../src/cli/format.ts";
import { Arena } from "../../src/gpu/arena.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import type { DispatchTime } from "../../src/gpu/profile.ts";
import { BufferUsage } from "../../src/gpu/usage.ts";
import { FrozenMatrix } from "../../src/nn/frozen_matrix.ts";
import { LoraLinear } from "../../src/nn/lora_linear.ts";
import { ParameterPool } from "../../src/nn/parameter_pool.ts";
import { StepRecorder } from "../../src/nn/step_recorder.ts";
import { tensorAt } from "../../src/tensor.ts";
import type { LoadedModel } from "../loaded_model.ts";
import type { BenchDevice, PartResult } from "../part.ts";
import { table } from "../table.ts";

/** A linear map as a step runs it; rank 0 for one without an update. */
interface MapSizes {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly rank: number;
}

/** Equal launches of a step. */
interface ShapeTime {
  readonly kernel: string;
  readonly sizes: string;
  readonly launches: number;
  readonly flops: number;
  /** Mean time of one in the step, and the least time of one, in the step or alone. */
  readonly ms: number;
  readonly bestMs: number;
}

/** Measures the launches of a loaded model's step. @param stepMs The whole step by the wall. */
export async function measureKernels(
  device: BenchDevice,
  model: LoadedModel,
  { rank, length, stepMs, repetitions }: {
    rank: number;
    length: number;
    stepMs: number;
    repetitions: number;
  },
): Promise<PartResult> {
  const entries = (await model.profile()).entries;
  const alone = await timesAlone(device, entries, repetitions);
  const shapes = shapeTimes(entries, alone);
  const idealMs = shapes.reduce((sum, { launches, bestMs }) => sum + launches * bestMs, 0);
  return {
    markdown: [
      `### What the step is made of (rank ${rank}, ${length} tokens)`,
      kernelTable(entries),
      `Each product of the step at the best rate that was seen of it, alone (${repetitions} times) or in the step. At those rates all products ` +
      `take ${formatFigures(idealMs)} ms, and the whole step takes **${
        (stepMs / idealMs).toFixed(2)
      } times** as long.`,
      shapeTable(shapes),
    ].join("\n\n"),
    data: { kernels: kernelTotals(entries), shapes, idealMs, stepMs, ratio: stepMs / idealMs },
  };
}

/** Sums of all launches of each kernel, longest first. */
export function kernelTotals(entries: readonly DispatchTime[]) {
  const groups = [...Map.groupBy(entries, ({ kernel }) => kernel)];
  const sum = (of: readonly DispatchTime[], value: (entry: DispatchTime) => number) =>
    of.reduce((total, entry) => total + value(entry), 0);
  return groups.map(([kernel, of]) => ({
    kernel,
    launches: of.length,
    ms: sum(of, ({ ms }) => ms),
    flops: sum(of, ({ flops }) => flops),
    bytes: sum(of, ({ bytesRead, bytesWritten }) => bytesRead + bytesWritten),
  })).sort((a, b) => b.ms - a.ms);
}

function kernelTable(entries: readonly DispatchTime[]): string {
  const totals = kernelTotals(entries);
  const all = totals.reduce((sum, { ms }) => sum + ms, 0);
  const rows = totals.map(({ kernel, launches, ms, flops, bytes }) => [
    kernel,
    formatFigures(ms),
    formatShare(ms, all),
    String(launches),
    flops > 0 ? formatFigures(flops / ms / 1e6) : "",
    formatFigures(bytes / ms / 1e6),
  ]);
  return table(["kernel", "ms", "share", "launches", "GFLOP/s", "GB/s at least"], rows);
}

function shapeTable(shapes: readonly ShapeTime[]): string {
  const rate = (flops: number, ms: number) => formatFigures(flops / ms / 1e6);
  const rows = shapes.map(({ kernel, sizes, launches, flops, ms, bestMs }) => [
    kernel,
    sizes,
    String(launches),
    formatFigures(ms),
    rate(flops, ms),
    rate(flops, bestMs),
  ]);
  return table(["product", "sizes", "launches", "ms each", "GFLOP/s", "GFLOP/s at best"], rows);
}

const keyOf = ({ kernel, sizes }: Pick<DispatchTime, "kernel" | "sizes">) => `${kernel} ${sizesOf(sizes)}`;
const sizesOf = (sizes: Readonly<Record<string, number>>) =>
  Object.entries(sizes).map(([name, size]) => `${name} ${size}`).join(", ");

/** Launches that compute products, by kernel and sizes, those that take longest together first. */
export function shapeTimes(
  entries: readonly DispatchTime[],
  alone: ReadonlyMap<string, number>,
): ShapeTime[] {
  const products = entries.filter(({ flops, kernel }) => flops > 0 && /^(matmul|lora)_/.test(kernel));
  return [...Map.groupBy(products, keyOf)].map(([key, of]) => {
    const { kernel, sizes, flops } = of[0]!;
    const ms = of.reduce((sum, entry) => sum + entry.ms, 0) / of.length;
    const bestMs = Math.min(alone.get(key) ?? Infinity, ...of.map((entry) => entry.ms));
    return { kernel, sizes: sizesOf(sizes), launches: of.length, flops, ms, bestMs };
  }).sort((a, b) => b.launches * b.ms - a.launches * a.ms);
}

/** The linear maps whose forward products are among the launches, those with an update first. */
export function mapsOf(entries: readonly DispatchTime[]): MapSizes[] {
  const found = new Map<string, MapSizes>();
  for (const { kernel, sizes: { rows = 0, cols = 0, x_cols = 0, u_cols = 0 } } of entries) {
    if (!/^(lora|matmul)_forward/.test(kernel)) continue;
    const map = { rows, inputs: x_cols, outputs: cols, rank: u_cols };
    found.set(JSON.stringify(map), map);
  }
  return [...found.values()].sort((a, b) => Number(b.rank > 0) - Number(a.rank > 0));
}

/** Least milliseconds of each product when its linear map is all that runs, by kernel and sizes. */
async function timesAlone(
  device: BenchDevice,
  entries: readonly DispatchTime[],
  repetitions: number,
): Promise<Map<string, number>> {
  const least = new Map<string, number>();
  for (const map of mapsOf(entries)) {
    const wanted = entries.some((entry) =>
      /_forward/.test(entry.kernel) && entry.sizes.cols === map.outputs &&
      entry.sizes.x_cols === map.inputs &&
      !least.has(keyOf(entry))
    );
    if (!wanted) continue; // the skinny products of updates came with their maps
    for (const entry of await profileMap(device, map, repetitions)) {
      least.set(keyOf(entry), Math.min(entry.ms, least.get(keyOf(entry)) ?? Infinity));
    }
  }
  return least;
}

/** Profiles one map forward, with and without a residual stream, and backward, setting and adding. */
async function profileMap(
  { gpu, variants }: BenchDevice,
  { rows, inputs, outputs, rank }: MapSizes,
  repetitions: number,
): Promise<DispatchTime[]> {
  const pool = new ParameterPool(gpu);
  const matrix = new FrozenMatrix("map", outputs, inputs, gpu, variants);
  const lora = rank === 0
    ? null
    : { a: pool.add("a", [rank, inputs]), b: pool.add("b", [outputs, rank]), rank, scaling: 1 };
  pool.allocate();
  await matrix.load((_, count) => Promise.resolve(new Float32Array(count * inputs).fill(0.01)));
  const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
  const place = (label: string, cols: number) =>
    tensorAt(label, [rows, cols], gpu.device.createBuffer({ label, size: 4 * rows * cols, usage }));
  const x = place("x", inputs), dx = place("dx", inputs), dy = place("dy", outputs);
  const arena = new Arena(gpu);
  const run = new StepRecorder("map", { gpu, pipelines: new PipelineCache(gpu), arena }, variants);
  const layer = new LoraLinear(matrix, lora);
  const { saved } = layer.forward(run, x);
  layer.forward(run, x, dy);
  for (const mode of ["set", "accumulate"] as const) layer.backward(run, dy, saved, dx, mode);
  const program = await run.build();
  program.run();
  await gpu.settle();
  const entries: DispatchTime[] = [];
  for (let i = 0; i < repetitions; i++) entries.push(...(await program.profile()).entries);
  arena.destroy();
  pool.destroy();
  matrix.destroy();
  for (const { buffer } of [x, dx, dy]) buffer!.destroy();
  return entries;
}
