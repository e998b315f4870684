/**
 * The product in TensorFlow.js.
 *
 * @module
 */
import { openTfjs, settleTfjs } from "../tfjs.ts";
import type { ProductProblem, ProductRunner } from "./problem.ts";

/** Opens TensorFlow.js's own device. @throws {Error} If TensorFlow.js finds no WebGPU. */
export async function openTfjsProduct({ size, transposed, x, w }: ProductProblem): Promise<ProductRunner> {
  const tf = await openTfjs();
  const left = tf.tensor2d(x, [size, size]), right = tf.tensor2d(w, [size, size]);
  const product = () => tf.matMul(left, right, false, transposed);
  return {
    name: "tfjs",
    async run(count) {
      const outputs = Array.from({ length: count }, product);
      await settleTfjs(tf);
      tf.dispose(outputs);
    },
    async read() {
      const output = product();
      const values = await output.data();
      output.dispose();
      return values;
    },
    close() {
      tf.dispose([left, right]);
      return Promise.resolve();
    },
  };
}
