/**
 * The product in jax-js. An array that is disposed of before its work was submitted is never computed: the outputs of a
 * round are kept until all of them are ready.
 *
 * @module
 */
import { type JaxArray, openJax } from "../jax.ts";
import type { ProductProblem, ProductRunner } from "./problem.ts";

/** Opens jax-js's own device. @throws {Error} If jax-js finds no WebGPU. */
export async function openJaxProduct({ size, transposed, x, w }: ProductProblem): Promise<ProductRunner> {
  const { blockUntilReady, jit, numpy } = await openJax();
  const place = (values: Float32Array<ArrayBuffer>) => numpy.array(values).reshape([size, size]);
  const left = place(x), right = place(w);
  await blockUntilReady([left, right]);
  const product = jit((a: JaxArray, b: JaxArray) => numpy.matmul(a, transposed ? b.transpose() : b));
  let last: JaxArray | null = null;
  return {
    name: "jax-js",
    async run(count) {
      last?.dispose();
      const outputs = Array.from({ length: count }, () => product(left.ref, right.ref));
      await blockUntilReady(outputs);
      last = outputs.pop()!;
      for (const output of outputs) output.dispose();
    },
    read: () => last!.ref.data(),
    close() {
      for (const array of [left, right, last]) array?.dispose();
      product.dispose();
      return Promise.resolve();
    },
  };
}
