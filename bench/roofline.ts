/**
 * How fast an adapter is at what training is made of: products, copies, a whole step.
 *
 * @module
 */
import { measureCopy } from "../src/cli/copy_rate.ts";
import { type MatmulRate, measureMatmul } from "../src/tuning/matmul_rate.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { chooseVariants } from "../src/nn/variants.ts";
import { fullBatch, type StepTimes, syntheticModel, timeSteps } from "./training_step.ts";

const SIZES = [256, 512, 1024, 2048];
const ROWS = 1, LENGTH = 256, WARM_STEPS = 5;

/** What was measured before the time was up. */
export interface Roofline {
  readonly matmul: readonly MatmulRate[];
  /** Bytes read plus bytes written, in units of 1e9 a second. */
  readonly copyGigabytes: number;
  readonly step: StepTimes & { readonly layers: number };
}

/**
 * Measures. Larger products are left out once `limitMs` would be exceeded; of a software adapter, the step has two
 * layers in place of 30.
 */
export async function measureRoofline(gpu: Gpu, limitMs: number): Promise<Roofline> {
  const started = performance.now();
  const variants = chooseVariants(gpu);
  const copyGigabytes = await measureCopy(gpu);
  const layers = gpu.software ? 2 : 30;
  const model = await syntheticModel(gpu, variants, { layers, rows: ROWS, length: LENGTH });
  const step = await timeSteps(model, fullBatch(model, ROWS, LENGTH), WARM_STEPS);
  model.destroy();
  const matmul: MatmulRate[] = [];
  for (const size of SIZES) {
    const last = matmul.at(-1);
    // A measurement runs about twenty products; an eightfold one takes eight times as long.
    const expectedMs = last ? 20 * 2 * size ** 3 / last.gigaflops.median / 1e6 : 0;
    if (performance.now() - started + expectedMs > limitMs) break;
    matmul.push(await measureMatmul(gpu, variants, size));
  }
  return { matmul, copyGigabytes, step: { ...step, layers } };
}
