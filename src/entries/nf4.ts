/**
 * `lowrank/nf4`: values to 4-bit NormalFloat codes and back, with the codes of bitsandbytes, and the quantisation of
 * their scales. Needs no GPU and runs in Deno, Node and the browser.
 *
 * ```ts
 * import { dequantizeNf4, quantizeNf4 } from "lowrank/nf4";
 *
 * const { codes, absmax } = quantizeNf4(Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)));
 * console.log(codes.length, absmax.length, dequantizeNf4(codes, absmax, 64).length); // 32 1 64
 * ```
 *
 * @see Dettmers et al. 2023, arXiv:2305.14314.
 * @module
 */
export { dequantizeNf4, NF4_BLOCK_VALUES, NF4_LEVELS, type Nf4Blocks, quantizeNf4 } from "../quant/nf4.ts";
export {
  dequantizeScales,
  DYNAMIC_LEVELS,
  type NestedScales,
  quantizeScales,
} from "../quant/double_quant.ts";
