/**
 * Choosing a tile by measurement: what is worth measuring for a run of this length, and what wins.
 *
 * @module
 */

/** A tile that may win, and what trying it costs. */
export interface Candidate<T> {
  readonly tile: T;
  /** Seconds that one pipeline takes to compile, as far as is known before it was compiled. */
  readonly compileSeconds: number;
}

/** What measuring a tile gave. */
export interface Measurement {
  /** Seconds of all products of one micro-batch. */
  readonly seconds: number;
  /** Seconds that its first pipeline took to compile. */
  readonly compileSeconds: number;
}

/** A tile as it came out. */
export interface Trial<T> {
  readonly tile: T;
  /** What was measured, or why nothing was. */
  readonly result: Measurement | { readonly skipped: string };
}

/** The tile to run with, and everything that was tried. */
export interface Choice<T> {
  readonly tile: T;
  readonly trials: readonly Trial<T>[];
}

/** The run that a choice is made for. */
export interface RunLength {
  /** Micro-batches to come. */
  readonly microBatches: number;
  /** Pipelines that will be compiled with the tile. */
  readonly pipelines: number;
}

/** Share of the time that a better tile may save at most; measured on several adapters it was less. */
const HOPE = 0.5;
/** Software adapters are shared with other work: a smaller lead may be chance. */
const LEAST_LEAD = 0.1;

/**
 * Measures the incumbent, then the candidates in their order. A candidate is compiled only where half of the run's time
 * in these products would pay for its compilation, and wins only where the whole run with it, compilation included, is
 * shorter and its products are faster by 10 %.
 *
 * @param measure Checks the tile's results, then times it. What it throws excludes the tile, with the message as reason.
 */
export async function chooseTile<T>(
  incumbent: T,
  candidates: readonly Candidate<T>[],
  { microBatches, pipelines }: RunLength,
  measure: (tile: T) => Promise<Measurement>,
): Promise<Choice<T>> {
  const first = await measure(incumbent);
  const trials: Trial<T>[] = [{ tile: incumbent, result: first }];
  // one of the pipelines is compiled once it was measured
  const runSeconds = ({ seconds, compileSeconds }: Measurement) =>
    microBatches * seconds + (pipelines - 1) * compileSeconds;
  let best = { tile: incumbent, result: first };
  for (const { tile, compileSeconds } of candidates) {
    const most = HOPE * microBatches * best.result.seconds, cost = pipelines * compileSeconds;
    if (most < cost) {
      trials.push({ tile, result: { skipped: tooShort(most, cost) } });
      continue;
    }
    let result: Measurement;
    try {
      result = await measure(tile);
    } catch (error) {
      trials.push({ tile, result: { skipped: error instanceof Error ? error.message : String(error) } });
      continue;
    }
    trials.push({ tile, result });
    const isFaster = result.seconds <= (1 - LEAST_LEAD) * best.result.seconds;
    if (isFaster && runSeconds(result) < runSeconds(best.result)) best = { tile, result };
  }
  return { tile: best.tile, trials };
}

function tooShort(most: number, cost: number): string {
  return `the run is too short: compiling takes about ${cost.toFixed(0)} s and could save ${
    most.toFixed(0)
  } s at most`;
}
