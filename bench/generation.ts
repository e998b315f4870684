/**
 * Tokens a second of generation with a cache, one answer at a time and eight side by side.
 *
 * @module
 */
import { PipelineCache } from "../src/gpu/pipelines.ts";
import { LanguageModel } from "../src/language_model.ts";
import { LocalFolder } from "../src/storage/local.ts";
import type { BenchDevice, BenchOptions, Part, PartResult } from "./part.ts";
import { rateOf, type Spread, spreadOf } from "./statistics.ts";
import { formatSpread, table } from "./table.ts";

const BUNDLED = decodeURIComponent(new URL("../examples/tiny/model", import.meta.url).pathname);
const PROMPT_TOKENS = 64, NEW_TOKENS = 64, QUICK_NEW_TOKENS = 4;
const BATCHES = [1, 8];

interface GenerationResult {
  readonly model: string;
  readonly rows: number;
  /** From asking to the first new token, which takes the prompt. */
  readonly promptMs: Spread;
  /** New tokens after the first, of all rows together. */
  readonly tokensPerSecond: Spread;
}

export const generationPart: Part = {
  name: "generate",
  title: "Generation",
  async measure(device: BenchDevice, { smollm2, rounds, quick }: BenchOptions): Promise<PartResult> {
    const newTokens = quick ? QUICK_NEW_TOKENS : NEW_TOKENS;
    const models = { "bundled model": BUNDLED, ...(smollm2 ? { "SmolLM2-135M": smollm2 } : {}) };
    const results: GenerationResult[] = [];
    for (const [name, folder] of Object.entries(models)) {
      const pipelines = new PipelineCache(device.gpu);
      const files = (uri: string) => new LocalFolder(uri);
      const model = await LanguageModel.open({
        files,
        model: folder,
        device: { gpu: device.gpu, pipelines },
      });
      for (const rows of BATCHES) results.push(await generate(model, name, { rows, newTokens, rounds }));
      await model.close();
    }
    return {
      markdown: [
        `A prompt of ${PROMPT_TOKENS} tokens a row, then ${newTokens} new tokens, greedy; median of ${rounds} rounds.`,
        table(
          ["model", "rows", "prompt, ms", "tokens/s after it, all rows"],
          results.map(({ model, rows, promptMs, tokensPerSecond }) => [
            model,
            String(rows),
            formatSpread(promptMs),
            formatSpread(tokensPerSecond),
          ]),
        ),
      ].join("\n\n"),
      data: { promptTokens: PROMPT_TOKENS, newTokens, results },
    };
  },
};

async function generate(
  language: LanguageModel,
  model: string,
  { rows, newTokens, rounds }: { rows: number; newTokens: number; rounds: number },
): Promise<GenerationResult> {
  const prompts = Array.from(
    { length: rows },
    (_, row) => Array.from({ length: PROMPT_TOKENS }, (_, i) => (37 * i + 11 * row + 1) % 250),
  );
  const promptMs: number[] = [], restMs: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const started = performance.now();
    let first = 0;
    for await (const _ of language.generate(prompts, { maxNewTokens: newTokens, stopTokenIds: [] })) {
      first ||= performance.now();
    }
    if (round === 0) continue; // it compiles
    promptMs.push(first - started);
    restMs.push(performance.now() - first);
  }
  const tokensPerSecond = rateOf(1000 * rows * (newTokens - 1), spreadOf(restMs));
  return { model, rows, promptMs: spreadOf(promptMs), tokensPerSecond };
}
