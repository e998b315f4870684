/**
 * Programs: a recorded list with its memory planned, then allocated, compiled and bound, so that a step only encodes it
 * again. See `Recorder` for how one is made.
 *
 * @module
 */
import { GpuMemoryError } from "../errors.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { Arena, ArenaPlan } from "./arena.ts";
import type { Gpu } from "./device.ts";
import type { Constants, Grid, Kernel, MatrixTexture, Operand } from "./kernel.ts";
import { launchOf } from "./launch.ts";
import type { CompiledKernel, PipelineCache } from "./pipelines.ts";
import { unitsOf } from "./pacer.ts";
import { DispatchProfile } from "./profile.ts";
import { BufferUsage } from "./usage.ts";

/** Uniform slots are aligned for WebGPU's default limit whatever the device allows. */
const UNIFORM_ALIGNMENT = 256;
/** Bytes of an rgba32float texel. */
export const TEXEL_BYTES = 16;
/**
 * Compute passes of a submission at most. A driver keeps what it needed for the longest list that an encoder ever held,
 * and encoders change places: on llvmpipe, where every staging copy ends a pass, each of six came to hold 20 MB.
 */
const MOST_PASSES = 64;

/** One launch of a kernel. */
export interface Dispatch {
  readonly type: "dispatch";
  readonly kernel: Kernel;
  readonly compiled: CompiledKernel;
  readonly values: Readonly<Record<string, Tensor | MatrixTexture | Operand>>;
  readonly params: Readonly<Record<string, number>>;
  readonly constants: Constants;
  readonly uniform: number | null;
  readonly grid: Grid;
}
/** One entry of a program, in the order of recording. */
export type Operation =
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
    readonly dispatch: Dispatch;
    readonly pipeline: GPUComputePipeline;
    readonly group: GPUBindGroup;
    readonly grid: Grid;
    /** Work of the launch; see {@link unitsOf}. */
    readonly units: number;
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

  /** Encodes the named sections in the given order and submits them, in as many pieces as the GPU's pacer wants. Does not wait. */
  run(sections: readonly string[] = ["main"]): void {
    const { device, pacer } = this.#gpu;
    const submittedAt = performance.now();
    let encoder = device.createCommandEncoder({ label: this.label });
    let pass: GPUComputePassEncoder | null = null;
    let units = 0, unitsBefore = 0, passes = 0;
    for (const step of this.#stepsOf(sections)) {
      if ("encode" in step) {
        pass?.end();
        pass = null;
        step.encode(encoder);
        continue;
      }
      const isFull = units + step.units > pacer.unitsPerSubmission || (!pass && passes === MOST_PASSES);
      if (units > 0 && isFull) {
        pass?.end();
        pass = null;
        device.queue.submit([encoder.finish()]);
        encoder = device.createCommandEncoder({ label: this.label });
        unitsBefore += units;
        units = passes = 0;
      }
      if (!pass) {
        pass = encoder.beginComputePass({ label: this.label });
        passes++;
      }
      encodeDispatch(pass, step);
      units += step.units;
    }
    pass?.end();
    device.queue.submit([encoder.finish()]);
    if (!pacer.nextIsTimed()) return;
    // a lost device is reported by whoever reads from it
    device.queue.onSubmittedWorkDone().then(
      () => pacer.note(unitsBefore + units, submittedAt, performance.now()),
      () => {},
    );
  }

  /** Runs the sections with one timed pass a dispatch and waits. @throws {RangeError} Without timestamp queries. */
  async profile(sections: readonly string[] = ["main"]): Promise<DispatchProfile> {
    const launches = sections.flatMap((section) =>
      this.#stepsOf([section]).flatMap((step) =>
        "pipeline" in step ? [{ section, ...launchOf(step.dispatch) }] : []
      )
    );
    const profile = new DispatchProfile(this.#gpu, launches);
    const encoder = this.#gpu.device.createCommandEncoder({ label: this.label });
    for (const step of this.#stepsOf(sections)) {
      if ("encode" in step) step.encode(encoder);
      else {
        const label = step.dispatch.kernel.name;
        const pass = encoder.beginComputePass({ label, timestampWrites: profile.nextPass() });
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
      const units = unitsOf(launchOf(operation));
      return { dispatch: operation, pipeline: pipeline!, group, grid, units };
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
