/**
 * ONNX models on the wire: `ModelProto` of `onnx.proto3`, with the data of its tensors in the file or in others beside
 * it. Data is asked for when its turn comes, so that a model of any size is written in the memory of one piece.
 *
 * @see https://github.com/onnx/onnx/blob/main/docs/IR.md
 * @see https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
 * @module
 */
import { bytesField, bytesHeader, joined, varintField } from "../protobuf.ts";
import { VERSION } from "../version.ts";

/** Version of the format, and of the operators: what onnxruntime has read since 1.12. */
const IR_VERSION = 8, OPSET_VERSION = 17;

/** Element types by their number in `TensorProto.DataType`. */
const TYPE_NUMBERS = { float32: 1, int64: 7, bool: 9, float16: 10 } as const;

export type OnnxType = keyof typeof TYPE_NUMBERS;

const TYPE_BYTES: Readonly<Record<OnnxType, number>> = { float32: 4, int64: 8, bool: 1, float16: 2 };

/** A node of the graph. */
export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** All integers, or lists of such. */
  readonly attributes: Readonly<Record<string, number | readonly number[]>>;
}

/** An input or output of the graph; a size that differs from call to call has a name. */
export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly (number | string)[];
}

/** A tensor that the model holds. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly number[];
  /** Little-endian, row-major: at hand, or fetched when its turn comes. */
  readonly data: Uint8Array | (() => AsyncIterable<Uint8Array>);
}

/** A graph with everything that belongs to it. */
export interface OnnxModel {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly tensors: readonly OnnxTensor[];
}

/** Where a tensor's data lies, if not in the model's own file. */
export interface ExternalPlace {
  /** Name of a file in the same folder. */
  readonly file: string;
  readonly offset: number;
}

/** Number of an element type, for the attribute `to` of Cast. */
export function typeNumber(type: OnnxType): number {
  return TYPE_NUMBERS[type];
}

/** Bytes of a tensor's data. */
export function dataBytes({ type, shape }: Pick<OnnxTensor, "type" | "shape">): number {
  return shape.reduce((product, size) => product * size, TYPE_BYTES[type]);
}

/** A tensor's data as it is fetched. @throws {RangeError} If it is not as long as type and shape demand. */
export async function* dataOf(tensor: OnnxTensor): AsyncGenerator<Uint8Array> {
  const { data, name } = tensor, wanted = dataBytes(tensor);
  let bytes = 0;
  const checked = (piece: Uint8Array) => {
    bytes += piece.length;
    return piece;
  };
  if (data instanceof Uint8Array) yield checked(data);
  else for await (const piece of data()) yield checked(piece);
  if (bytes === wanted) return;
  throw new RangeError(`Cannot write tensor "${name}": its data has ${bytes} bytes, ${wanted} are wanted`);
}

/**
 * The file in parts, one after the other: bytes, and tensors whose data stands there.
 *
 * @param placeOf Where a tensor lies outside; null for one in the file.
 */
export function encodeModel(
  model: OnnxModel,
  placeOf: (tensor: OnnxTensor) => ExternalPlace | null,
): (Uint8Array | OnnxTensor)[] {
  const graph = [
    joined(model.nodes.map((node) => bytesField(1, encodeNode(node)))),
    bytesField(2, "decoder"),
    ...model.tensors.flatMap((tensor) => tensorParts(tensor, placeOf(tensor))),
    joined(model.inputs.map((value) => bytesField(11, encodeValue(value)))),
    joined(model.outputs.map((value) => bytesField(12, encodeValue(value)))),
  ];
  const head = [
    varintField(1, IR_VERSION),
    bytesField(2, "lowrank"),
    bytesField(3, VERSION),
    bytesField(8, [varintField(2, OPSET_VERSION)]),
    bytesHeader(7, lengthOf(graph)),
  ];
  return [joined(head), ...graph];
}

/** Bytes that parts take in the file. */
export function lengthOf(parts: readonly (Uint8Array | OnnxTensor)[]): number {
  return parts.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : dataBytes(part)), 0);
}

/** `NodeProto` */
function encodeNode({ name, op, inputs, outputs, attributes }: OnnxNode): Uint8Array[] {
  return [
    ...inputs.map((input) => bytesField(1, input)),
    ...outputs.map((output) => bytesField(2, output)),
    bytesField(3, name),
    bytesField(4, op),
    ...Object.entries(attributes).map(([key, value]) => bytesField(5, encodeAttribute(key, value))),
  ];
}

/** Of `AttributeProto.AttributeType`. */
const INT = 2, INTS = 7;

function encodeAttribute(name: string, value: number | readonly number[]): Uint8Array[] {
  const content = typeof value === "number"
    ? [varintField(3, value), varintField(20, INT)]
    : [...value.map((one) => varintField(8, one)), varintField(20, INTS)];
  return [bytesField(1, name), ...content];
}

/** `ValueInfoProto` of a tensor. */
function encodeValue({ name, type, shape }: OnnxValue): Uint8Array[] {
  const sizes = shape.map((size) =>
    bytesField(1, [typeof size === "number" ? varintField(1, size) : bytesField(2, size)])
  );
  const tensor = [varintField(1, TYPE_NUMBERS[type]), bytesField(2, sizes)];
  return [bytesField(1, name), bytesField(2, [bytesField(1, tensor)])];
}

/** Of `TensorProto.DataLocation`. */
const EXTERNAL = 1;

/** `TensorProto` as the graph's initializer. */
function tensorParts(tensor: OnnxTensor, place: ExternalPlace | null): (Uint8Array | OnnxTensor)[] {
  const { name, type, shape } = tensor, length = dataBytes(tensor);
  const head = joined([
    ...shape.map((size) => varintField(1, size)),
    varintField(2, TYPE_NUMBERS[type]),
    bytesField(8, name),
  ]);
  if (place) {
    const entry = (key: string, value: string) => bytesField(13, [bytesField(1, key), bytesField(2, value)]);
    const fields = [
      head,
      entry("location", place.file),
      entry("offset", String(place.offset)),
      entry("length", String(length)),
      varintField(14, EXTERNAL),
    ];
    return [bytesField(5, fields)];
  }
  const data = bytesHeader(9, length);
  return [joined([bytesHeader(5, head.length + data.length + length), head, data]), tensor];
}
