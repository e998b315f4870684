/**
 * What a process really asks WebGPU for: buffers and textures counted as they are made and destroyed, pipelines counted
 * and timed.
 *
 * @module
 */

/** Running sums, bytes and milliseconds. */
export class GpuLedger {
  liveBytes = 0;
  peakBytes = 0;
  pipelines = 0;
  /** From asking for the first pipeline of each batch to having its last one. */
  compileMs = 0;
  #compiling = 0;
  #compilingSince = 0;

  /** Counts everything that this device is asked for from now on. */
  constructor(device: GPUDevice) {
    const { createBuffer, createTexture, createComputePipelineAsync } = device;
    device.createBuffer = (wanted) => {
      return this.#counted(createBuffer.call(device, wanted), wanted.size);
    };
    device.createTexture = (wanted) => {
      return this.#counted(createTexture.call(device, wanted), textureBytes(wanted));
    };
    device.createComputePipelineAsync = async (wanted) => {
      if (this.#compiling++ === 0) this.#compilingSince = performance.now();
      try {
        return await createComputePipelineAsync.call(device, wanted);
      } finally {
        this.pipelines++;
        if (--this.#compiling === 0) this.compileMs += performance.now() - this.#compilingSince;
      }
    };
  }

  #counted<T extends GPUBuffer | GPUTexture>(made: T, bytes: number): T {
    this.liveBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes);
    const { destroy } = made;
    let live = true;
    made.destroy = () => {
      if (live) this.liveBytes -= bytes;
      live = false;
      return destroy.call(made);
    };
    return made;
  }
}

const TEXEL_BYTES: Partial<Record<GPUTextureFormat, number>> = {
  rgba32float: 16,
  rgba16float: 8,
  rgba32uint: 16,
};

/** Bytes of a two-dimensional texture without mipmaps. @throws {RangeError} For a format that no kernel uses. */
export function textureBytes({ size, format }: Pick<GPUTextureDescriptor, "size" | "format">): number {
  const texel = TEXEL_BYTES[format];
  if (texel === undefined) {
    throw new RangeError(`Cannot count a texture of format ${format}: its texel size is not known`);
  }
  const [width, height] = Symbol.iterator in size ? [...size] : [size.width, size.height];
  return texel * width! * (height ?? 1);
}
