/**
 * Memory of a run: what the plan says, what WebGPU was asked for, and what the process held at most, both of the library
 * and of the command as a user gives it.
 *
 * @module
 */
import { formatBytes } from "../src/cli/format.ts";
import type { BenchDevice, BenchOptions, Part, PartResult } from "./part.ts";
import { LAUNCHER_MEMORY } from "./launcher_memory.ts";
import { peakResidentOf } from "./process_memory.ts";
import { table } from "./table.ts";
import { type ChildReport, trainInChild } from "./trained_child.ts";

const BUNDLED = decodeURIComponent(new URL("../examples/tiny/model", import.meta.url).pathname);
const MAIN = decodeURIComponent(new URL("../src/main.ts", import.meta.url).pathname);
const CONFIG = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);
const LENGTH = 256, QUICK_LENGTH = 32, RANK = 8, STEPS = 2;
const POLL_MS = 50;

interface MemoryRow {
  readonly recompute: boolean;
  readonly child: ChildReport;
  /** Peak resident bytes of `lowrank train`. */
  readonly commandBytes: number | null;
}

export const memoryPart: Part = {
  name: "memory",
  title: "Memory of a run",
  async measure(_: BenchDevice, { smollm2, quick }: BenchOptions): Promise<PartResult> {
    const model = smollm2 ?? BUNDLED, length = quick ? QUICK_LENGTH : LENGTH;
    const rows: MemoryRow[] = [];
    for (const recompute of [false, true]) {
      const child = await trainInChild({ model, length, rank: RANK, recompute, steps: STEPS });
      rows.push({ recompute, child, commandBytes: await peakOfCommand(model, length, recompute) });
    }
    const bytes = (value: number | null) => value === null ? "not told here" : formatBytes(value);
    const heads = [
      "activations",
      "GPU, planned",
      "GPU, asked for",
      "resident, steps alone",
      "resident, `lowrank train`",
    ];
    return {
      markdown: [
        `${
          smollm2 ? "SmolLM2-135M" : "The bundled model"
        }, one row of ${length} tokens, LoRA of rank ${RANK} on all ` +
        `linear maps. Resident memory is the most that one process held at once; on an adapter that computes on the CPU ` +
        `it includes what the plan counts. What is asked for beyond the plan are the inputs, kernel parameters and ` +
        `copies on their way back.`,
        table(
          heads,
          rows.map(({ recompute, child, commandBytes }) => [
            recompute ? "computed again" : "kept",
            bytes(child.plannedBytes),
            bytes(child.countedBytes),
            bytes(child.peakResidentBytes),
            bytes(commandBytes),
          ]),
        ),
      ].join("\n\n"),
      data: { length, rank: RANK, rows },
    };
  },
};

/** Trains by the command for a few steps, on text that fills every row, and watches its memory. */
async function peakOfCommand(model: string, length: number, recompute: boolean): Promise<number | null> {
  const folder = await Deno.makeTempDir();
  try {
    const words = Array.from({ length: 4 * length }, (_, i) => `word${(37 * i) % 101}`).join(" ");
    const line = JSON.stringify({ text: words });
    await Deno.writeTextFile(`${folder}/rows.jsonl`, `${line}\n${line}\n${line}\n${line}\n`);
    const flags = {
      "base-model": model,
      "training-data-path": `${folder}/rows.jsonl`,
      "output-model-name": "measured",
      "output-dir": `${folder}/out`,
      "max-length": length,
      "batch-size": 1,
      "gradient-accumulation-steps": 1,
      "max-steps": STEPS,
      "lora-r": RANK,
      "gradient-checkpointing": recompute ? "on" : "off",
    };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    return await watchedPeak([
      "run",
      "--config",
      CONFIG,
      "--no-check",
      "--allow-all",
      MAIN,
      "train",
      ...args,
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function watchedPeak(args: readonly string[]): Promise<number | null> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: LAUNCHER_MEMORY,
    stdout: "piped",
    stderr: "piped",
  })
    .spawn();
  let peak: number | null = null;
  const watch = setInterval(async () => peak = await peakResidentOf(process.pid) ?? peak, POLL_MS);
  try {
    const { success, stderr } = await process.output();
    if (success) return peak;
    throw new Error(`lowrank train failed: ${new TextDecoder().decode(stderr).trim().slice(-500)}`);
  } finally {
    clearInterval(watch);
  }
}
