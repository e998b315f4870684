/**
 * Answers to held-out prompts in the middle of a job: the same questions before and after training, and how many answers
 * are exactly what was expected.
 *
 * @module
 */
import type { ChatTemplate } from "./data/chat_template.ts";
import { IGNORE_INDEX } from "./data/mask.ts";
import type { ExampleRows } from "./data/token_rows.ts";
import type { Tokenizer } from "./data/tokenizer.ts";
import { ConfigError } from "./errors.ts";
import { type ExactMatch, exactMatch, type ExpectedAnswer } from "./generate/exact_match.ts";
import { Generator } from "./generate/generator.ts";
import { chatPrompt, textPrompt } from "./generate/prompt.ts";
import type { Sample, TrainingEvent } from "./job.ts";
import type { TrainableModel } from "./models/trainable_model.ts";

/** Prompts answered side by side at most. */
const MOST_ROWS = 256;
/** Tokens beyond the longest expected answer: enough to see that an answer goes on too long. */
export const SPARE_TOKENS = 4;

/** New tokens of an answer to a prompt of the user's own, at most. */
const OWN_ANSWER_TOKENS = 64;

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

/** A question of the user's own. */
export interface OwnPrompt {
  readonly prompt: string;
  /** Tokens to continue. */
  readonly promptIds: readonly number[];
}

/**
 * The user's own prompts as token ids: of a model that chats what a user says, else the text to go on from.
 *
 * @param template Null where texts are gone on from.
 * @throws {ConfigError} If one leaves no room in the model's context.
 */
export function ownPrompts(
  prompts: readonly string[],
  tokenizer: Tokenizer,
  template: ChatTemplate | null,
  contextLength: number,
): OwnPrompt[] {
  const own = prompts.map((prompt) => {
    const promptIds = template
      ? chatPrompt(tokenizer, template, [{ role: "user", content: prompt }])
      : textPrompt(tokenizer, prompt);
    return { prompt, promptIds };
  });
  const issues = own.flatMap(({ promptIds: { length } }, i) => {
    if (length >= 1 && length < contextLength) return [];
    const wanted = `1..${contextLength - 1} are possible with this model`;
    return [{ path: "sample_prompts", message: `number ${i + 1} has ${length} tokens: ${wanted}` }];
  });
  if (issues.length > 0) throw new ConfigError(issues);
  return own;
}

/** What to ask. */
export interface SamplerOptions {
  /** Asked first, and no part of what is counted. */
  readonly prompts: readonly OwnPrompt[];
  /** Answers to show. */
  readonly shown: number;
  /** Whether every row is answered and compared, or only those shown. */
  readonly exactMatch: boolean;
  /** Tokens of the longest row: prompt and answer. */
  readonly rowLength: number;
  readonly stopTokenIds: ReadonlySet<number>;
}

type SampledEvent = Extract<TrainingEvent, { type: "sampled" }>;

export class Sampler {
  readonly #model: TrainableModel;
  readonly #tokenizer: Tokenizer;
  readonly #rows: readonly HeldOutAnswer[];
  readonly #contextLength: number;
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
    this.#contextLength = model.decoder.config.maxPositionEmbeddings;
    this.#options = options;
  }

  /** Whether there is anything to ask. */
  get asks(): boolean {
    return this.#rows.length > 0 || this.#options.prompts.length > 0;
  }

  /** Whether there is anything to show in the middle of training. */
  get shows(): boolean {
    return Math.min(this.#rows.length, this.#options.shown) > 0 || this.#options.prompts.length > 0;
  }

  /** Answers greedily with the weights as they are. `step` counts the optimizer steps done. */
  async sampled(step: number, signal: AbortSignal): Promise<SampledEvent> {
    return await this.#sampled(step, this.#rows, this.#options.exactMatch, signal);
  }

  /** The same of what is shown alone: cheap enough for the middle of training. */
  async glimpsed(step: number, signal: AbortSignal): Promise<SampledEvent> {
    return await this.#sampled(step, this.#rows.slice(0, this.#options.shown), false, signal);
  }

  async #sampled(
    step: number,
    asked: readonly HeldOutAnswer[],
    compares: boolean,
    signal: AbortSignal,
  ): Promise<SampledEvent> {
    const own = await this.#ownSamples(signal), rows = asked.length;
    if (rows === 0) return { type: "sampled", step, samples: own, exactMatch: null, rows };
    const { shown, rowLength: length } = this.#options;
    const longest = asked.reduce((most, { tokens }) => Math.max(most, tokens), 0);
    const { share, answers } = await this.#answered(asked, length, longest + SPARE_TOKENS, signal);
    const heldOut = asked.slice(0, shown).map(({ prompt, expected }, i): Sample => {
      return { prompt, expected, answer: answers[i]! };
    });
    const exactMatch = compares ? share : null;
    return { type: "sampled", step, samples: [...own, ...heldOut], exactMatch, rows };
  }

  async #ownSamples(signal: AbortSignal): Promise<Sample[]> {
    const { prompts } = this.#options;
    if (prompts.length === 0) return [];
    const longest = prompts.reduce((most, { promptIds }) => Math.max(most, promptIds.length), 0);
    const length = Math.min(this.#contextLength, longest + OWN_ANSWER_TOKENS);
    const asked = prompts.map((one) => ({ ...one, expected: "" }));
    const { answers } = await this.#answered(asked, length, OWN_ANSWER_TOKENS, signal);
    return prompts.map(({ prompt }, i) => ({ prompt, expected: null, answer: answers[i]! }));
  }

  async #answered(
    questions: readonly ExpectedAnswer[],
    length: number,
    maxNewTokens: number,
    signal: AbortSignal,
  ): Promise<ExactMatch> {
    const { stopTokenIds } = this.#options, size = { rows: Math.min(MOST_ROWS, questions.length), length };
    const generator = new Generator(this.#model, size);
    try {
      return await exactMatch(generator, this.#tokenizer, questions, { maxNewTokens, stopTokenIds, signal });
    } finally {
      generator.destroy();
    }
  }
}
