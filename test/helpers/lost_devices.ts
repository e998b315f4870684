/**
 * WebGPU devices that a test destroys under a job.
 *
 * @module
 */
/** The runtime's WebGPU, which shows each device that is opened. */
export function watchedGpu(onDevice: (device: GPUDevice) => void): GPU {
  const requestAdapter = async (options?: GPURequestAdapterOptions) => {
    const adapter = await navigator.gpu.requestAdapter(options);
    if (!adapter) return null;
    const { limits, features, info } = adapter;
    const requestDevice = async (descriptor?: GPUDeviceDescriptor) => {
      const device = await adapter.requestDevice(descriptor);
      onDevice(device);
      return device;
    };
    return { limits, features, info, requestDevice };
  };
  return { requestAdapter } as unknown as GPU;
}

/**
 * Does something at the nth call of a method, from 1, whichever object it is called on: before the call, which goes on
 * as it would.
 */
export function atCall<T extends object>(
  prototype: T,
  method: keyof T & string,
  nths: readonly number[],
  act: (args: readonly unknown[]) => void | Promise<void>,
): { readonly calls: number; undo(): void } {
  const original = prototype[method] as (...args: unknown[]) => unknown;
  let calls = 0;
  const patched = function (this: unknown, ...args: unknown[]) {
    if (!nths.includes(++calls)) return original.apply(this, args);
    const acted = act(args);
    return acted instanceof Promise
      ? acted.then(() => original.apply(this, args))
      : original.apply(this, args);
  };
  Object.assign(prototype, { [method]: patched });
  return {
    get calls() {
      return calls;
    },
    undo: () => Object.assign(prototype, { [method]: original }),
  };
}

/** The device of the moment, for tests that destroy it. */
export class DeviceWatch {
  readonly devices: GPUDevice[] = [];
  readonly entry: GPU = watchedGpu((device) => this.devices.push(device));

  /** Destroys the newest device. */
  destroy(): void {
    this.devices.at(-1)!.destroy();
  }
}
