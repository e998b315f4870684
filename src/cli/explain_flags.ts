/**
 * Flags and help of `explain`; small, so that the list of commands need not load the engine.
 *
 * @module
 */
import { type FlagSpec, GENERAL_FLAGS } from "./flags.ts";
import { GPU_FLAG } from "./generate_flags.ts";
import { exitCodeTable, flagTable } from "./help.ts";

const flag = (name: string, placeholder: string | null, help: string): FlagSpec => {
  return { name, placeholder, help, aliases: [], section: "General" };
};

/** Flags of `explain`. */
export const EXPLAIN_FLAGS: readonly FlagSpec[] = [
  flag("out", "FILE", "Where the page goes; without it, explain.html in the run's folder"),
  flag("base-model", "PATH", "Where the base model is now, if it has moved since"),
  flag("json", null, "The data as JSON on standard output, and no page unless --out names one"),
  { ...GPU_FLAG, section: "General" },
  flag("require-gpu", null, "Refuse adapters that compute on the CPU"),
  ...GENERAL_FLAGS,
];

/** What `lowrank explain --help` prints. */
export function explainHelp(): string {
  return `lowrank explain: where the time and memory of a run go, as one HTML page

Usage: lowrank explain RUN [options]

${flagTable(EXPLAIN_FLAGS, ["General"])}

RUN is the output folder of a training run. Its base model is loaded and one micro-batch of the
run's shape is timed, kernel by kernel, beside what the adapter reaches at best; made-up tokens take
the place of the data. Nothing is trained. Without timestamp queries, the page has plan and memory
alone.

Exit codes
${exitCodeTable([0, 1, 2, 4, 5])}

Examples
  lowrank explain runs/signals
  lowrank explain runs/signals --json | jq '.times.byKernel[0]'
`;
}
