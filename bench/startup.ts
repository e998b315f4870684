/**
 * From nothing to the first training step of the bundled model, in processes of their own: first with no compiled shader
 * on the machine's disk, then with those that earlier processes left.
 *
 * @module
 */
import type { BenchDevice, BenchOptions, Part, PartResult } from "./part.ts";
import { spreadOf } from "./statistics.ts";
import { formatSpread, table } from "./table.ts";
import { type ChildReport, trainInChild } from "./trained_child.ts";

const BUNDLED = decodeURIComponent(new URL("../examples/tiny/model", import.meta.url).pathname);
const LENGTH = 64, RANK = 16, STEPS = 5;

interface StartReport extends ChildReport {
  /** From starting the process to the end of its first step. */
  readonly startMs: number;
}

export const startupPart: Part = {
  name: "startup",
  title: "Start-up",
  async measure(_: BenchDevice, { rounds, quick }: BenchOptions): Promise<PartResult> {
    const cold: StartReport[] = [], warm: StartReport[] = [];
    for (let round = 0; round < rounds; round++) {
      const cache = await Deno.makeTempDir();
      try {
        cold.push(await start(cache, quick));
        await start(cache, quick); // drivers write their cache in the background, and a short process ends before
        warm.push(await start(cache, quick));
      } finally {
        await Deno.remove(cache, { recursive: true });
      }
    }
    const row = (name: string, reports: readonly StartReport[]) => [
      name,
      formatSpread(spreadOf(reports.map(({ startMs }) => startMs)), 1e-3),
      String(reports[0]!.pipelines),
      formatSpread(spreadOf(reports.map(({ compileMs }) => compileMs)), 1e-3),
      formatSpread(spreadOf(reports.map(({ firstStepMs }) => firstStepMs)), 1e-3),
      formatSpread(spreadOf(reports.map(({ stepMs }) => spreadOf(stepMs).median))),
    ];
    const heads = [
      "compiled shaders on disk",
      "s to the first step",
      "pipelines",
      "s making them",
      "s of the first step",
      "ms of a warm step",
    ];
    return {
      markdown: [
        `The bundled model, one row of ${LENGTH} tokens, LoRA of rank ${RANK}: from starting the process to the end of the ` +
        `first training step. Median of ${rounds} rounds. Drivers may compile when a kernel first runs, so that the first ` +
        `step carries it.`,
        table(heads, [row("none", cold), row("those of earlier runs", warm)]),
      ].join("\n\n"),
      data: { length: LENGTH, rank: RANK, cold, warm },
    };
  },
};

async function start(cacheFolder: string, quick: boolean): Promise<StartReport> {
  const startedEpochMs = Date.now();
  const request = { model: BUNDLED, length: LENGTH, rank: RANK, steps: quick ? 1 : STEPS };
  // Mesa's folder; other drivers keep theirs, and for them both rows are warm.
  const report = await trainInChild(request, { MESA_SHADER_CACHE_DIR: cacheFolder });
  return { ...report, startMs: report.firstStepEpochMs - startedEpochMs };
}
