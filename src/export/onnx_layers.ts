/**
 * Layers of a decoder in a graph: linear maps, norms, activations.
 *
 * In fp16, matrices, what they are multiplied by and their products are halves. Everything else is f32, so that nothing
 * overflows that fits in training.
 *
 * @module
 */
import type { Activation } from "../models/config.ts";
import type { OnnxGraph } from "./onnx_graph.ts";
import type { OnnxTensor } from "./onnx_proto.ts";

/** Element type of matrices, products and cache. */
export type ProductType = "float32" | "float16";

/** A weight as the graph wants it. */
export interface OnnxWeight {
  /** Name of the checkpoint's tensor, and of the graph's. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: ProductType;
  /** What is added to its values. */
  readonly added: number;
}

/** Gives the data of a weight. */
export type WeightData = (weight: OnnxWeight) => OnnxTensor["data"];

/** √(2/π) and the share of the cube in the tanh form of GELU. */
const GELU_ROOT = Math.sqrt(2 / Math.PI), GELU_CUBE = 0.044715;

export class OnnxLayers {
  readonly graph: OnnxGraph;
  readonly type: ProductType;
  readonly #dataOf: WeightData;

  constructor(graph: OnnxGraph, type: ProductType, dataOf: WeightData) {
    this.graph = graph;
    this.type = type;
    this.#dataOf = dataOf;
  }

  /** An f32 value as a factor of a product. */
  narrow(x: string): string {
    return this.type === "float32" ? x : this.graph.cast(x, this.type);
  }

  /** A product as an f32 value. */
  wide(x: string): string {
    return this.type === "float32" ? x : this.graph.cast(x, "float32");
  }

  /** A matrix of the checkpoint. */
  matrix(name: string, shape: readonly number[]): string {
    return this.#weight({ name, shape, type: this.type, added: 0 });
  }

  /** x·Wᵀ [R, out] in f32, with x [R, in] in the type of products and W [out, in]; the order of the checkpoint. */
  product(x: string, matrix: string): string {
    return this.wide(this.graph.op("Gemm", [x, matrix], { transB: 1 }));
  }

  /** x·Wᵀ + b in f32. */
  linear(x: string, path: string, shape: readonly [number, number], bias: boolean): string {
    const y = this.product(x, this.matrix(`${path}.weight`, shape));
    if (!bias) return y;
    const added = this.#weight({ name: `${path}.bias`, shape: [shape[0]], type: "float32", added: 0 });
    return this.graph.op("Add", [y, added]);
  }

  /** x / √(mean x² + eps)·(offset + w) over the last dimension. The steps are those that onnxruntime makes one of. */
  norm(
    x: string,
    path: string,
    { width, eps, offset }: { readonly width: number; readonly eps: number; readonly offset: number },
  ): string {
    const { graph } = this;
    return graph.within("norm", () => {
      const squares = graph.op("Pow", [x, graph.scalar(2)]);
      const mean = graph.op("ReduceMean", [squares], { axes: [-1], keepdims: 1 });
      const root = graph.op("Sqrt", [graph.op("Add", [mean, graph.scalar(eps)])]);
      const weight = { name: `${path}.weight`, shape: [width], type: "float32", added: offset } as const;
      return graph.op("Mul", [graph.op("Div", [x, root]), this.#weight(weight)]);
    });
  }

  /** silu(x) = x·σ(x), or gelu(x) = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))) */
  activation(x: string, activation: Activation): string {
    const { graph } = this, times = (a: string, b: string) => graph.op("Mul", [a, b]);
    if (activation === "silu") return times(x, graph.op("Sigmoid", [x]));
    const cube = times(times(x, x), times(x, graph.scalar(GELU_CUBE)));
    const inner = times(graph.op("Add", [x, cube]), graph.scalar(GELU_ROOT));
    const share = graph.op("Add", [graph.op("Tanh", [inner]), graph.scalar(1)]);
    return times(times(x, graph.scalar(0.5)), share);
  }

  /** c·tanh(x/c) */
  softcap(x: string, cap: number): string {
    const { graph } = this, c = graph.scalar(cap);
    return graph.op("Mul", [graph.op("Tanh", [graph.op("Div", [x, c])]), c]);
  }

  #weight(weight: OnnxWeight): string {
    const { name, type, shape } = weight;
    return this.graph.tensor({ name, type, shape, data: this.#dataOf(weight) });
  }
}
