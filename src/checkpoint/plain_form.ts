/**
 * An adapter of a run that changed its base, as plain LoRA on the base as it was. With A₀ and B₀ the start,
 *
 *     W − s·B₀·A₀ + s·B·A = W + s·[B −B₀]·[A; A₀]
 *
 * so that twice the rank, and an alpha that keeps s, say the same (PEFT converts likewise). A magnitude (DoRA) stays: it is
 * of the same sum.
 *
 * @module
 */
import type { Adapter, AdapterTensor } from "./adapter.ts";
import type { PathPattern } from "./target_modules.ts";

/** The plain form. `initial` holds A₀ and B₀ by their names in the adapter. */
export function plainForm(
  { config, tensors }: Adapter,
  initial: ReadonlyMap<string, Float32Array>,
): Adapter {
  const { init: _, ...plain } = config;
  return {
    config: strengthened(plain, 2),
    tensors: new Map([...tensors].map(([name, tensor]) => {
      const start = initial.get(name);
      if (!start) return [name, tensor];
      return [name, isA(name) ? besideRows(tensor, start) : besideColumns(tensor, start)];
    })),
  };
}

/** Undoes {@link plainForm}: the adapter as the run trains it, and what it began with. */
export function fromPlainForm(
  { config, tensors }: Adapter,
): { adapter: Adapter; initial: ReadonlyMap<string, Float32Array> } {
  const initial = new Map<string, Float32Array>(), trained = new Map<string, AdapterTensor>();
  for (const [name, tensor] of tensors) {
    if (!isA(name) && !name.endsWith(".lora_B.weight")) {
      trained.set(name, tensor);
      continue;
    }
    const { kept, start } = isA(name) ? rowHalves(tensor) : columnHalves(tensor);
    trained.set(name, kept);
    initial.set(name, start);
  }
  return { adapter: { config: strengthened(config, 1 / 2), tensors: trained }, initial };
}

function isA(name: string): boolean {
  return name.endsWith(".lora_A.weight");
}

/** With other ranks, and alphas that give the same scaling. */
function strengthened(config: Adapter["config"], factor: number): Adapter["config"] {
  const scaled = (pattern: PathPattern, by: number) =>
    Object.fromEntries(Object.entries(pattern).map(([key, value]) => [key, by * value]));
  const { rank, alpha, rankPattern, alphaPattern, useRslora } = config;
  const alphaFactor = useRslora ? Math.sqrt(factor) : factor;
  return {
    ...config,
    rank: factor * rank,
    alpha: alphaFactor * alpha,
    ...(rankPattern ? { rankPattern: scaled(rankPattern, factor) } : {}),
    ...(alphaPattern ? { alphaPattern: scaled(alphaPattern, alphaFactor) } : {}),
  };
}

/** [A; A₀] */
function besideRows({ shape, data }: AdapterTensor, start: Float32Array): AdapterTensor {
  const both = new Float32Array(2 * data.length);
  both.set(data);
  both.set(start, data.length);
  return { shape: [2 * shape[0]!, shape[1]!], data: both };
}

/** [B −B₀] */
function besideColumns({ shape, data }: AdapterTensor, start: Float32Array): AdapterTensor {
  const [rows, cols] = shape as [number, number], both = new Float32Array(2 * data.length);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < cols; k++) {
      both[i * 2 * cols + k] = data[i * cols + k]!;
      both[i * 2 * cols + cols + k] = -start[i * cols + k]!;
    }
  }
  return { shape: [rows, 2 * cols], data: both };
}

function rowHalves({ shape, data }: AdapterTensor): Halves {
  const [rows, cols] = shape as [number, number], half = data.length / 2;
  return { kept: { shape: [rows / 2, cols], data: data.slice(0, half) }, start: data.slice(half) };
}

function columnHalves({ shape, data }: AdapterTensor): Halves {
  const [rows, both] = shape as [number, number], cols = both / 2;
  const part = (first: number, sign: number) =>
    Float32Array.from(
      { length: rows * cols },
      (_, i) => sign * data[Math.floor(i / cols) * both + first + i % cols]!,
    );
  return { kept: { shape: [rows, cols], data: part(0, 1) }, start: part(cols, -1) };
}

interface Halves {
  readonly kept: AdapterTensor;
  readonly start: Float32Array;
}
