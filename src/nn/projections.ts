/**
 * Several linear maps of one input, such as queries, keys and values: each by a matrix of its own, or some side by side in
 * one fused matrix, whose rows then are those of its parts one after the other.
 *
 *     [y₁ … y_n] = x·[W₁ … W_n]ᵀ        dx = Σ dyᵢ·Wᵢ
 *
 * @module
 */
import { copyColumns } from "../../kernels/columns/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { LoraLinear, LoraLinearSaved } from "./lora_linear.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** One map and the output columns of each of its parts. */
export interface Projection {
  readonly map: LoraLinear;
  readonly widths: readonly number[];
}

export class Projections {
  readonly #maps: readonly Projection[];

  constructor(maps: readonly Projection[]) {
    this.#maps = maps;
  }

  /** The parts [R, width] of all maps, in order. */
  forward(run: StepRecorder, x: Tensor): { parts: Tensor[]; saved: LoraLinearSaved[] } {
    const made = this.#maps.map(({ map }) => map.forward(run, x));
    const parts = made.flatMap(({ y }, i) => split(run, y, this.#maps[i]!.widths));
    return { parts, saved: made.map(({ saved }) => saved) };
  }

  /** Writes dx [R, in] for the gradients of the parts; null where nobody needs it. */
  backward(
    run: StepRecorder,
    dparts: readonly Tensor[],
    saved: readonly LoraLinearSaved[],
    dx: Tensor | null,
  ): void {
    let first = 0;
    this.#maps.forEach(({ map, widths }, i) => {
      const dy = join(run, dparts.slice(first, first += widths.length));
      map.backward(run, dy, saved[i]!, dx, i === 0 ? "set" : "accumulate");
    });
  }
}

/** The columns of a tensor as tensors of their own. */
function split(run: StepRecorder, y: Tensor, widths: readonly number[]): Tensor[] {
  if (widths.length === 1) return [y];
  const { rows, cols: all } = matrixShape(y);
  let first = 0;
  return widths.map((cols, i) => {
    const part = run.tensor(`${y.label} part ${i}`, [rows, cols]);
    const sizes = { rows, cols, y_cols: cols, y_first: 0, x_cols: all, x_first: first };
    run.dispatch(copyColumns, { y: part, x: y }, sizes);
    first += cols;
    return part;
  });
}

/** Tensors side by side in one. */
function join(run: StepRecorder, parts: readonly Tensor[]): Tensor {
  if (parts.length === 1) return parts[0]!;
  const rows = matrixShape(parts[0]!).rows;
  const all = parts.reduce((sum, part) => sum + matrixShape(part).cols, 0);
  const whole = run.tensor(`${parts[0]!.label} and beside`, [rows, all]);
  let first = 0;
  for (const part of parts) {
    const { cols } = matrixShape(part);
    const sizes = { rows, cols, y_cols: all, y_first: first, x_cols: cols, x_first: 0 };
    run.dispatch(copyColumns, { y: whole, x: part }, sizes);
    first += cols;
  }
  return whole;
}
