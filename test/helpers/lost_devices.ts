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

/** Does something before every call of a method, whichever object it is called on; the call goes on as it would. */
export function beforeCalls<T extends object>(
  prototype: T,
  method: keyof T & string,
  act: () => void,
): { readonly calls: number; undo(): void } {
  const original = prototype[method] as (...args: unknown[]) => unknown;
  let calls = 0;
  const patched = function (this: unknown, ...args: unknown[]) {
    calls++;
    act();
    return original.apply(this, args);
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

  readonly #asked: number[] = [];

  /** To be asked again and again: destroys the newest device when it is asked the nth time since that one was opened. */
  destroyAt(nths: readonly number[]): void {
    const newest = this.devices.length - 1;
    this.#asked[newest] = (this.#asked[newest] ?? 0) + 1;
    if (this.#asked[newest] === nths[newest]) this.devices[newest]!.destroy();
  }
}
