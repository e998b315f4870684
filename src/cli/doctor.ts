/**
 * `lowrank doctor`: what this machine computes on, and what to install or set.
 *
 * @module
 */
import { GpuUnavailableError } from "../errors.ts";
import type { Folder } from "../storage.ts";
import type { Work } from "../tuning/work.ts";
import { VERSION } from "../version.ts";
import { cacheFolder } from "./cache_folder.ts";
import { type DoctorReport, examine } from "./doctor_examine.ts";
import { type Machine, thisMachine } from "./doctor_machine.ts";
import { formatDoctor } from "./doctor_text.ts";
import { RETUNE_WORK } from "./doctor_tuning.ts";
import { DOCTOR_FLAGS, doctorHelp } from "./doctor_flags.ts";
import { isOn, readFlags, textOf } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";
import { painter, wantsColor } from "./paint.ts";

/** What tests replace. */
export interface DoctorOutside {
  /** Default that of this process. */
  readonly machine?: () => Machine;
  /** Where measurements are kept; default the user's cache. */
  readonly cache?: Folder | null;
  /** What `--retune` measures; default {@link RETUNE_WORK}. */
  readonly work?: Work;
}

/**
 * Prints the report.
 *
 * @throws {ConfigError} For unknown flags.
 * @throws {GpuUnavailableError} After the report, where no adapter can be used, or with `--require-gpu` only a software
 * one.
 */
export async function doctor(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "env">,
  { machine = thisMachine, cache = cacheFolder(), work = RETUNE_WORK }: DoctorOutside = {},
): Promise<void> {
  const flags = readFlags(args, DOCTOR_FLAGS);
  if (!flags) return io.stdout.write(doctorHelp());
  const tuning = { folder: cache, work: isOn(flags, "retune") ? work : null };
  const report = await examine(machine(), VERSION, { ...tuning, gpu: textOf(flags, "gpu") });
  const color = wantsColor(textOf(flags, "color") ?? "auto", io.env, io.stdout);
  io.stdout.write(
    isOn(flags, "json") ? `${JSON.stringify(report, null, 2)}\n` : formatDoctor(report, painter(color)),
  );
  judge(report, isOn(flags, "require_gpu"));
}

function judge({ adapters, engine }: DoctorReport, requireGpu: boolean): void {
  if (!engine) {
    throw new GpuUnavailableError(
      adapters.length === 0
        ? "There is no adapter to compute on: the problems above say what to install"
        : "The adapter cannot be used: the problems above say why",
    );
  }
  if (requireGpu && adapters.find(({ used }) => used)?.software) {
    throw new GpuUnavailableError(
      `A hardware GPU is required and "${engine.adapter}" computes on the CPU: install the GPU's driver`,
    );
  }
}
