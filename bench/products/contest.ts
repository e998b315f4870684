/**
 * One product in three libraries: checked first, then timed in turns, from buffers to a buffer, with one wait at the end.
 *
 * @module
 */
import { interleave, type Outcome, speedUp, timed } from "../clock.ts";
import type { BenchDevice, BenchOptions, Part, PartResult } from "../part.ts";
import { rateOf } from "../statistics.ts";
import { formatRatio, formatSpread, table } from "../table.ts";
import { openJaxProduct } from "./jax.ts";
import { openLowrankProduct } from "./lowrank.ts";
import { type ProductProblem, productProblem, type ProductRunner, sampledError } from "./problem.ts";
import { tunedFor } from "../tuned.ts";
import { openTfjsProduct } from "./tfjs.ts";

const SIZE = 512, REPETITIONS = 20;
const QUICK_SIZE = 128, QUICK_REPETITIONS = 4;

interface Contest {
  readonly formula: string;
  readonly outcomes: readonly Outcome[];
  /** Largest absolute error of each against f64. */
  readonly errors: readonly number[];
}

export const productContest: Part = {
  name: "matmul",
  title: "A matrix product in three libraries",
  async measure(device: BenchDevice, { rounds, quick, tunes }: BenchOptions): Promise<PartResult> {
    const size = quick ? QUICK_SIZE : SIZE, repetitions = quick ? QUICK_REPETITIONS : REPETITIONS;
    const contests: Contest[] = [];
    const product = [{ rows: size, cols: size, inner: size, count: 1 }];
    const work = { forward: product, backwardInput: product, narrow: [], backwardFactor: [] };
    const tuned = await tunedFor(device, { tunes }, work);
    for (const transposed of [true, false]) {
      contests.push(await contest(tuned, { size, transposed, repetitions, rounds }));
    }
    const gigaflop = 2 * size ** 3 * repetitions / 1e9;
    const rows = contests.flatMap(({ formula, outcomes, errors }) =>
      outcomes.map((outcome, i) => [
        formula,
        outcome.name,
        formatSpread(rateOf(1000 * gigaflop, outcome.wallMs)),
        (1000 * gigaflop / outcome.cpuMs.median).toPrecision(3),
        i === 0 ? "" : formatRatio(speedUp(outcomes[0]!, outcome).median),
        errors[i]!.toExponential(1),
      ])
    );
    const heads = ["product", "library", "GFLOP/s", "GFLOP per CPU-s", "ours is faster by", "largest error"];
    return {
      markdown: [
        `f32, ${size} x ${size} x ${size}, ${repetitions} products from buffers to buffers, then one wait; what we stage ` +
        `into textures is staged anew for each product. Our tiles are those that measuring chose. Median of ${rounds} interleaved rounds (least to most).`,
        table(heads, rows),
      ].join("\n\n"),
      data: { size, repetitions, contests },
    };
  },
};

async function contest(
  device: BenchDevice,
  { size, transposed, repetitions, rounds }: {
    size: number;
    transposed: boolean;
    repetitions: number;
    rounds: number;
  },
): Promise<Contest> {
  const problem = productProblem(size, transposed);
  const runners: ProductRunner[] = [
    await openLowrankProduct(device, problem),
    await openJaxProduct(problem),
    await openTfjsProduct(problem),
  ];
  try {
    for (const runner of runners) {
      await runner.run(1);
      await checkedError(runner, problem);
    }
    const contenders = runners.map(({ name, run }) => ({ name, round: () => timed(() => run(repetitions)) }));
    const outcomes = await interleave(contenders, rounds);
    const errors: number[] = [];
    for (const runner of runners) errors.push(await checkedError(runner, problem)); // what was timed was computed
    return { formula: transposed ? "x·wᵀ" : "x·w", outcomes, errors };
  } finally {
    for (const runner of runners) await runner.close();
  }
}

/** Largest error of the last product. @throws {Error} If it is further from f64 than rounding explains. */
async function checkedError({ name, read }: ProductRunner, problem: ProductProblem): Promise<number> {
  const { absolute, share } = sampledError(await read(), problem);
  if (share <= 1) return absolute;
  throw new Error(
    `Cannot time ${name} as its product is off by ${absolute}, ${share} times what rounding explains`,
  );
}
