/**
 * Training on a base that is kept in fewer bits: speed, memory and bits a weight, side by side.
 *
 * @module
 */
import { formatBytes, formatFigures } from "../src/cli/format.ts";
import type { QuantizationWord } from "../src/config.ts";
import type { BenchDevice, BenchOptions, Part, PartResult } from "./part.ts";
import { rateOf, spreadOf } from "./statistics.ts";
import { formatRatio, formatSpread, table } from "./table.ts";
import { type ChildReport, trainInChild } from "./trained_child.ts";

const BUNDLED = decodeURIComponent(new URL("../examples/tiny/model", import.meta.url).pathname);
const LENGTH = 256, QUICK_LENGTH = 32, RANK = 8;

/** A base to train on. */
interface Contender {
  readonly name: string;
  readonly model: string;
  readonly quantization: QuantizationWord;
}

interface QuantizationResult {
  readonly name: string;
  readonly report: ChildReport;
  /** Of quantised weights, their scales included; null where none are. */
  readonly bitsPerWeight: number | null;
}

export const quantizationPart: Part = {
  name: "quantization",
  title: "A base in fewer bits",
  async measure(_: BenchDevice, options: BenchOptions): Promise<PartResult> {
    const length = options.quick ? QUICK_LENGTH : LENGTH, steps = options.quick ? 1 : options.rounds;
    const results: QuantizationResult[] = [];
    for (const { name, model, quantization } of contenders(options)) {
      const sizes = { model, length, rank: RANK, recompute: true, quantization };
      const report = await trainInChild({ ...sizes, steps });
      results.push({ name, report, bitsPerWeight: bitsPerWeight(report) });
    }
    return {
      markdown: [
        `${
          options.smollm2 ? "SmolLM2-135M" : "The bundled model"
        }, one row of ${length} tokens, LoRA of rank ${RANK} on ` +
        `all linear maps, activations computed again, each base in a process of its own; median of ${steps} warm steps. ` +
        `Embedding and norms stay in f32. Resident memory is the most that the process held at once, while loading too.`,
        resultTable(results, length),
      ].join("\n\n"),
      data: { length, rank: RANK, steps, results },
    };
  },
};

function contenders({ smollm2, gguf, quantizations }: BenchOptions): Contender[] {
  const model = smollm2 ?? BUNDLED;
  return [
    ...quantizations.map((quantization): Contender => {
      return { name: quantization === "none" ? "as the folder has it" : quantization, model, quantization };
    }),
    ...(gguf ? [{ name: "as the GGUF file has it", model: gguf, quantization: "none" } as const] : []),
  ];
}

function bitsPerWeight({ packed: { bytes, values } }: ChildReport): number | null {
  return values === 0 ? null : 8 * bytes / values;
}

function resultTable(results: readonly QuantizationResult[], length: number): string {
  const heads = ["base", "tokens/s", "of the first", "base on the GPU", "bits a weight", "resident at most"];
  const speed = ({ report }: QuantizationResult) => 1000 * length / spreadOf(report.stepMs).median;
  return table(
    heads,
    results.map((result) => {
      const { name, report, bitsPerWeight } = result;
      return [
        name,
        formatSpread(rateOf(1000 * length, spreadOf(report.stepMs))),
        formatRatio(speed(result) / speed(results[0]!)),
        formatBytes(report.baseBytes),
        bitsPerWeight === null ? "" : formatFigures(bitsPerWeight),
        report.peakResidentBytes === null ? "not told here" : formatBytes(report.peakResidentBytes),
      ];
    }),
  );
}
