/**
 * Losing the GPU of a worker that trains, as a driver that starts anew would.
 *
 * @module
 */

/** What a worker's scope has. */
interface WorkerScope {
  postMessage(message: unknown, options?: StructuredSerializeOptions): void;
  GPUAdapter: { prototype: GPUAdapter };
}

/**
 * Called in a worker: destroys its newest device as soon as it tells of one of these steps, once for each. Stands by
 * itself, so that it can be sent into a page's worker as text.
 */
export function loseDevicesAfter(steps: readonly number[]): void {
  const scope = globalThis as unknown as WorkerScope, left = new Set(steps);
  const { requestDevice } = scope.GPUAdapter.prototype;
  let newest: GPUDevice | null = null;
  scope.GPUAdapter.prototype.requestDevice = async function (descriptor) {
    return newest = await requestDevice.call(this, descriptor);
  };
  const { postMessage } = scope;
  scope.postMessage = (message, options) => {
    postMessage.call(globalThis, message, options);
    const { event } = message as { event?: { type: string; step: number } };
    if (event?.type === "step" && left.delete(event.step)) newest!.destroy();
  };
}
