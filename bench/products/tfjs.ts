/**
 * The product in TensorFlow.js.
 *
 * @module
 */
import { openTfjs, settleTfjs, type TfTensor } from "../tfjs.ts";
import type { ProductProblem, ProductRunner } from "./problem.ts";

/** Opens TensorFlow.js's own device. @throws {Error} If TensorFlow.js finds no WebGPU. */
export async function openTfjsProduct({ size, transposed, x, w }: ProductProblem): Promise<ProductRunner> {
  const tf = await openTfjs();
  const left = tf.tensor2d(x, [size, size]), right = tf.tensor2d(w, [size, size]);
  const product = () => tf.matMul(left, right, false, transposed);
  let last: TfTensor | null = null;
  return {
    name: "tfjs",
    async run(count) {
      last?.dispose();
      const outputs = Array.from({ length: count }, product);
      await settleTfjs(tf);
      last = outputs.pop()!;
      tf.dispose(outputs);
    },
    read: () => last!.data(),
    close() {
      tf.dispose([left, right, ...(last ? [last] : [])]);
      return Promise.resolve();
    },
  };
}
