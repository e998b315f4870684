/**
 * The results of moving folders as a Markdown file.
 *
 * @module
 */
import { spreadOf } from "../statistics.ts";
import { formatSpread, table } from "../table.ts";
import type { Store } from "./services.ts";
import type { Mover, TransferReport } from "./transfer_child.ts";

/** What one program took in one round. */
export type MovedRound = Readonly<Record<keyof Mover, TransferReport>>;

/** All rounds of one store. */
export interface StoreRounds {
  readonly store: Pick<Store, "name" | "server" | "peer">;
  readonly ours: readonly MovedRound[];
  readonly theirs: readonly MovedRound[];
}

/** Where and when it was measured. */
export interface StorageHeading {
  readonly date: string;
  readonly lowrank: string;
  readonly cpu: string;
  readonly runtime: string;
  /** Processes that wanted to run when it began, averaged over a minute. */
  readonly load: number;
  readonly command: string;
}

const DIRECTIONS = ["upload", "download"] as const;

/** The report: a table of all stores, then what could not be measured. */
export function formatStorage(
  { date, lowrank, cpu, runtime, load, command }: StorageHeading,
  found: readonly StoreRounds[],
  failures: readonly string[],
): string {
  const rows = found.flatMap((store) => DIRECTIONS.flatMap((direction) => rowsOf(store, direction)));
  const heads = ["store", "direction", "by", "s", "times the other's", "CPU-s", "MB resident at most"];
  return [
    "# Moving folders to buckets and back",
    `Lowrank ${lowrank}, ${date}, \`${command}\`. What is measured is told in [the benchmark's README](../README.md).`,
    table(["what", "found"], [
      ["processor", cpu],
      ["runtime", runtime],
      ["load at the start", load.toFixed(2)],
      ...found.map(({ store: { name, server, peer } }) => [name, `${server}; beside ${peer}`]),
    ]),
    table(heads, rows),
    ...failures.map((failure) => `**Failed**: ${failure}`),
  ].join("\n\n") + "\n";
}

/** Ratios are of the rounds, since only neighbours had the same weather; memory is the most of all rounds. */
function rowsOf({ store, ours, theirs }: StoreRounds, direction: keyof Mover): string[][] {
  const row = (by: string, rounds: readonly MovedRound[], ratio: string) => {
    const reports = rounds.map((round) => round[direction]);
    const peaks = reports.flatMap(({ peakResidentBytes }) => peakResidentBytes ?? []);
    return [
      store.name,
      direction,
      by,
      formatSpread(spreadOf(reports.map(({ wallMs }) => wallMs)), 1e-3),
      ratio,
      formatSpread(spreadOf(reports.map(({ cpuMs }) => cpuMs)), 1e-3),
      peaks.length === 0 ? "not told" : String(Math.round(Math.max(...peaks) / 1e6)),
    ];
  };
  const ratios = ours.map((round, i) => round[direction].wallMs / theirs[i]![direction].wallMs);
  return [
    row("Lowrank", ours, formatSpread(spreadOf(ratios))),
    row(store.name === "local" ? "copy" : "SDK", theirs, ""),
  ];
}
