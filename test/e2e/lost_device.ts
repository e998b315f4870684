/**
 * Losing the GPU of the page's worker, as a driver that starts anew would.
 *
 * @module
 */
import type { Page } from "playwright-core";

/** What is put into the worker's scope. */
interface WorkerScope {
  postMessage(message: unknown, options?: StructuredSerializeOptions): void;
  GPUAdapter: { prototype: GPUAdapter };
}

/** From now on, destroys the worker's newest device as soon as the worker tells of one of these steps, once for each. */
export async function loseDevicesAfter(page: Page, steps: readonly number[]): Promise<void> {
  const [worker] = page.workers();
  await worker!.evaluate((steps) => {
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
  }, [...steps]);
}
