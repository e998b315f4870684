/**
 * The whole LoRA step of SmolLM2-135M: ours, against PEFT's on PyTorch where there is one, and what ours is made of.
 *
 * @module
 */
import { interleave, type Outcome, speedUp, timed } from "../clock.ts";
import { LoadedModel } from "../loaded_model.ts";
import type { BenchDevice, BenchOptions, Part, PartResult } from "../part.ts";
import { rateOf } from "../statistics.ts";
import { formatSpread, table } from "../table.ts";
import { measureKernels } from "./kernels.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { modelWork } from "../../src/tuning/model_work.ts";
import type { Work } from "../../src/tuning/work.ts";
import { tunedFor } from "../tuned.ts";
import { PeftProcess } from "./peft.ts";

const LENGTH = 256, QUICK_LENGTH = 32;
const RANKS = [8, 16], QUICK_RANKS = [8];
/** Of the first loss, relatively: PyTorch and we sum in another order. */
const LOSS_TOLERANCE = 1e-4;

interface RankResult {
  readonly rank: number;
  /** Loss of the first step: ours, and PEFT's. */
  readonly losses: readonly number[];
  readonly outcomes: readonly Outcome[];
}

export const stepContest: Part = {
  name: "step",
  title: "A LoRA step of SmolLM2-135M",
  async measure(device: BenchDevice, options: BenchOptions): Promise<PartResult> {
    const { smollm2, peft, rounds, quick } = options;
    if (!smollm2) return { markdown: "Not measured: it needs the model, `--smollm2 DIR`.", data: null };
    const length = quick ? QUICK_LENGTH : LENGTH;
    await using process = peft ? new PeftProcess(peft, smollm2) : null;
    const results: RankResult[] = [], kernels: PartResult[] = [];
    for (const rank of quick ? QUICK_RANKS : RANKS) {
      const tuned = await tunedFor(
        device,
        options,
        await workOfModel(device, smollm2, { tokens: length, rank }),
      );
      await using model = await LoadedModel.open(tuned, smollm2, { length, rank });
      results.push(await contest(model, process, { rank, length, rounds }));
      if (kernels.length === 0 && device.gpu.features.has("timestamp-query")) {
        const stepMs = results[0]!.outcomes[0]!.wallMs.median;
        kernels.push(
          await measureKernels(tuned, model, { rank, length, stepMs, repetitions: quick ? 1 : 5 }),
        );
      }
    }
    return {
      markdown: [
        `One row of ${length} tokens, all of them trained, LoRA on all linear maps, f32, clipping and AdamW included; the ` +
        `loss is read every step; our tiles are those that a long run measures and takes. Median of ${rounds} ${
          process ? "interleaved " : ""
        }rounds of one step each (least to ` +
        `most)${process ? `; the losses of the first step agree within ${LOSS_TOLERANCE}` : ""}.`,
        table([
          "rank",
          "program",
          "s a step",
          "tokens/s",
          "tokens per CPU-s",
          "share of PEFT's tokens/s",
          "per CPU-s",
        ], [
          ...results.flatMap((result) => rowsOf(result, length)),
        ]),
        ...kernels.map(({ markdown }) => markdown),
      ].join("\n\n"),
      data: { length, results, kernels: kernels[0]?.data ?? null },
    };
  },
};

/** The products of a micro-batch of one row. */
async function workOfModel(
  { variants }: BenchDevice,
  folder: string,
  { tokens, rank }: { tokens: number; rank: number },
): Promise<Work> {
  const { family, config, weights } = await new ModelManager((uri) => new LocalFolder(uri)).open(folder);
  await weights.close();
  return modelWork(family, config, { tokens, rank, logitBytes: variants.logitBytes });
}

async function contest(
  model: LoadedModel,
  peft: PeftProcess | null,
  { rank, length, rounds }: { rank: number; length: number; rounds: number },
): Promise<RankResult> {
  await peft?.begin(rank, length);
  const losses = [await model.step(), ...(peft ? [(await peft.train(1)).loss] : [])];
  if (peft && !(Math.abs(losses[0]! - losses[1]!) <= LOSS_TOLERANCE * losses[1]!)) {
    throw new Error(
      `Cannot compare with PEFT as the losses of the first step differ: ${losses.join(" and ")}`,
    );
  }
  const outcomes = await interleave([
    { name: "Lowrank", round: () => timed(() => model.step()) },
    ...(peft ? [{ name: "PEFT, PyTorch on the CPU", round: () => peft.train(1) }] : []),
  ], rounds);
  return { rank, losses, outcomes };
}

function rowsOf({ rank, outcomes }: RankResult, length: number): string[][] {
  const [ours, theirs] = outcomes;
  const share = (by: "wallMs" | "cpuMs") => theirs ? speedUp(ours!, theirs, by).median.toFixed(2) : "";
  return outcomes.map((outcome, i) => [
    String(rank),
    outcome.name,
    formatSpread(outcome.wallMs, 1e-3),
    formatSpread(rateOf(1000 * length, outcome.wallMs)),
    formatSpread(rateOf(1000 * length, outcome.cpuMs)),
    i === 0 ? share("wallMs") : "",
    i === 0 ? share("cpuMs") : "",
  ]);
}
