/**
 * The end of a branch beside the residual stream: a linear map, in some families a norm, and the sum.
 *
 *     y = stream + norm(x·Wᵀ)
 *
 * @module
 */
import { add } from "../../kernels/add/kernel.ts";
import { BYTES_PER_ELEMENT, type Tensor } from "../tensor.ts";
import type { LoraLinear, LoraLinearSaved } from "./lora_linear.ts";
import type { RmsNorm, RmsNormSaved } from "./rms_norm.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** Kept from forward for backward. */
export interface BranchSaved {
  readonly map: LoraLinearSaved;
  readonly norm: RmsNormSaved | null;
}

export class ResidualBranch {
  readonly map: LoraLinear;
  /** Null where the product goes to the stream as it is. */
  readonly norm: RmsNorm | null;

  constructor(map: LoraLinear, norm: RmsNorm | null) {
    this.map = map;
    this.norm = norm;
  }

  /** y [R, C]; without a norm the product adds the stream as it writes. */
  forward(run: StepRecorder, x: Tensor, stream: Tensor): { y: Tensor; saved: BranchSaved } {
    if (!this.norm) {
      const { y, saved } = this.map.forward(run, x, stream);
      return { y, saved: { map: saved, norm: null } };
    }
    const product = this.map.forward(run, x), normed = this.norm.forward(run, product.y);
    const y = run.tensor(`${normed.y.label} on the stream`, stream.shape);
    run.dispatch(add, { y, a: stream, b: normed.y }, { count: y.bytes / BYTES_PER_ELEMENT });
    return { y, saved: { map: product.saved, norm: normed.saved } };
  }

  /** What {@link forward} keeps, computed with as little as that takes. */
  recompute(run: StepRecorder, x: Tensor): BranchSaved {
    if (!this.norm) return { map: this.map.recompute(run, x), norm: null };
    const product = this.map.forward(run, x);
    return { map: product.saved, norm: this.norm.forward(run, product.y).saved };
  }

  /** Sets dx [R, in] for dy [R, C]; the stream's own gradient is dy. */
  backward(run: StepRecorder, dy: Tensor, saved: BranchSaved, dx: Tensor): void {
    const dproduct = this.norm ? this.norm.backward(run, dy, saved.norm!, null) : dy;
    this.map.backward(run, dproduct, saved.map, dx, "set");
  }
}
