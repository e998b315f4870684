/**
 * Answers to held-out prompts in the middle of a job: the same questions before and after training, and how many answers
 * are exactly what was expected.
 *
 * @module
 */
import { IGNORE_INDEX } from "./data/mask.ts";
import type { ExampleRows } from "./data/token_rows.ts";
import type { Tokenizer } from "./data/tokenizer.ts";
import { exactMatch, type ExpectedAnswer } from "./generate/exact_match.ts";
import { Generator } from "./generate/generator.ts";
import type { Sample, TrainingEvent } from "./job.ts";
import type { TrainableModel } from "./models/trainable_model.ts";

/** Prompts answered side by side at most. */
const MOST_ROWS = 256;
/** Tokens beyond the longest expected answer: enough to see that an answer goes on too long. */
export const SPARE_TOKENS = 4;

/** A held-out row as a question: what comes before its last trained part, and that part. */
export interface HeldOutAnswer extends ExpectedAnswer {
  /** Place among the rows, from 0. */
  readonly row: number;
  readonly prompt: string;
  /** Tokens of the expected answer. */
  readonly tokens: number;
}

/** The questions of rows that have one: rows trained from their first token on (plain text) have none. */
export function heldOutAnswers(examples: ExampleRows, tokenizer: Tokenizer): HeldOutAnswer[] {
  return [...examples].flatMap(({ inputIds, labels }, row) => {
    const end = labels.findLastIndex((label) => label !== IGNORE_INDEX) + 1;
    const start = labels.subarray(0, end).lastIndexOf(IGNORE_INDEX) + 1;
    if (start === 0 || end === 0) return [];
    const promptIds = [...inputIds.subarray(0, start)], answerIds = [...inputIds.subarray(start, end)];
    const text = (ids: number[]) => tokenizer.decode(ids, { skipSpecialTokens: true });
    const tokens = answerIds.length;
    return [{ row, promptIds, prompt: text(promptIds), expected: text(answerIds), tokens }];
  });
}

/** What to ask. */
export interface SamplerOptions {
  /** Answers to show. */
  readonly shown: number;
  /** Whether every row is answered and compared, or only those shown. */
  readonly exactMatch: boolean;
  /** Tokens of the longest row: prompt and answer. */
  readonly rowLength: number;
  readonly stopTokenIds: ReadonlySet<number>;
}

export class Sampler {
  readonly #model: TrainableModel;
  readonly #tokenizer: Tokenizer;
  readonly #rows: readonly HeldOutAnswer[];
  readonly #options: SamplerOptions;

  /** `rows` are held-out questions; those to show are the first. */
  constructor(
    model: TrainableModel,
    tokenizer: Tokenizer,
    rows: readonly HeldOutAnswer[],
    options: SamplerOptions,
  ) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#rows = options.exactMatch ? rows : rows.slice(0, options.shown);
    this.#options = options;
  }

  /** Whether there is anything to ask. */
  get asks(): boolean {
    return this.#rows.length > 0;
  }

  /** Answers greedily with the weights as they are. `step` counts the optimizer steps done. */
  async sampled(step: number, signal: AbortSignal): Promise<Extract<TrainingEvent, { type: "sampled" }>> {
    const { shown, exactMatch: compares, rowLength, stopTokenIds } = this.#options;
    const size = { rows: Math.min(MOST_ROWS, this.#rows.length), length: rowLength };
    const longest = this.#rows.reduce((most, { tokens }) => Math.max(most, tokens), 0);
    const generator = new Generator(this.#model, size);
    try {
      const { share, answers } = await exactMatch(generator, this.#tokenizer, this.#rows, {
        maxNewTokens: longest + SPARE_TOKENS,
        stopTokenIds,
        signal,
      });
      const samples: Sample[] = this.#rows.slice(0, shown).map(({ prompt, expected }, i) => {
        return { prompt, expected, answer: answers[i]! };
      });
      return { type: "sampled", step, samples, exactMatch: compares ? share : null, rows: this.#rows.length };
    } finally {
      generator.destroy();
    }
  }
}
