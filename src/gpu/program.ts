/**
 * Record once, replay each step. A {@link Recorder} collects dispatches and copies over tensors that have no place
 * yet; `plan` gives every intermediate a slot by its lifetime; `build` compiles all pipelines in parallel and
 * makes the bind groups. A {@link Program} then only encodes the list.
 *
 * @module
 */
import { GpuMemoryError } from "../errors.ts";
import { matrixShape, type Tensor, tensor } from "../tensor.ts";
import { Arena, type ArenaPlan, type Lifetime } from "./arena.ts";
import type { Gpu } from "./device.ts";
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
import type { CompiledKernel, PipelineCache } from "./pipelines.ts";
import { DispatchProfile } from "./profile.ts";
import { BufferUsage } from "./usage.ts";

/** Uniform slots are aligned for WebGPU's default limit whatever the device allows. */
const UNIFORM_ALIGNMENT = 256;
const TEXEL_BYTES = 16;

interface Dispatch {
  readonly type: "dispatch";
  readonly kernel: Kernel;
  readonly compiled: CompiledKernel;
  readonly values: Readonly<Record<string, Tensor | MatrixTexture | Operand>>;
  readonly uniform: number | null;
  readonly grid: Grid;
}
type Operation =
  | Dispatch
  | { readonly type: "copy"; readonly from: Tensor; readonly to: Tensor }
  | { readonly type: "stage"; readonly from: Tensor; readonly to: MatrixTexture }
  | { readonly type: "clear"; readonly what: Tensor };

/** What a recorder shares with the other programs of a run. */
export interface ProgramResources {
  readonly gpu: Gpu;
  readonly pipelines: PipelineCache;
  readonly arena: Arena;
}

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
      if (kernel.bindings[name]!.kind === "write") this.written(value as Tensor);
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

/** A program whose memory is known and not yet taken. */
export class PlannedProgram {
  constructor(
    readonly label: string,
    readonly resources: ProgramResources,
    readonly operations: readonly Operation[],
    readonly sections: ReadonlyMap<string, { first: number; end: number }>,
    readonly uniforms: readonly Uint8Array[],
    readonly arenaPlan: ArenaPlan,
  ) {}

  /** Allocates, compiles and binds. @throws {SyntaxError} If a kernel does not compile. */
  async build(): Promise<Program> {
    const { gpu, arena } = this.resources;
    arena.allocate(this.arenaPlan);
    const pipelines = await Promise.all(
      this.operations.map((operation) => operation.type === "dispatch" ? operation.compiled.pipeline : null),
    );
    const uniformBuffer = uploadUniforms(gpu.device, this.uniforms);
    const steps = this.operations.map((operation, at) =>
      bind(gpu.device, operation, pipelines[at]!, uniformBuffer)
    );
    gpu.check();
    return new Program(this.label, gpu, steps, this.sections);
  }
}

type Step =
  | {
    readonly name: string;
    readonly pipeline: GPUComputePipeline;
    readonly group: GPUBindGroup;
    readonly grid: Grid;
  }
  | { readonly encode: (encoder: GPUCommandEncoder) => void };

/** A flat list of dispatches and copies, ready to be encoded again and again. */
export class Program {
  readonly label: string;
  readonly #gpu: Gpu;
  readonly #steps: readonly Step[];
  readonly #sections: ReadonlyMap<string, { first: number; end: number }>;

  constructor(
    label: string,
    gpu: Gpu,
    steps: readonly Step[],
    sections: ReadonlyMap<string, { first: number; end: number }>,
  ) {
    this.label = label;
    this.#gpu = gpu;
    this.#steps = steps;
    this.#sections = sections;
  }

  /** Number of dispatches, for the record. */
  get dispatches(): number {
    return this.#steps.filter((step) => "pipeline" in step).length;
  }

  /** Encodes the named sections in the given order and submits them. Does not wait. */
  run(sections: readonly string[] = ["main"]): void {
    const encoder = this.#gpu.device.createCommandEncoder({ label: this.label });
    let pass: GPUComputePassEncoder | null = null;
    for (const step of this.#stepsOf(sections)) {
      if ("encode" in step) {
        pass?.end();
        pass = null;
        step.encode(encoder);
      } else {
        pass ??= encoder.beginComputePass({ label: this.label });
        encodeDispatch(pass, step);
      }
    }
    pass?.end();
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** Runs the sections with one timed pass a dispatch and waits. @throws {RangeError} Without timestamp queries. */
  async profile(sections: readonly string[] = ["main"]): Promise<DispatchProfile> {
    const steps = this.#stepsOf(sections);
    const names = steps.flatMap((step) => "pipeline" in step ? [step.name] : []);
    const profile = new DispatchProfile(this.#gpu, names);
    const encoder = this.#gpu.device.createCommandEncoder({ label: this.label });
    for (const step of steps) {
      if ("encode" in step) step.encode(encoder);
      else {
        const pass = encoder.beginComputePass({ label: step.name, timestampWrites: profile.nextPass() });
        encodeDispatch(pass, step);
        pass.end();
      }
    }
    await profile.resolve(encoder);
    return profile;
  }

  #stepsOf(sections: readonly string[]): Step[] {
    return sections.flatMap((name) => {
      const section = this.#sections.get(name);
      if (!section) throw new RangeError(`Program "${this.label}" has no section "${name}"`);
      return this.#steps.slice(section.first, section.end);
    });
  }
}

function encodeDispatch(
  pass: GPUComputePassEncoder,
  step: Extract<Step, { pipeline: GPUComputePipeline }>,
): void {
  pass.setPipeline(step.pipeline);
  pass.setBindGroup(0, step.group);
  pass.dispatchWorkgroups(step.grid[0], step.grid[1] ?? 1, step.grid[2] ?? 1);
}

function* usedBy(operation: Operation): Generator<Tensor | MatrixTexture> {
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

function uploadUniforms(device: GPUDevice, uniforms: readonly Uint8Array[]): GPUBuffer {
  const all = new Uint8Array(Math.max(1, uniforms.length) * UNIFORM_ALIGNMENT);
  uniforms.forEach((bytes, i) => all.set(bytes, i * UNIFORM_ALIGNMENT));
  const usage = BufferUsage.UNIFORM | BufferUsage.COPY_DST;
  const buffer = device.createBuffer({ label: "kernel parameters", size: all.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, all);
  return buffer;
}

function bind(
  device: GPUDevice,
  operation: Operation,
  pipeline: GPUComputePipeline | null,
  uniforms: GPUBuffer,
): Step {
  switch (operation.type) {
    case "dispatch": {
      const { kernel, compiled, values, uniform, grid } = operation;
      const entries: GPUBindGroupEntry[] = kernel.bindingNames.map((name, binding) => ({
        binding,
        resource: resourceOf(values[name]!),
      }));
      if (uniform !== null) {
        const size = Math.ceil(kernel.paramNames.length / 4) * 16;
        const offset = uniform * UNIFORM_ALIGNMENT;
        entries.push({ binding: entries.length, resource: { buffer: uniforms, offset, size } });
      }
      const group = device.createBindGroup({ label: kernel.name, layout: compiled.layout, entries });
      return { name: kernel.name, pipeline: pipeline!, group, grid };
    }
    case "copy": {
      const { from, to } = operation;
      return {
        encode: (encoder) =>
          encoder.copyBufferToBuffer(from.buffer!, from.offset, to.buffer!, to.offset, from.bytes),
      };
    }
    case "stage": {
      const { from, to } = operation;
      const { rows, cols } = matrixShape(from);
      const layout = { buffer: from.buffer!, offset: from.offset, bytesPerRow: cols * 4 };
      return {
        encode: (encoder) =>
          encoder.copyBufferToTexture(layout, { texture: to.texture! }, [cols * 4 / TEXEL_BYTES, rows]),
      };
    }
    case "clear": {
      const { what } = operation;
      return { encode: (encoder) => encoder.clearBuffer(what.buffer!, what.offset, what.bytes) };
    }
  }
}

function resourceOf(value: Tensor | MatrixTexture | Operand): GPUBindingResource {
  if ("source" in value) return resourceOf(value.source === "texture" ? value.texture : value.tensor);
  if ("width" in value) {
    if (!value.texture) throw new GpuMemoryError(`Texture "${value.label}" was never allocated`);
    return value.texture.createView();
  }
  if (!value.buffer) throw new GpuMemoryError(`Tensor "${value.label}" was never allocated`);
  return { buffer: value.buffer, offset: value.offset, size: value.bytes };
}
