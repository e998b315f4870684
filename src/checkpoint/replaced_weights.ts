/**
 * A checkpoint some tensors of which are others: those that an adapter holds whole. What merges, exports or compares sees
 * the checkpoint as it would be written, each tensor in the dtype that it had.
 *
 * @module
 */
import type { GroupedFormat } from "../../kernels/packed/kernel.ts";
import { decodeFloats, encodeFloats, type FloatDtype } from "../quant/float16.ts";
import type { TensorInfo } from "./safetensors.ts";
import type { ModelWeights } from "./weight_files.ts";

/** Values of one tensor; `like` names a tensor of the checkpoint whose dtype and file it takes. */
export interface Replacement {
  readonly like: string;
  readonly values: Float32Array;
}

export class ReplacedWeights implements ModelWeights {
  readonly infos: ReadonlyMap<string, TensorInfo>;
  readonly files: ReadonlyMap<string, readonly TensorInfo[]>;
  /** The checkpoint as it is. */
  readonly original: ModelWeights;
  readonly #replaced: ReadonlyMap<string, Replacement>;
  readonly #copied: readonly [name: string, of: string] | null;

  /** `copied` names a tensor to add and what it is a copy of. Closes the checkpoint with this view of it. */
  constructor(
    original: ModelWeights,
    replaced: ReadonlyMap<string, Replacement>,
    copied: readonly [name: string, of: string] | null = null,
  ) {
    this.original = original;
    this.#replaced = replaced;
    this.#copied = copied;
    const likes = [...replaced].map(([name, { like }]) => [name, like] as const);
    const added = [...likes, ...(copied ? [copied] : [])].filter(([name]) => !original.infos.has(name))
      .map(([name, like]) => ({ like, info: { ...original.infos.get(like)!, name } }));
    this.infos = new Map([...original.infos, ...added.map(({ info }) => [info.name, info] as const)]);
    this.files = new Map([...original.files].map(([file, infos]) => {
      const here = added.filter(({ like }) => infos.some(({ name }) => name === like));
      return [file, [...infos, ...here.map(({ info }) => info)]];
    }));
  }

  /** Null for what is replaced. */
  formatOf(name: string): GroupedFormat | null {
    return this.#replaced.has(name) ? null : packedOf(this.original)?.formatOf(this.#source(name)) ?? null;
  }

  readWords(name: string, firstRow: number, rowCount: number): Promise<Uint32Array<ArrayBuffer>> {
    return packedOf(this.original)!.readWords(this.#source(name), firstRow, rowCount);
  }

  async readF32(name: string): Promise<Float32Array<ArrayBuffer>> {
    if (!this.#replaced.has(name)) return await this.original.readF32(this.#source(name));
    return decodeFloats(this.#dtype(name), this.#bytes(name));
  }

  async readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>> {
    if (!this.#replaced.has(name)) {
      return await this.original.readRowsF32(this.#source(name), firstRow, rowCount);
    }
    const cols = this.infos.get(name)!.shape.slice(1).reduce((product, size) => product * size, 1);
    return (await this.readF32(name)).slice(firstRow * cols, (firstRow + rowCount) * cols);
  }

  async readRaw(name: string, firstByte = 0, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#replaced.has(name)) {
      return await this.original.readRaw(this.#source(name), firstByte, byteLength);
    }
    return this.#bytes(name).slice(firstByte, byteLength === undefined ? undefined : firstByte + byteLength);
  }

  close(): Promise<void> {
    return this.original.close();
  }

  /** Where the values of a tensor that is not replaced are. */
  #source(name: string): string {
    return this.#copied?.[0] === name ? this.#copied[1] : name;
  }

  #dtype(name: string): FloatDtype {
    return this.infos.get(name)!.dtype as FloatDtype; // a base of other dtypes is not opened
  }

  #bytes(name: string): Uint8Array<ArrayBuffer> {
    return encodeFloats(this.#dtype(name), this.#replaced.get(name)!.values);
  }
}

/** What a checkpoint knows of packed formats; null for one that knows none. */
function packedOf(weights: ModelWeights): Pick<ReplacedWeights, "formatOf" | "readWords"> | null {
  return "formatOf" in weights ? weights as unknown as ReplacedWeights : null;
}
