/**
 * Speed and memory over the length of a row, with activations kept and computed again.
 *
 * @module
 */
import { formatBytes, formatFigures } from "../src/cli/format.ts";
import type { BenchDevice, BenchOptions, Part, PartResult } from "./part.ts";
import { lineChart, type Series } from "./plot.ts";
import { spreadOf } from "./statistics.ts";
import { table } from "./table.ts";
import { type ChildReport, trainInChild } from "./trained_child.ts";

const LENGTHS = [64, 128, 256, 512, 1024, 2048], QUICK_LENGTHS = [16, 32];
const RANK = 8, STEPS = 2;
const BUNDLED = decodeURIComponent(new URL("../examples/tiny/model", import.meta.url).pathname);

interface LengthResult {
  readonly length: number;
  readonly recompute: boolean;
  readonly tokensPerSecond: number;
  readonly report: ChildReport;
}

export const lengthPart: Part = {
  name: "length",
  title: "Over the length of a row",
  async measure(_: BenchDevice, { smollm2, quick }: BenchOptions): Promise<PartResult> {
    const model = smollm2 ?? BUNDLED;
    const results: LengthResult[] = [];
    for (const length of quick ? QUICK_LENGTHS : LENGTHS) {
      for (const recompute of [false, true]) {
        const report = await trainInChild({ model, length, rank: RANK, recompute, steps: STEPS });
        results.push({
          length,
          recompute,
          report,
          tokensPerSecond: 1000 * length / spreadOf(report.stepMs).median,
        });
      }
    }
    const named = smollm2 ? "SmolLM2-135M" : "the bundled model";
    return {
      markdown: [
        `One row of ${named}, LoRA of rank ${RANK} on all linear maps, each length in a process of its own; median of ` +
        `${STEPS} warm steps.`,
        lengthTable(results),
        "![Tokens a second over the length of a row](FILE-speed.svg)",
        "![GPU memory over the length of a row](FILE-memory.svg)",
      ].join("\n\n"),
      data: { rank: RANK, results },
      drawings: drawingsOf(results, named),
    };
  },
};

function lengthTable(results: readonly LengthResult[]): string {
  const heads = ["tokens a row", "activations", "tokens/s", "GPU, planned", "resident at most"];
  return table(
    heads,
    results.map(({ length, recompute, tokensPerSecond, report }) => [
      String(length),
      recompute ? "computed again" : "kept",
      formatFigures(tokensPerSecond),
      formatBytes(report.plannedBytes),
      report.peakResidentBytes === null ? "not told here" : formatBytes(report.peakResidentBytes),
    ]),
  );
}

function drawingsOf(results: readonly LengthResult[], model: string): Record<string, string> {
  const series = (value: (result: LengthResult) => number): Series[] =>
    [false, true].map((recompute) => ({
      name: recompute ? "activations computed again" : "activations kept",
      points: results.filter((result) => result.recompute === recompute).map((result) =>
        [result.length, value(result)] as const
      ),
    }));
  const x = { label: "tokens a row", logarithmic: true };
  return {
    "speed.svg": lineChart({
      title: `Training ${model}: speed`,
      x,
      y: { label: "tokens/s" },
      series: series(({ tokensPerSecond }) => tokensPerSecond),
    }),
    "memory.svg": lineChart({
      title: `Training ${model}: GPU memory`,
      x,
      y: { label: "MiB, planned" },
      series: series(({ report }) => report.plannedBytes / 2 ** 20),
    }),
  };
}
