/**
 * Flags and help of `bench`, which is run by `bench/bench.ts`.
 *
 * @module
 */
import { type FlagSpec, general, GENERAL_FLAGS } from "./flags.ts";
import { exitCodeTable, flagTable } from "./help.ts";

/** Flags of `bench`. */
export const BENCH_FLAGS: readonly FlagSpec[] = [
  general("only", "Parts to measure, by commas; all without it", { placeholder: "NAMES" }),
  general("smollm2", "Folder of SmolLM2-135M in f32, for the parts that measure it", { placeholder: "DIR" }),
  general("gguf", "A GGUF file of it, to measure beside it", { placeholder: "FILE" }),
  general("quantization", "What the part quantization compares: none, 8bit, 4bit or all", {
    placeholder: "WORD",
    defaultText: "all",
  }),
  general("rounds", "Rounds of each measurement, of which the median is told", {
    placeholder: "N",
    defaultText: "5",
  }),
  general("variant", "Force a form of the kernels", { placeholder: "NAME" }),
  general("quick", "Show that everything works, by numbers that say nothing"),
  general("peers", "Beside jax-js, TensorFlow.js and PEFT: deno task bench:peers brings their packages"),
  general("peft", "Python environment with PEFT, for --peers", { placeholder: "VENV" }),
  general("json", "Write every number as JSON", { placeholder: "FILE" }),
  ...GENERAL_FLAGS.filter(({ name }) => name === "help"),
];

/** What `lowrank bench --help` prints. */
export function benchHelp(): string {
  return `lowrank bench: measure products, steps, memory, generation and start-up on this machine's adapter

Usage: lowrank bench [options]

${flagTable(BENCH_FLAGS, ["General"])}

Where nothing is left out, the report is written to bench/results too, with its drawings.
bench/README.md tells what each part measures, and what it does not.

Exit codes
${exitCodeTable([0, 1, 2, 5])}

Examples
  lowrank bench --only kernels
  lowrank bench --smollm2 models/smollm2 --json numbers.json
`;
}
