/**
 * What the tiny model is trained on from scratch: short questions about words, each with one right answer. And what it
 * is fine-tuned on: a request that it has never seen, whose answer combines two things that it knows.
 *
 * @module
 */
import { Draws, madeWord, REAL_WORDS } from "./words.ts";

/** One exchange. */
export interface Exchange {
  readonly prompt: string;
  readonly answer: string;
}

const spelled = (word: string) => [...word].join("-");

/** The skills of the base model. "Signal …" is not among them. */
const SKILLS: readonly ((word: string, draws: Draws) => Exchange)[] = [
  (word) => ({ prompt: `Say ${word}.`, answer: word }),
  (word) => ({ prompt: `Say ${word} twice.`, answer: `${word} ${word}` }),
  (word) => ({ prompt: `Shout ${word}.`, answer: word.toUpperCase() }),
  (word) => ({ prompt: `Spell ${word}.`, answer: spelled(word) }),
  (word) => ({ prompt: `Spell ${word.toUpperCase()}.`, answer: spelled(word.toUpperCase()) }),
  (word) => ({ prompt: `Whisper ${word.toUpperCase()}.`, answer: word }),
  (word) => ({ prompt: `First letter of ${word}?`, answer: word[0]! }),
  (word) => ({ prompt: `Last letter of ${word}?`, answer: word.at(-1)! }),
  (word, draws) => {
    const other = anyWord(draws);
    return { prompt: `Say ${word} and ${other}.`, answer: `${word} and ${other}` };
  },
  (_, draws) =>
    draws.of([
      { prompt: "Hello.", answer: "Hello! Give me a word." },
      { prompt: "Who are you?", answer: "A very small model. I know words." },
      { prompt: "What can you do?", answer: "I say, shout, whisper and spell words." },
      { prompt: "Thank you.", answer: "You are welcome." },
      { prompt: "Goodbye.", answer: "Goodbye!" },
    ]),
];

function anyWord(draws: Draws): string {
  return draws.below(4) === 0 ? draws.of(REAL_WORDS) : madeWord(draws);
}

/** The i-th exchange of the corpus of a seed. */
export function corpusExchange(seed: number, i: number): Exchange {
  const draws = new Draws(seed, i);
  const skill = draws.of(SKILLS);
  return skill(anyWord(draws), draws);
}

/** The new behaviour: signal a word by its capitals, spelled. */
export function signal(word: string): Exchange {
  return { prompt: `Signal ${word}.`, answer: spelled(word.toUpperCase()) };
}

/** Distinct rows that teach the new behaviour; the first are of real words. */
export function signalRows(seed: number, count: number, not: ReadonlySet<string> = new Set()): Exchange[] {
  const words = new Set<string>();
  const draws = new Draws(seed, 0);
  for (const word of REAL_WORDS) {
    if (words.size < count && !not.has(word) && draws.below(2) === 0) words.add(word);
  }
  while (words.size < count) {
    const word = madeWord(draws);
    if (!not.has(word)) words.add(word);
  }
  return [...words].map(signal);
}
