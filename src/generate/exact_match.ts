/**
 * How often a model answers exactly as expected.
 *
 * @module
 */
import type { Tokenizer } from "../data/tokenizer.ts";
import type { Generator } from "./generator.ts";
import { collectTexts, generateText, type TextOptions } from "./text.ts";

/** A question, and the answer that counts. */
export interface ExpectedAnswer {
  /** Tokens to continue. */
  readonly promptIds: readonly number[];
  /** The answer that counts as right, letter by letter. */
  readonly expected: string;
}

/** What the model answered. */
export interface ExactMatch {
  /** Answers that are equal to what was expected, white space around them left out: 0..1; 0 for no rows. */
  readonly share: number;
  /** Exact answers, as a count. */
  readonly matches: number;
  /** As the model wrote them, in the order of the rows. */
  readonly answers: readonly string[];
}

/** Whether an answer is the expected one, white space around both left out. */
export function isExact(answer: string, expected: string): boolean {
  return answer.trim() === expected.trim();
}

/**
 * Answers every row greedily, as many at a time as the generator has rows, and counts those that match.
 *
 * @param options What ends an answer: `maxNewTokens`, stop tokens and strings, the signal.
 * @throws As {@link Generator.generate}.
 */
export async function exactMatch(
  generator: Generator,
  tokenizer: Tokenizer,
  rows: readonly ExpectedAnswer[],
  options: Pick<TextOptions, "maxNewTokens" | "stopTokenIds" | "stopStrings" | "signal"> = {},
): Promise<ExactMatch> {
  const stopTokenIds = [...options.stopTokenIds ?? []];
  const answers: string[] = [];
  for (let first = 0; first < rows.length; first += generator.size.rows) {
    const prompts = rows.slice(first, first + generator.size.rows).map(({ promptIds }) => promptIds);
    const pieces = generateText(generator, tokenizer, prompts, { ...options, stopTokenIds });
    answers.push(...await collectTexts(pieces, prompts.length));
  }
  const matches = rows.filter(({ expected }, i) => isExact(answers[i]!, expected)).length;
  return { share: rows.length === 0 ? 0 : matches / rows.length, matches, answers };
}
