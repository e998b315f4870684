/**
 * Test adapters, and programs of a few dispatches whose outputs show unwritten and out-of-range elements.
 *
 * A suite is declared once and runs on each adapter of {@link AdapterName}. Dawn runs in a process of its own, started by
 * `test/gpu/dawn_test.ts`: it and Deno's WebGPU both pick their driver by VK_ICD_FILENAMES, which one process has once.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Arena } from "../../src/gpu/arena.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import type { Operand, OperandSource } from "../../src/gpu/kernel.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import type { Program, ProgramResources } from "../../src/gpu/program.ts";
import { BufferUsage } from "../../src/gpu/usage.ts";
import { StepRecorder } from "../../src/nn/step_recorder.ts";
import { VARIANTS, type Variants } from "../../src/nn/variants.ts";
import { toTexture } from "../../kernels/stage/kernel.ts";
import { type ElementType, matrixShape, type Tensor, tensorAt } from "../../src/tensor.ts";
import { dawnEntry } from "./dawn.ts";
import { SENTINEL } from "./fill.ts";

/**
 * `deno`: Deno's own WebGPU with the adapter's limits. `deno-default`: the same with WebGPU's default limits.
 * `dawn`: npm:webgpu (Dawn and Tint) on the driver that VK_ICD_FILENAMES names.
 */
export type AdapterName = "deno" | "deno-default" | "dawn";

/** Comma-separated names that narrow what a run tests, such as `deno,deno-default` (the default) or `dawn`. */
export const ADAPTERS_VARIABLE = "LOWRANK_TEST_ADAPTERS";

/** An open device and the pipelines that all tests of one file share. */
export interface TestAdapter {
  readonly name: AdapterName;
  readonly gpu: Gpu;
  readonly pipelines: PipelineCache;
}

/** Opens a fresh device, for tests that break theirs. @throws {GpuUnavailableError} If there is no such adapter. */
export async function openAdapter(name: AdapterName): Promise<TestAdapter> {
  const limits = name === "deno-default" ? "default" : "raised";
  const gpu = await openGpu({ entry: name === "dawn" ? await dawnEntry() : undefined, limits });
  return { name, gpu, pipelines: new PipelineCache(gpu) };
}

const wanted = (Deno.env.get(ADAPTERS_VARIABLE) || "deno,deno-default").split(",") as AdapterName[];
if (wanted.includes("dawn") && wanted.length > 1) {
  throw new RangeError(`${ADAPTERS_VARIABLE} is "${wanted}": dawn needs a process of its own`);
}
const opened = await Promise.all(wanted.map(async (name) => {
  try {
    return { name, adapter: await openAdapter(name) };
  } catch (error) {
    return { name, missing: (error as Error).message };
  }
}));

/** The adapters of this run that could be opened. */
export const adapters: readonly TestAdapter[] = opened.flatMap(({ adapter }) => adapter ?? []);

/**
 * Declares one test for each adapter of this run; where an adapter is missing it is skipped by name.
 *
 * @param only Narrows the adapters, for tests that limits (or the compiler) cannot change the outcome of.
 */
export function onEveryAdapter(
  name: string,
  test: (adapter: TestAdapter) => Promise<void> | void,
  only: readonly AdapterName[] = ["deno", "deno-default", "dawn"],
): void {
  for (const { name: adapterName, adapter, missing } of opened) {
    if (!only.includes(adapterName)) continue;
    Deno.test({
      name: `${name} [${adapterName}]${missing ? ` (no adapter: ${missing.split(":")[0]})` : ""}`,
      ignore: !adapter,
      sanitizeResources: false, // devices outlive a test
      sanitizeOps: false,
      fn: () => test(adapter!),
    });
  }
}

/** As {@link onEveryAdapter}, on one device of each implementation: the one with the least limits. */
export function onEachCompiler(name: string, test: (adapter: TestAdapter) => Promise<void> | void): void {
  onEveryAdapter(name, test, wanted.includes("deno-default") ? ["deno-default", "dawn"] : ["deno", "dawn"]);
}

/** The same device as code sees it that asks for its limits, some of them lower: so that little data needs many pieces. */
export function withLimits(gpu: Gpu, lower: Readonly<Record<string, number>>): Gpu {
  const limits = new Proxy(gpu.limits, {
    get: (of, name) => lower[name as string] ?? Reflect.get(of, name, of),
  });
  return new Proxy(gpu, {
    get(of, name) {
      const value = name === "limits" ? limits : Reflect.get(of, name, of);
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
}

/** Bytes before and after an output that must keep the sentinel; a multiple of a binding's alignment. */
const GUARD_BYTES = 256;
const USAGE = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;

/** A recorder with inputs and guarded outputs. Dispose of it, or declare it with `using`. */
export class TestProgram implements Disposable {
  readonly recorder: StepRecorder;
  readonly resources: ProgramResources;
  readonly #buffers: GPUBuffer[] = [];

  constructor({ gpu, pipelines }: TestAdapter, variants: Variants = VARIANTS.software) {
    this.resources = { gpu, pipelines, arena: new Arena(gpu) };
    this.recorder = new StepRecorder("test", this.resources, variants);
  }

  /** A tensor that holds these values, with guards around. */
  holding(
    values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
    shape: readonly number[] = [values.length],
    label = "test tensor",
  ): Tensor {
    const { device } = this.resources.gpu;
    const size = values.byteLength + 2 * GUARD_BYTES;
    const buffer = device.createBuffer({ label, size, usage: USAGE });
    this.#buffers.push(buffer);
    device.queue.writeBuffer(buffer, 0, new Float32Array(size / 4).fill(SENTINEL));
    device.queue.writeBuffer(buffer, GUARD_BYTES, values);
    const elem: ElementType = values instanceof Float32Array ? "f32" : "u32";
    const made = tensorAt(label, shape, buffer, GUARD_BYTES, elem);
    assert.equal(made.bytes, values.byteLength, `[${shape}] does not fit ${values.length} values`);
    return made;
  }

  /** An output, every element the sentinel. */
  output(shape: readonly number[], label = "output"): Tensor {
    const count = shape.reduce((product, size) => product * size, 1);
    return this.holding(new Float32Array(count).fill(SENTINEL), shape, label);
  }

  /** A tensor as an operand, from the source asked for, whatever the variants would choose. */
  operand(of: Tensor, source: OperandSource): Operand {
    if (source !== "texture") return { source, tensor: of };
    const { rows, cols } = matrixShape(of);
    const texture = this.recorder.texture(`${of.label} (texture)`, 4 * Math.ceil(rows / 4), cols);
    const { width, height } = texture;
    this.recorder.dispatch(toTexture, { staged: texture, source: of }, { rows, cols, width, height });
    return { source, texture };
  }

  /** Builds what was recorded and runs these sections once. */
  async run(sections?: readonly string[]): Promise<Program> {
    const program = await this.recorder.build();
    program.run(sections);
    await this.resources.gpu.settle();
    return program;
  }

  /** Values of a tensor made here, after checking that nothing was written around it. */
  async read(of: Tensor): Promise<Float32Array<ArrayBuffer>> {
    const whole = await this.resources.gpu.read(
      of.buffer!,
      of.offset - GUARD_BYTES,
      of.bytes + 2 * GUARD_BYTES,
    );
    const values = new Float32Array(whole), guard = GUARD_BYTES / 4;
    const around = [...values.subarray(0, guard), ...values.subarray(values.length - guard)];
    assert.ok(
      around.every((value) => value === Math.fround(SENTINEL)),
      `something was written outside of "${of.label}"`,
    );
    return values.slice(guard, values.length - guard);
  }

  /** As {@link read}, of u32. */
  async readU32(of: Tensor): Promise<Uint32Array> {
    return new Uint32Array((await this.read(of)).buffer);
  }

  [Symbol.dispose](): void {
    this.resources.arena.destroy();
    for (const buffer of this.#buffers) buffer.destroy();
  }
}
