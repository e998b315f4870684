/**
 * A tensor is a shape, an element type, a label and a place. It has no arithmetic: kernels compute.
 *
 * @module
 */

/** Element types that live in buffers; both take 4 bytes. */
export type ElementType = "f32" | "u32";

export const BYTES_PER_ELEMENT = 4;

/** A buffer that one or several tensors lie in; null until it is allocated. */
interface Place {
  buffer: GPUBuffer | null;
}

/**
 * A dense row-major tensor in GPU memory.
 *
 * `buffer` is null while the tensor is only planned: a transient of a program gets its buffer when the
 * program is allocated, and may share it with others that live at other times.
 */
export class Tensor {
  /** What it is, for messages and the memory plan, such as `layers.3.q`. */
  readonly label: string;
  readonly shape: readonly number[];
  readonly elem: ElementType;
  readonly bytes: number;
  /** Bytes from the start of the buffer. */
  offset = 0;
  readonly #place: Place;

  /** @throws {RangeError} If a size is not a positive integer. */
  constructor(
    label: string,
    shape: readonly number[],
    elem: ElementType = "f32",
    place: Place = { buffer: null },
  ) {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (!shape.every((size) => Number.isInteger(size) && size > 0) || !Number.isSafeInteger(elements)) {
      throw new RangeError(
        `Cannot make tensor "${label}" as its shape is [${shape}]: every size must be a positive integer`,
      );
    }
    this.label = label;
    this.shape = shape;
    this.elem = elem;
    this.bytes = elements * BYTES_PER_ELEMENT;
    this.#place = place;
  }

  get buffer(): GPUBuffer | null {
    return this.#place.buffer;
  }

  set buffer(buffer: GPUBuffer | null) {
    this.#place.buffer = buffer;
  }

  /** The first elements of this tensor under another shape, in the same place, allocated or not. */
  first(shape: readonly number[]): Tensor {
    const view = new Tensor(this.label, shape, this.elem, this.#place);
    if (view.bytes > this.bytes) {
      throw new RangeError(`Cannot view "${this.label}" [${this.shape}] as [${shape}]`);
    }
    view.offset = this.offset;
    return view;
  }
}

/** A planned tensor without a place yet. */
export function tensor(label: string, shape: readonly number[], elem: ElementType = "f32"): Tensor {
  return new Tensor(label, shape, elem);
}

/** A tensor at a fixed place in a buffer that somebody else owns. */
export function tensorAt(
  label: string,
  shape: readonly number[],
  buffer: GPUBuffer,
  offset = 0,
  elem: ElementType = "f32",
): Tensor {
  const made = new Tensor(label, shape, elem, { buffer });
  made.offset = offset;
  return made;
}

/** Rows and columns of a tensor seen as a matrix: all leading sizes flattened into rows. */
export function matrixShape(of: Tensor): { rows: number; cols: number } {
  const cols = of.shape.at(-1) ?? 1;
  return { rows: of.bytes / BYTES_PER_ELEMENT / cols, cols };
}
