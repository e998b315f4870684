/**
 * Products of several sizes, each checked against f64 before it is timed.
 *
 * @module
 */
import { measureMatmul } from "../src/tuning/matmul_rate.ts";
import { formatFigures } from "../src/cli/format.ts";
import type { BenchDevice, BenchOptions, Part, PartResult } from "./part.ts";
import { formatSpread, table } from "./table.ts";

const SIZES = [128, 256, 512, 1024], QUICK_SIZES = [64, 128];

export const kernelsPart: Part = {
  name: "kernels",
  title: "Matrix products by size",
  async measure({ gpu, variants }: BenchDevice, { quick }: BenchOptions): Promise<PartResult> {
    const rates = [];
    for (const size of quick ? QUICK_SIZES : SIZES) rates.push(await measureMatmul(gpu, variants, size));
    const best = Math.max(...rates.map(({ gigaflops }) => gigaflops.median));
    return {
      markdown: [
        `y = x·wᵀ in f32 by the tile that this adapter's variant names, operands where the variant wants them; median of 5 ` +
        `batches.`,
        table(
          ["product", "GFLOP/s", "share of the best size", "largest error, as a share of rounding"],
          rates.map(({ size, gigaflops, worstError }) => [
            `${size}³`,
            formatSpread(gigaflops),
            formatFigures(gigaflops.median / best),
            worstError.toPrecision(2),
          ]),
        ),
      ].join("\n\n"),
      data: { rates },
    };
  },
};
