/**
 * A base without the part of it that an update began with: W − s·B₀·A₀ for the targeted maps, everything else as it is.
 * The difference stays f32, whatever the base's dtype: base plus converted adapter then computes what the run did.
 *
 * @module
 */
import type { GroupedFormat } from "../../kernels/packed/kernel.ts";
import { loraKey } from "./adapter.ts";
import { addLowRank } from "./merge.ts";
import type { ModelWeights } from "./weight_files.ts";

/** Weights as a model loads them. */
type Source = Pick<ModelWeights, "readF32" | "readRowsF32"> & {
  readonly formatOf?: (name: string) => GroupedFormat | null;
  readonly readWords?: (
    name: string,
    firstRow: number,
    rowCount: number,
  ) => Promise<Uint32Array<ArrayBuffer>>;
};

/** What is taken out of one map. */
interface Part {
  readonly loraA: Float64Array;
  readonly loraB: Float32Array;
  readonly rank: number;
  readonly scaling: number;
}

export class ResidualWeights {
  /** The targeted maps by module path. */
  readonly targets: ReadonlyMap<string, { readonly rank: number; readonly scaling: number }>;
  readonly #base: Source;
  readonly #parts = new Map<string, Part>();
  #initial: ReadonlyMap<string, Float32Array> | null = null;

  constructor(base: Source, targets: ResidualWeights["targets"]) {
    this.#base = base;
    this.targets = targets;
  }

  /** A₀ and B₀ by their names in an adapter. @throws {RangeError} Before {@link ResidualWeights.begin}. */
  get initial(): ReadonlyMap<string, Float32Array> {
    if (this.#initial) return this.#initial;
    throw new RangeError("Cannot take the start of the updates out of the base as it is not known yet");
  }

  /** Sets what is taken out. */
  begin(initial: ReadonlyMap<string, Float32Array>): void {
    this.#initial = initial;
    for (const [path, { rank, scaling }] of this.targets) {
      const loraA = Float64Array.from(initial.get(loraKey(path, "A"))!);
      this.#parts.set(`${path}.weight`, { loraA, loraB: initial.get(loraKey(path, "B"))!, rank, scaling });
    }
  }

  /** Null for the targeted maps, which are no longer the values that their format stands for. */
  formatOf(name: string): GroupedFormat | null {
    return this.targets.has(name.replace(/\.weight$/, "")) ? null : this.#base.formatOf?.(name) ?? null;
  }

  readWords(name: string, firstRow: number, rowCount: number): Promise<Uint32Array<ArrayBuffer>> {
    return this.#base.readWords!(name, firstRow, rowCount);
  }

  async readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>> {
    const values = await this.#base.readRowsF32(name, firstRow, rowCount), part = this.#parts.get(name);
    if (!part) return values;
    const { loraA, loraB, rank, scaling } = part;
    const rows = loraB.subarray(firstRow * rank, (firstRow + rowCount) * rank);
    addLowRank(values, loraA, rows, rank, -scaling);
    return values;
  }

  async readF32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const part = this.#parts.get(name);
    if (!part) return await this.#base.readF32(name);
    return await this.readRowsF32(name, 0, part.loraB.length / part.rank);
  }
}
