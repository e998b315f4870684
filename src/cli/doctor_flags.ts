/**
 * Flags and help of `doctor`; small, so that the list of commands need not load the engine.
 *
 * @module
 */
import { type FlagSpec, GENERAL_FLAGS } from "./flags.ts";
import { GPU_FLAG } from "./generate_flags.ts";
import { exitCodeTable, flagTable } from "./help.ts";

/** Flags of `doctor`. */
export const DOCTOR_FLAGS: readonly FlagSpec[] = [
  {
    name: "json",
    aliases: [],
    placeholder: null,
    help: "The report as JSON",
    section: "General",
  },
  { ...GPU_FLAG, section: "General" },
  {
    name: "require-gpu",
    aliases: [],
    placeholder: null,
    help: "Fail where only the CPU computes",
    section: "General",
  },
  {
    name: "retune",
    aliases: [],
    placeholder: null,
    help: "Measure the tiles of matrix products anew, on the sizes of a small model, and keep them",
    section: "General",
  },
  ...GENERAL_FLAGS,
];

/** What `lowrank doctor --help` prints. */
export function doctorHelp(): string {
  return `lowrank doctor: what this machine computes on, and what to install or set

Usage: lowrank doctor [options]

${flagTable(DOCTOR_FLAGS, ["General"])}

Runs measure their matrix products on their own sizes and keep what they found; the rows "tuned"
tell of it. --retune does the same for a model 576 wide: seconds on a GPU, a minute where the CPU
computes.

Exit codes
${exitCodeTable([0, 1, 2, 5])}

Examples
  lowrank doctor
  lowrank doctor --require-gpu --json
  lowrank doctor --gpu low-power
`;
}
