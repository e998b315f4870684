/**
 * The small fine-tuning step in three libraries: the losses of the first steps are compared, then steps are timed in
 * turns.
 *
 * @module
 */
import { interleave, speedUp, timed } from "../clock.ts";
import type { BenchDevice, BenchOptions, Part, PartResult } from "../part.ts";
import { formatRatio, formatSpread, table } from "../table.ts";
import { openJaxMlp } from "./jax.ts";
import { openLowrankMlp } from "./lowrank.ts";
import { type Work, workOf } from "../../src/tuning/work.ts";
import { tunedFor } from "../tuned.ts";
import { mlpProblem, type MlpRunner, type MlpSizes, RANK } from "./problem.ts";
import { openTfjsMlp } from "./tfjs.ts";

const SIZES: MlpSizes = { rows: 64, input: 256, middle: 512, output: 64 };
const QUICK_SIZES: MlpSizes = { rows: 16, input: 32, middle: 64, output: 16 };
const COMPARED_STEPS = 5;
const STEPS = 20, QUICK_STEPS = 2;
/** Of a loss, relatively: f32 sums of a few hundred terms in another order, five updates deep. */
const LOSS_TOLERANCE = 1e-4;

export const mlpContest: Part = {
  name: "mlp",
  title: "A small LoRA step in three libraries",
  async measure(device: BenchDevice, { rounds, quick, tunes }: BenchOptions): Promise<PartResult> {
    const sizes = quick ? QUICK_SIZES : SIZES, steps = quick ? QUICK_STEPS : STEPS;
    const problem = mlpProblem(sizes);
    const runners = [
      await openLowrankMlp(await tunedFor(device, { tunes }, mlpWork(sizes)), problem),
      await openJaxMlp(problem),
      await openTfjsMlp(problem),
    ];
    try {
      const losses = await comparedLosses(runners);
      const contenders = runners.map((runner) => ({
        name: runner.name,
        round: () =>
          timed(async () => {
            for (let i = 0; i < steps; i++) runner.step();
            await runner.settle();
          }),
      }));
      const outcomes = await interleave(contenders, rounds);
      const rows = outcomes.map((outcome, i) => [
        outcome.name,
        formatSpread(outcome.wallMs, 1 / steps),
        (outcome.cpuMs.median / steps).toPrecision(3),
        i === 0 ? "" : formatRatio(speedUp(outcomes[0]!, outcome).median),
        losses[i]!.at(-1)!.toPrecision(7),
      ]);
      const heads = [
        "library",
        "ms a step",
        "CPU-ms a step",
        "ours is faster by",
        `loss of step ${COMPARED_STEPS}`,
      ];
      return {
        markdown: [
          `Gated feed-forward block ${sizes.input}-${sizes.middle}-${sizes.output}, ${sizes.rows} rows, frozen f32 ` +
          `weights, LoRA of rank 8 on its three maps, squared error, AdamW. ${steps} steps, then one wait; the losses of ` +
          `the first ${COMPARED_STEPS} steps agree within ${LOSS_TOLERANCE}. Median of ${rounds} interleaved rounds.`,
          table(heads, rows),
        ].join("\n\n"),
        data: { sizes, steps, losses, outcomes },
      };
    } finally {
      for (const runner of runners) await runner.close();
    }
  },
};

/** The products of the step: three maps, forward and backward, each with its update. */
function mlpWork({ rows, input, middle, output }: MlpSizes): Work {
  const maps = [{ out: middle, in: input, count: 2 }, { out: output, in: middle, count: 1 }];
  return workOf({ maps, head: null, tokens: rows, headRows: 0, rank: RANK });
}

/** The losses of the first steps, one list a library. @throws {Error} If one of them goes another way than ours. */
async function comparedLosses(runners: readonly MlpRunner[]): Promise<number[][]> {
  const losses = runners.map((): number[] => []);
  for (const [i, runner] of runners.entries()) {
    for (let step = 0; step < COMPARED_STEPS; step++) {
      runner.step();
      losses[i]!.push(await runner.loss());
    }
  }
  checkLosses(runners.map(({ name }) => name), losses, LOSS_TOLERANCE);
  return losses;
}

/** Compares lists of losses with the first. @throws {Error} If one is further than `tolerance`, relatively. */
export function checkLosses(
  names: readonly string[],
  losses: readonly (readonly number[])[],
  tolerance: number,
): void {
  const [ours, ...others] = losses;
  others.forEach((theirs, i) =>
    theirs.forEach((loss, step) => {
      if (Math.abs(loss - ours![step]!) <= tolerance * Math.abs(loss)) return;
      throw new Error(
        `Cannot compare ${names[0]} with ${names[i + 1]} as their losses differ at step ${step + 1}: ` +
          `${ours![step]} and ${loss}, which may differ by ${tolerance} of it`,
      );
    })
  );
}
