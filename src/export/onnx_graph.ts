/**
 * Building a graph of ONNX operators, node by node. Values are their names.
 *
 * @module
 */
import { type OnnxModel, type OnnxNode, type OnnxTensor, type OnnxType, typeNumber } from "./onnx_proto.ts";

type Attributes = OnnxNode["attributes"];

export class OnnxGraph implements OnnxModel {
  readonly nodes: OnnxNode[] = [];
  readonly inputs: OnnxModel["inputs"][number][] = [];
  readonly outputs: OnnxModel["outputs"][number][] = [];
  readonly #tensors = new Map<string, OnnxTensor>();
  readonly #counts = new Map<string, number>();
  #scope = "";

  get tensors(): readonly OnnxTensor[] {
    return [...this.#tensors.values()];
  }

  /** Names the nodes that `build` adds after a part of the model, such as `layers.0/attention`. */
  within<T>(part: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}/${part}`;
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  /** Declares an input. */
  input(name: string, type: OnnxType, shape: readonly (number | string)[]): string {
    this.inputs.push({ name, type, shape });
    return name;
  }

  /** Declares a value that a node made under this name as an output. */
  output(name: string, type: OnnxType, shape: readonly (number | string)[]): void {
    this.outputs.push({ name, type, shape });
  }

  /** Adds a tensor that the model holds, once by its name. */
  tensor(tensor: OnnxTensor): string {
    if (!this.#tensors.has(tensor.name)) this.#tensors.set(tensor.name, tensor);
    return tensor.name;
  }

  /** A node of one output, called `name` where that is given. */
  op(op: string, inputs: readonly string[], attributes: Attributes = {}, name?: string): string {
    const node = this.#name(op), output = name ?? node;
    this.nodes.push({ name: node, op, inputs, outputs: [output], attributes });
    return output;
  }

  /** The parts of x along its last dimension, of these widths. */
  split(x: string, widths: readonly number[]): string[] {
    if (widths.length === 1) return [x];
    const node = this.#name("Split"), outputs = widths.map((_, i) => `${node}:${i}`);
    const inputs = [x, this.ints(widths)];
    this.nodes.push({ name: node, op: "Split", inputs, outputs, attributes: { axis: -1 } });
    return outputs;
  }

  cast(x: string, to: OnnxType): string {
    return this.op("Cast", [x], { to: typeNumber(to) });
  }

  /** x in another shape; 0 keeps the size that x has there, -1 takes what is left. */
  reshape(x: string, shape: readonly number[] | string): string {
    return this.op("Reshape", [x, typeof shape === "string" ? shape : this.ints(shape)]);
  }

  unsqueeze(x: string, ...axes: number[]): string {
    return this.op("Unsqueeze", [x, this.ints(axes)]);
  }

  /** A number. */
  scalar(value: number): string {
    const data = new Uint8Array(Float32Array.of(value).buffer);
    return this.tensor({ name: `constant ${value}`, type: "float32", shape: [], data });
  }

  /** A list of integers. */
  ints(values: readonly number[]): string {
    const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.tensor({ name: `constant [${values}]`, type: "int64", shape: [values.length], data });
  }

  /** An integer. */
  int(value: number): string {
    const data = new Uint8Array(BigInt64Array.of(BigInt(value)).buffer);
    return this.tensor({ name: `constant integer ${value}`, type: "int64", shape: [], data });
  }

  /** A table of numbers. */
  table(name: string, values: Float32Array, shape: readonly number[]): string {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return this.tensor({ name, type: "float32", shape, data });
  }

  #name(op: string): string {
    const base = `${this.#scope}/${op}`, count = this.#counts.get(base) ?? 0;
    this.#counts.set(base, count + 1);
    return count === 0 ? base : `${base}_${count}`;
  }
}
