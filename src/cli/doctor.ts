/**
 * `lowrank doctor`: what this machine computes on, and what to install or set.
 *
 * @module
 */
import { GpuUnavailableError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { type DoctorReport, examine } from "./doctor_examine.ts";
import { type Machine, thisMachine } from "./doctor_machine.ts";
import { formatDoctor } from "./doctor_text.ts";
import { DOCTOR_FLAGS, doctorHelp } from "./doctor_flags.ts";
import { isOn, readFlags, textOf } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";
import { painter, wantsColor } from "./paint.ts";

/**
 * Prints the report.
 *
 * @param machine Default that of this process.
 * @throws {ConfigError} For unknown flags.
 * @throws {GpuUnavailableError} After the report, where no adapter can be used, or with `--require-gpu` only a software
 * one.
 */
export async function doctor(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "env">,
  machine: () => Machine = thisMachine,
): Promise<void> {
  const flags = readFlags(args, DOCTOR_FLAGS);
  if (!flags) return io.stdout.write(doctorHelp());
  const report = await examine(machine(), VERSION);
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
