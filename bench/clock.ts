/**
 * Time by the wall and by the processor, and contests in which everybody has the same weather: rounds of the contenders
 * follow each other, A B C A B C, so that what else the machine does falls on all of them.
 *
 * @module
 */
import process from "node:process";
import { type Spread, spreadOf } from "./statistics.ts";

/** What one round took. */
export interface Round {
  readonly wallMs: number;
  /** Processor time of all threads of the process that worked. On a hardware GPU: the host's part. */
  readonly cpuMs: number;
}

/** Somebody who does the same piece of work whenever asked. */
export interface Contender {
  readonly name: string;
  round(): Promise<Round>;
}

/** The rounds of one contender. */
export interface Outcome {
  readonly name: string;
  readonly wallMs: Spread;
  readonly cpuMs: Spread;
  readonly rounds: readonly Round[];
}

/** Times work of this process; it has to wait for its own end. */
export async function timed(work: () => Promise<unknown>): Promise<Round> {
  const cpu = process.cpuUsage(), started = performance.now();
  await work();
  const wallMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, cpuMs: (user + system) / 1000 };
}

/** Runs `rounds` rounds of every contender in turn, after one that is thrown away: it compiles. */
export async function interleave(contenders: readonly Contender[], rounds: number): Promise<Outcome[]> {
  for (const contender of contenders) await contender.round();
  const all = contenders.map((): Round[] => []);
  for (let i = 0; i < rounds; i++) {
    for (const [at, contender] of contenders.entries()) all[at]!.push(await contender.round());
  }
  return contenders.map(({ name }, at) => outcomeOf(name, all[at]!));
}

/** What rounds come to. */
export function outcomeOf(name: string, rounds: readonly Round[]): Outcome {
  return {
    name,
    wallMs: spreadOf(rounds.map(({ wallMs }) => wallMs)),
    cpuMs: spreadOf(rounds.map(({ cpuMs }) => cpuMs)),
    rounds,
  };
}

/**
 * How much faster the first contender is than another: the median over the rounds of their times' ratio. Ratios within a
 * round, since only neighbours had the same weather.
 */
export function speedUp(first: Outcome, other: Outcome, by: keyof Round = "wallMs"): Spread {
  return spreadOf(first.rounds.map((round, i) => other.rounds[i]![by] / round[by]));
}
