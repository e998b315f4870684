/**
 * Opening a GPU: which adapter, which limits and why, and what happens when the device fails.
 *
 * @module
 */
import { chooseAdapter, describeAdapter } from "./adapters.ts";
import { BufferUsage, MAP_MODE_READ } from "./usage.ts";
import { Pacer } from "./pacer.ts";
import { GpuLostError, GpuMemoryError, GpuUnavailableError } from "../errors.ts";
import { logger } from "../logger.ts";

/** A limit that is raised above WebGPU's default where the adapter allows it, and the reason. */
interface LimitWish {
  readonly name: "maxBufferSize" | "maxStorageBufferBindingSize" | "maxTextureDimension2D";
  readonly reason: string;
}

/** Every kernel runs within WebGPU's default limits; these only make large models need fewer pieces. */
export const LIMIT_WISHES: readonly LimitWish[] = [
  { name: "maxBufferSize", reason: "an activation or a weight shard is one buffer" },
  { name: "maxStorageBufferBindingSize", reason: "a large embedding needs fewer shards" },
  { name: "maxTextureDimension2D", reason: "a weight in textures needs fewer shards" },
];

/** Features that are requested where the adapter has them; no kernel needs one. */
const OPTIONAL_FEATURES = ["timestamp-query", "shader-f16", "subgroups"] as const;

/** Options of {@link openGpu}. */
export interface OpenGpuOptions {
  /** WebGPU's entry point; `navigator.gpu` unless given (another implementation, a fake). */
  readonly entry?: GPU | undefined;
  /** `default` requests WebGPU's default limits and no more. Default `raised`. */
  readonly limits?: "raised" | "default";
  /** `none` requests no optional feature, as where the adapter has none. Default `optional`. */
  readonly features?: "optional" | "none";
  /** Refuse a software adapter. Default false. */
  readonly requireHardware?: boolean;
  /** Which of several GPUs: `high-performance` (the default), `low-power`, or a part of the adapter's name. */
  readonly adapter?: string | null;
  /**
   * Wanted length of one submission, ms. Default: on hardware a quarter of what some systems reset a GPU for; on a
   * software adapter, which draws no screen, all at once.
   */
  readonly submissionMs?: number;
}

const HARDWARE_SUBMISSION_MS = 500;
/** Guesses before anything was timed; low, so that the first submissions are short. */
const SOFTWARE_UNITS_PER_SECOND = 2e9, HARDWARE_UNITS_PER_SECOND = 2e11;

/** Implementations may fail a call on a lost device a moment before they say that it is lost. */
const LOSS_GRACE_MS = 100;

/** Bytes that may be on their way to a software adapter. */
const MOST_ON_THE_WAY = 4 << 20;

/** An open device with its adapter's facts. */
export class Gpu {
  /** What the adapter calls itself, such as `NVIDIA H100` or `llvmpipe (LLVM 15.0.6, 256 bits)`. */
  readonly name: string;
  /** True for adapters that compute on the CPU. Their speed says nothing about a GPU's. */
  readonly software: boolean;
  /** WebGPU's own handle. */
  readonly device: GPUDevice;
  /** What was granted, at least what the adapter has by default. */
  readonly limits: GPUSupportedLimits;
  /** Optional features that were granted, such as `shader-f16`. */
  readonly features: ReadonlySet<string>;
  /** Sizes submissions. */
  readonly pacer: Pacer;
  #failure: Error | null = null;
  /** Bytes written since the last wait. */
  #onTheWay = 0;
  #closed = false;

  /**
   * Takes over an open device and watches what it reports; {@link openGpu} opens one.
   *
   * @param submissionMs Wanted length of one submission, ms; see {@link OpenGpuOptions}.
   */
  constructor(device: GPUDevice, info: GPUAdapterInfo, submissionMs?: number) {
    this.device = device;
    ({ name: this.name, software: this.software } = describeAdapter(info));
    this.limits = device.limits;
    this.features = new Set(device.features as unknown as Iterable<string>);
    this.pacer = new Pacer(
      submissionMs ?? (this.software ? Infinity : HARDWARE_SUBMISSION_MS),
      this.software ? SOFTWARE_UNITS_PER_SECOND : HARDWARE_UNITS_PER_SECOND,
    );
    device.lost.then((lost) => {
      if (this.#closed) return;
      const why = (lost.message || "the driver gave no message").replace(/\.$/, "");
      this.#failure = new GpuLostError(
        `The GPU "${this.name}" was lost (${lost.reason}): ${why}. If it happens again, the system's log may tell why`,
      );
    });
    device.addEventListener("uncapturederror", ({ error }) => {
      this.#failure ??= isOutOfMemory(error)
        ? new GpuMemoryError(
          `The GPU "${this.name}" is out of memory: ${error.message || "the driver gave no message"}. ` +
            "Lower batch_size or max_length, or close what else uses it",
        )
        : new Error(`The GPU "${this.name}" refused a command: ${error.message}`);
    });
  }

  /** Throws what the device reported since it was opened: a refused command or its loss. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /**
   * What has made the device useless: its loss, or that it ran out of memory; null if nothing has. Calls on a lost device
   * can fail in ways of their own before the loss is told, so this waits a moment for it.
   */
  async breakdown(): Promise<GpuLostError | GpuMemoryError | null> {
    if (!(this.#failure instanceof GpuLostError)) await this.#untilLost();
    const failure = this.#failure;
    return failure instanceof GpuLostError || failure instanceof GpuMemoryError ? failure : null;
  }

  /** Waits for the loss of the device, but not long. */
  async #untilLost(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const grace = new Promise((done) => timer = setTimeout(done, LOSS_GRACE_MS));
    await Promise.race([this.device.lost, grace]);
    clearTimeout(timer);
  }

  /** Waits for everything submitted so far. @throws {GpuLostError} */
  async settle(): Promise<void> {
    await this.device.queue.onSubmittedWorkDone();
    this.check();
  }

  /**
   * To be called after bytes were written to buffers or textures. On an adapter that computes on the CPU their copies on
   * the way are memory of this process, and are never given back: it waits before many have gathered.
   */
  async wrote(bytes: number): Promise<void> {
    this.device.queue.submit([]); // copies live until the next submit
    if (!this.software) return;
    this.#onTheWay += bytes;
    if (this.#onTheWay < MOST_ON_THE_WAY) return;
    this.#onTheWay = 0;
    await this.settle();
  }

  /** Copies bytes back from a buffer. @throws {GpuLostError} If the device fails before they arrive. */
  async read(buffer: GPUBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    const staging = this.device.createBuffer({
      label: "readback",
      size: bytes,
      usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
    });
    try {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
      this.device.queue.submit([encoder.finish()]);
      await staging.mapAsync(MAP_MODE_READ).catch(async (error) => {
        await this.#untilLost();
        this.check();
        throw error;
      });
      this.check();
      return staging.getMappedRange().slice(0);
    } finally {
      staging.destroy();
    }
  }

  /**
   * Gives the device back once everything submitted is done: software drivers can crash the process when memory is
   * taken from under running work. Buffers made on it are gone.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#failure === null) await this.device.queue.onSubmittedWorkDone().catch(() => {});
    this.device.destroy();
  }
}

/** The most bytes that one storage binding can hold: a buffer is no larger than either limit. */
export function maxBindingBytes({ limits }: Pick<Gpu, "limits">): number {
  return Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
}

/** By name: the class is missing where WebGPU comes from a package. */
function isOutOfMemory(error: GPUError): boolean {
  return error.constructor.name === "GPUOutOfMemoryError";
}

/**
 * Opens the best adapter: hardware before software, since implementations offer a software adapter only
 * where nothing else is found or it is asked for.
 *
 * @throws {GpuUnavailableError} If there is no WebGPU, no adapter, none of the name asked for, or only a software
 * adapter where a hardware one is required.
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  const entry = options.entry ?? globalThis.navigator?.gpu;
  if (!entry) {
    throw new GpuUnavailableError(
      "This runtime has no WebGPU (navigator.gpu is missing): use Deno 2.9 or later, or a current browser on a secure (https or localhost) page",
    );
  }
  const adapter = await chooseAdapter(entry, options.adapter ?? "high-performance");
  const requiredLimits: Record<string, number> = {};
  if (options.limits !== "default") {
    for (const { name } of LIMIT_WISHES) requiredLimits[name] = adapter.limits[name];
  }
  const wanted = options.features === "none" ? [] : OPTIONAL_FEATURES;
  const device = await adapter.requestDevice({
    label: "lowrank",
    requiredLimits,
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
  });
  const gpu = new Gpu(device, adapter.info, options.submissionMs);
  try {
    if (options.requireHardware) requireHardware(gpu);
    const { name, software, features, limits: { maxBufferSize } } = gpu;
    const facts = { name, software, features: [...features], maxBufferSize };
    logger("gpu").info("opened {name}, software {software}", facts);
    return gpu;
  } catch (error) {
    await gpu.close();
    throw error;
  }
}

/** Refuses an adapter that computes on the CPU. @throws {GpuUnavailableError} */
export function requireHardware(gpu: Gpu): void {
  if (!gpu.software) return;
  throw new GpuUnavailableError(
    `A hardware GPU is required and the adapter is the software adapter "${gpu.name}": install the GPU's driver or leave out --require-gpu`,
  );
}
