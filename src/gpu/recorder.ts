/**
 * Recording: dispatches and copies over tensors that have no place yet, in order. `plan` gives every intermediate a
 * slot by its lifetime.
 *
 * @module
 */
import { type Tensor, tensor } from "../tensor.ts";
import type { Lifetime } from "./arena.ts";
import {
  type Binding,
  type BoundValues,
  type Constants,
  type Grid,
  type Kernel,
  LOOP_BUDGET,
  type MatrixTexture,
  MAX_WORKGROUPS,
  type Operand,
  type OperandSource,
  type ParamTypes,
  type ParamValues,
} from "./kernel.ts";
import {
  type Operation,
  PlannedProgram,
  type Program,
  type ProgramResources,
  TEXEL_BYTES,
} from "./program.ts";

/** Collects the operations of one program in order. */
export class Recorder {
  readonly resources: ProgramResources;
  readonly #label: string;
  readonly #operations: Operation[] = [];
  readonly #sections = new Map<string, { first: number; end: number }>();
  readonly #transients = new Set<Tensor | MatrixTexture>();
  readonly #uniforms: Uint8Array[] = [];
  readonly #uniformSlots = new Map<string, number>();
  #section: { first: number; end: number };

  constructor(label: string, resources: ProgramResources) {
    this.#label = label;
    this.resources = resources;
    this.#section = { first: 0, end: 0 };
    this.#sections.set("main", this.#section);
  }

  /** Starts a named part of the program; `Program.run` is told which parts to run. */
  section(name: string): void {
    if (this.#sections.has(name)) {
      throw new RangeError(`Program "${this.#label}" has a section "${name}" already`);
    }
    this.#section = { first: this.#operations.length, end: this.#operations.length };
    this.#sections.set(name, this.#section);
  }

  /** An intermediate of this program. Its memory is shared with others that live at other times. */
  tensor(label: string, shape: readonly number[], elem: Tensor["elem"] = "f32"): Tensor {
    const made = tensor(label, shape, elem);
    this.#transients.add(made);
    return made;
  }

  /** A texture of this program that holds a [rows, cols] matrix, columns padded to a multiple of 4. */
  texture(label: string, rows: number, cols: number): MatrixTexture {
    const width = Math.ceil(cols / 4);
    const made = { label, width, height: rows, bytes: width * rows * TEXEL_BYTES, texture: null };
    this.#transients.add(made);
    return made;
  }

  /** Records one launch of a kernel. @throws {RangeError} If its grid or loops exceed what adapters run. */
  dispatch<B extends Readonly<Record<string, Binding>>, P extends ParamTypes, C extends Constants>(
    kernel: Kernel<B, P, C>,
    values: BoundValues<B>,
    params: ParamValues<P>,
    constants: C = kernel.constants,
  ): void {
    const bound = values as Readonly<Record<string, Tensor | MatrixTexture | Operand>>;
    const sources: Record<string, OperandSource> = {};
    for (const name of kernel.bindingNames) {
      const value = bound[name]!;
      if ("source" in value) sources[name] = value.source;
      const binding = kernel.bindings[name]!;
      if (binding.kind !== "write") continue;
      if (binding.byVector) sources[name] = params[`${name}_cols`]! % 4 === 0 ? "vec4" : "scalar";
      this.written(value as Tensor);
    }
    const grid = checkedGrid(kernel.name, kernel.grid(params, constants));
    const iterations = kernel.iterations?.(params, constants) ?? 0;
    if (iterations > LOOP_BUDGET) {
      throw new RangeError(
        `Cannot dispatch "${kernel.name}" as one invocation would loop ${iterations} times: at most ${LOOP_BUDGET} are safe on every adapter; split the work`,
      );
    }
    this.#push({
      type: "dispatch",
      kernel: kernel as unknown as Kernel,
      compiled: this.resources.pipelines.get(kernel as unknown as Kernel, sources, constants),
      values: bound,
      params,
      constants,
      uniform: kernel.paramNames.length > 0 ? this.#uniformSlot(kernel as unknown as Kernel, params) : null,
      grid,
    });
  }

  /** Copies a tensor onto another of the same size. */
  copy(from: Tensor, to: Tensor): void {
    if (from.bytes !== to.bytes) {
      throw new RangeError(`Cannot copy "${from.label}" to "${to.label}": sizes differ`);
    }
    this.#push({ type: "copy", from, to });
    this.written(to);
  }

  /** Copies a matrix into a texture as it lies. Its rows must be a multiple of 256 bytes. */
  copyToTexture(from: Tensor, to: MatrixTexture): void {
    this.#push({ type: "stage", from, to });
  }

  /** Sets a tensor to zero. */
  clear(what: Tensor): void {
    this.#push({ type: "clear", what });
    this.written(what);
  }

  /** Called for every tensor that an operation writes; a subclass drops what it derived from the old values. */
  protected written(_tensor: Tensor): void {}

  /** Gives every intermediate a slot; allocates nothing. */
  plan(): PlannedProgram {
    const tensors = new Map<Tensor, Lifetime<Tensor>>();
    const textures = new Map<MatrixTexture, Lifetime<MatrixTexture>>();
    this.#operations.forEach((operation, at) => {
      for (const used of usedBy(operation)) {
        if (!this.#transients.has(used)) continue;
        if ("width" in used) touch(textures, used, at);
        else touch(tensors, used, at);
      }
    });
    const arenaPlan = this.resources.arena.plan([...tensors.values()], [...textures.values()]);
    return new PlannedProgram(
      this.#label,
      this.resources,
      this.#operations,
      this.#sections,
      this.#uniforms,
      arenaPlan,
    );
  }

  /** Plans, allocates and compiles in one go. */
  build(): Promise<Program> {
    return this.plan().build();
  }

  #push(operation: Operation): void {
    this.#operations.push(operation);
    this.#section.end = this.#operations.length;
  }

  #uniformSlot(kernel: Kernel, params: Readonly<Record<string, number>>): number {
    const bytes = packParams(kernel, params);
    const key = new Uint32Array(bytes.buffer).join();
    let slot = this.#uniformSlots.get(key);
    if (slot === undefined) {
      slot = this.#uniforms.push(bytes) - 1;
      this.#uniformSlots.set(key, slot);
    }
    return slot;
  }
}

/** Every tensor and texture that an operation reads or writes. */
export function* usedBy(operation: Operation): Generator<Tensor | MatrixTexture> {
  if (operation.type === "dispatch") {
    for (const value of Object.values(operation.values)) {
      if (!("source" in value)) yield value;
      else yield value.source === "texture" ? value.texture : value.tensor;
    }
  } else if (operation.type === "clear") yield operation.what;
  else {
    yield operation.from;
    yield operation.to;
  }
}

function touch<T>(lifetimes: Map<T, Lifetime<T>>, item: T, at: number): void {
  const lifetime = lifetimes.get(item);
  if (lifetime) lifetime.last = at;
  else lifetimes.set(item, { item, first: at, last: at });
}

function checkedGrid(name: string, grid: Grid): Grid {
  for (const size of grid) {
    if (size !== undefined && (!Number.isInteger(size) || size < 1 || size > MAX_WORKGROUPS)) {
      throw new RangeError(
        `Cannot dispatch "${name}" over [${grid}] workgroups: each side must be in 1..${MAX_WORKGROUPS}`,
      );
    }
  }
  return grid;
}

function packParams(kernel: Kernel, params: Readonly<Record<string, number>>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil(kernel.paramNames.length / 4) * 16);
  const view = new DataView(bytes.buffer);
  kernel.paramNames.forEach((name, i) => {
    const value = params[name]!;
    if (kernel.params[name] === "f32") view.setFloat32(4 * i, value, true);
    else if (Number.isInteger(value) && value >= 0 && value <= 0xffffffff) view.setUint32(4 * i, value, true);
    else throw new RangeError(`Kernel "${kernel.name}" takes "${name}" as u32: current value is ${value}`);
  });
  return bytes;
}
