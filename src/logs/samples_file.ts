/**
 * `samples.json`: what held-out prompts were answered after how many steps.
 *
 * @module
 */
import { ModelFormatError } from "../errors.ts";
import type { Sample, TrainingEvent } from "../job.ts";
import { type Folder, readText, writeFile } from "../storage.ts";

export const SAMPLES_FILE = "samples.json";

/** One round of answers. */
export interface SampleRound {
  readonly step: number;
  readonly samples: readonly Sample[];
  /** Share of exact answers, 0..1; null where that was not measured. */
  readonly exact_match: number | null;
}

/** The rounds that a run has written; none where it wrote no file. @throws {SyntaxError} If the file is damaged. */
export async function readRounds(run: Folder): Promise<SampleRound[]> {
  if (!await run.exists(SAMPLES_FILE)) return [];
  return JSON.parse(await readText(run, SAMPLES_FILE)).rounds;
}

/** Keeps the rounds of a run, one a step, and the file that holds them. */
export class SamplesFile {
  readonly #folder: Folder;
  #rounds: SampleRound[] = [];

  /** For a file that is not there yet. */
  constructor(folder: Folder) {
    this.#folder = folder;
  }

  /** Goes on after a step: later rounds are dropped. @throws {ModelFormatError} If the file is damaged. */
  static async resume(folder: Folder, step: number): Promise<SamplesFile> {
    const file = new SamplesFile(folder);
    try {
      const rounds = await readRounds(folder);
      file.#rounds = rounds.filter((round) => round.step <= step);
    } catch (cause) {
      const where = `${folder.uri}/${SAMPLES_FILE}`;
      throw new ModelFormatError(
        `Cannot resume: "${where}" is damaged; remove it to go on without its answers`,
        {
          cause,
        },
      );
    }
    return file;
  }

  /** Rounds so far, by step. */
  get rounds(): readonly SampleRound[] {
    return this.#rounds;
  }

  /** Takes sample events; ignores others. Answers of the same step are replaced. */
  async add(event: TrainingEvent): Promise<void> {
    if (event.type !== "sampled") return;
    const { step, samples, exactMatch: exact_match } = event;
    const others = this.#rounds.filter((round) => round.step !== step);
    this.#rounds = [...others, { step, samples, exact_match }].sort((a, b) => a.step - b.step);
    await writeFile(this.#folder, SAMPLES_FILE, `${JSON.stringify({ rounds: this.#rounds }, null, 2)}\n`);
  }
}
