/**
 * The recorder that layers write on: tensors as operands of products, staged into textures where the adapter
 * wants that.
 *
 * @module
 */
import {
  type GroupedFormat,
  unpackToBuffer,
  unpackToTexture,
  vectorsPerLane,
} from "../../kernels/packed/kernel.ts";
import { toTexture, toTextureTransposed, transpose } from "../../kernels/stage/kernel.ts";
import type { MatrixTexture, Operand } from "../gpu/kernel.ts";
import type { ProgramResources } from "../gpu/program.ts";
import { Recorder } from "../gpu/recorder.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { DropoutDraws } from "./dropout.ts";
import type { Variants } from "./variants.ts";

/** Bytes that a row must be a multiple of to be copied into a texture without a kernel. */
const COPY_ROW_BYTES = 256;

const UNPACK_LANES = 8;

/** What a packed matrix is. */
export interface PackedShape {
  readonly label: string;
  readonly rows: number;
  /** Divisible by 4. */
  readonly cols: number;
  readonly format: GroupedFormat;
}

/** A recorder that knows the adapter's variants and keeps staged operands as long as they are valid. */
export class StepRecorder extends Recorder {
  readonly variants: Variants;
  /** What dropout draws by; null in programs that leave nothing out. */
  draws: DropoutDraws | null = null;
  readonly #staged = new Map<Tensor, { plain?: Operand; transposed?: Operand }>();

  constructor(label: string, resources: ProgramResources, variants: Variants) {
    super(label, resources);
    this.variants = variants;
  }

  /** The tensor, all leading sizes flattened into rows, as an operand. */
  operand(tensor: Tensor): Operand {
    const staged = this.#stagedOf(tensor);
    return staged.plain ??= this.#inTexture(tensor) ? this.#stage(tensor) : inStorage(tensor);
  }

  /**
   * The same for a kernel that reads each element about once: it is staged where a copy does that, or where it is staged
   * already. A kernel that stages would read all that there is to read.
   */
  readOnce(tensor: Tensor): Operand {
    const ready = this.#staged.get(tensor)?.plain ?? null;
    return ready ?? (copyable(tensor) ? this.operand(tensor) : inStorage(tensor));
  }

  /** A packed matrix as an operand: its words, or its values for as long as this scope. */
  unpacked(words: Tensor, { label, rows, cols, format }: PackedShape): Operand {
    if (this.variants.packed === "read") return { source: format, tensor: words };
    const staged = this.#stagedOf(words);
    return staged.plain ??= this.#unpack(words, { label, rows, cols, format });
  }

  /** The transpose of the tensor as an operand. */
  transposed(tensor: Tensor): Operand {
    const staged = this.#stagedOf(tensor);
    return staged.transposed ??= this.#stageTransposed(tensor);
  }

  /** Forgets staged operands, so that their memory can be used again. Called between blocks. */
  endScope(): void {
    this.#staged.clear();
  }

  protected override written(tensor: Tensor): void {
    this.#staged.delete(tensor);
  }

  #stagedOf(tensor: Tensor) {
    let staged = this.#staged.get(tensor);
    if (!staged) this.#staged.set(tensor, staged = {});
    return staged;
  }

  #inTexture(tensor: Tensor): boolean {
    const { rows, cols } = matrixShape(tensor);
    return this.#fitsTexture(rows, cols);
  }

  #fitsTexture(rows: number, cols: number): boolean {
    const limit = this.resources.gpu.limits.maxTextureDimension2D;
    return this.variants.operands === "texture" && rows <= limit && Math.ceil(cols / 4) <= limit;
  }

  #stage(tensor: Tensor): Operand {
    const { rows, cols } = matrixShape(tensor);
    // rows are padded too: a product may reduce over them, four at a time
    const texture = this.texture(`${tensor.label} (staged)`, 4 * Math.ceil(rows / 4), cols);
    if (copyable(tensor)) this.copyToTexture(tensor, texture);
    else {
      const { WORKGROUP_SIZE } = toTexture.constants;
      const constants = { WORKGROUP_SIZE, DOWN: texture.width < WORKGROUP_SIZE ? 1 : 0 };
      this.dispatch(toTexture, { staged: texture, source: tensor }, texels(texture, rows, cols), constants);
    }
    return { source: "texture", texture };
  }

  #unpack(words: Tensor, { label, rows, cols, format }: PackedShape): Operand {
    const sizes = { rows, w_cols: cols };
    const constants = { WORKGROUP_SIZE: UNPACK_LANES, VECTORS: vectorsPerLane(format, cols) };
    if (this.#fitsTexture(rows, cols)) {
      const texture = this.texture(`${label} (unpacked)`, 4 * Math.ceil(rows / 4), cols);
      this.dispatch(unpackToTexture(format), { y: texture, w: words }, sizes, constants);
      return { source: "texture", texture };
    }
    const y = this.tensor(`${label} (unpacked)`, [rows, cols]);
    this.dispatch(unpackToBuffer(format), { y, w: words }, sizes, constants);
    return inStorage(y);
  }

  #stageTransposed(tensor: Tensor): Operand {
    const { rows, cols } = matrixShape(tensor);
    if (this.#inTexture(tensor)) {
      const texture = this.texture(`${tensor.label} (staged transpose)`, 4 * Math.ceil(cols / 4), rows);
      this.dispatch(toTextureTransposed, { staged: texture, source: tensor }, texels(texture, rows, cols));
      return { source: "texture", texture };
    }
    const y = this.tensor(`${tensor.label} (transpose)`, [cols, rows]);
    this.dispatch(transpose, { y, source: tensor }, { rows, cols });
    return inStorage(y);
  }
}

/** Whether a copy lays the tensor into a texture as it is. */
function copyable(tensor: Tensor): boolean {
  const { rows, cols } = matrixShape(tensor);
  return rows % 4 === 0 && (cols * 4) % COPY_ROW_BYTES === 0;
}

/** A tensor read where it lies. */
export function inStorage(tensor: Tensor): Operand {
  return { source: matrixShape(tensor).cols % 4 === 0 ? "vec4" : "scalar", tensor };
}

function texels({ width, height }: MatrixTexture, rows: number, cols: number) {
  return { rows, cols, width, height };
}
