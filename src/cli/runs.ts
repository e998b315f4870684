/**
 * `lowrank runs [DIR]`: what was trained, and how it went.
 *
 * @module
 */
import { ModelFormatError } from "../errors.ts";
import { readRun } from "../explain/read_run.ts";
import { RUN_FILE, type RunRecord } from "../run_files.ts";
import type { Folder } from "../storage.ts";
import { columns, formatDuration } from "./format.ts";
import { parseFlags } from "./flags.ts";
import { isOn } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";
import { openFolder } from "./open_folder.ts";
import { oneWord, RUNS_FLAGS, runsHelp } from "./verb_flags.ts";

/** Where `train` puts runs that are given no output_dir. */
const DEFAULT_FOLDER = "runs";

/** One run of the list. */
interface RunRow {
  readonly name: string;
  readonly status: RunRecord["status"];
  readonly startedAt: string;
  readonly seconds: number | null;
  readonly steps: number;
  readonly totalSteps: number;
  readonly evalLossBefore: number | null;
  readonly evalLossAfter: number | null;
  readonly baseModel: string;
}

/**
 * Prints one line a run.
 *
 * @param files Opens a folder by its uri; default those of this machine.
 * @throws {ConfigError} For wrong usage.
 */
export async function runs(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "stderr">,
  files: (uri: string) => Folder = openFolder,
): Promise<void> {
  const flags = parseFlags(args, RUNS_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(runsHelp());
  const none = flags.positionals.length === 0 && flags.issues.length === 0;
  const folder = none ? DEFAULT_FOLDER : oneWord(flags, "DIR");
  const all = files(folder), rows: RunRow[] = [];
  for (const name of await all.folders()) {
    const run = all.folder(name);
    if (!await run.exists(RUN_FILE)) continue;
    try {
      rows.push(rowOf(name, (await readRun(run)).record));
    } catch (error) {
      if (!(error instanceof ModelFormatError)) throw error;
      io.stderr.write(`warning: ${error.message}\n`); // one damaged run hides no other
    }
  }
  rows.sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  if (isOn(flags, "json")) return io.stdout.write(`${JSON.stringify({ runs: rows }, null, 2)}\n`);
  io.stdout.write(rows.length === 0 ? `no run in "${folder}"\n` : runTable(rows));
}

function rowOf(name: string, record: RunRecord): RunRow {
  const {
    status,
    started_at,
    finished_at,
    steps,
    total_steps,
    eval_loss_before,
    eval_loss_after,
    base_model,
  } = record;
  return {
    name,
    status,
    startedAt: started_at,
    seconds: finished_at === null ? null : (Date.parse(finished_at) - Date.parse(started_at)) / 1000,
    steps,
    totalSteps: total_steps,
    evalLossBefore: eval_loss_before,
    evalLossAfter: eval_loss_after,
    baseModel: base_model.path,
  };
}

function runTable(rows: readonly RunRow[]): string {
  const loss = (value: number | null) => value === null ? "-" : value.toFixed(3);
  const cells = [
    ["run", "status", "started", "took", "steps", "eval loss", "base model"],
    ...rows.map((row) => [
      row.name,
      row.status,
      row.startedAt.slice(0, 16).replace("T", " "),
      row.seconds === null ? "-" : formatDuration(row.seconds),
      `${row.steps}/${row.totalSteps}`,
      `${loss(row.evalLossBefore)} -> ${loss(row.evalLossAfter)}`,
      row.baseModel,
    ]),
  ];
  return columns(cells);
}
