/**
 * Generation with a cache: the prompts once, then one token a row and step, all rows in one program and one readback.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Variants } from "../nn/variants.ts";
import { CachedDecoder, type LoadedModel } from "./cached_decoder.ts";
import { cacheBytes, type CacheSize } from "./kv_cache.ts";
import type { PlacedToken } from "./passes.ts";
import { GREEDY, nextToken, samplingIssues, type SamplingOptions } from "./sampling.ts";

/** Why a row ended: a stop token, `isLast`, or no room for another token. */
export type StopReason = "stop" | "length";

/** A new token of one row. */
export interface GeneratedToken {
  /** Row of the batch, from 0. */
  readonly row: number;
  /** Of the vocabulary. */
  readonly id: number;
  /** Null while the row goes on. A stop token is told too, as the last one. */
  readonly end: StopReason | null;
}

/** What {@link Generator.generate} may be told. */
export interface GenerateOptions extends Partial<SamplingOptions> {
  /** New tokens of each row at most; default 256. */
  readonly maxNewTokens?: number;
  /** Ids that end a row; default none. */
  readonly stopTokenIds?: Iterable<number>;
  /** Asked once for each new token that is no stop token: whether it ends its row, as a stop string does. */
  readonly isLast?: (row: number, id: number) => boolean;
  /** Takes what the cache still holds of prompts that begin as those before: right only while weights stay the same. */
  readonly reuseCache?: boolean;
  /** Number of the first prompt among those that share a seed: batches of one job draw other numbers. Default 0. */
  readonly firstRow?: number;
  /** Stops between two tokens. */
  readonly signal?: AbortSignal;
}

/** A row that goes on. */
interface OpenRow {
  readonly row: number;
  readonly seen: Set<number>;
  newTokens: number;
}

/** Continues rows of tokens side by side, over a cache of keys and values. */
export class Generator {
  /** What the cache holds at most. */
  readonly size: CacheSize;
  readonly #decoder: CachedDecoder;
  /** Ids whose keys and values each cache row holds. */
  readonly #held: number[][];

  /**
   * Takes the memory of a cache; the weights stay where they are, and workspace is shared with the model's own programs.
   *
   * @param size Prompts that are continued at a time, and tokens of each: prompt and answer.
   * @throws {GpuMemoryError} If one layer's cache exceeds what the adapter binds.
   */
  constructor(model: LoadedModel, size: CacheSize, variants?: Variants) {
    this.size = size;
    this.#decoder = new CachedDecoder(model, size, variants);
    this.#held = Array.from({ length: size.rows }, () => []);
  }

  /** GPU memory that a generator of this size takes beside the model, but for the logits of a step. */
  static bytes({ decoder }: Pick<LoadedModel, "decoder">, size: CacheSize): number {
    return cacheBytes(decoder.config, size);
  }

  /**
   * Continues every prompt; yields the new token of each open row, step by step. Tokens of a row do not depend on the rows
   * beside it, but for `seed`, which draws other numbers for each row, and in models stretched by longrope, which take their
   * angles by what the longest prompt and its answer may come to.
   *
   * @throws {RangeError} If there are more prompts than rows, or a prompt is empty or longer than a row.
   * @throws {ConfigError} If an option is out of its range.
   * @throws {DivergedError} If a logit is not a finite number.
   * @throws The signal's reason, between steps, when it is aborted.
   */
  async *generate(
    prompts: readonly (readonly number[])[],
    options: GenerateOptions = {},
  ): AsyncGenerator<readonly GeneratedToken[]> {
    const { maxNewTokens = 256, firstRow = 0, signal } = options;
    const sampling = samplingOf(options), stops = new Set(options.stopTokenIds);
    this.#checkPrompts(prompts);
    checkOptions(sampling, maxNewTokens);
    const longest = Math.max(...prompts.map(({ length }) => length)) + maxNewTokens;
    if (this.#decoder.turnFor(Math.min(longest, this.size.length))) {
      for (const ids of this.#held) ids.length = 0;
    }
    let open = prompts.map((ids, row): OpenRow => ({ row, seen: new Set(ids), newTokens: 0 }));
    let tokens = prompts.flatMap((ids, row) => this.#promptTokens(ids, row, options.reuseCache === true));
    while (open.length > 0) {
      signal?.throwIfAborted();
      const logits = await this.#run(tokens);
      const vocab = logits.length / open.length;
      const news = open.map(({ row, seen, newTokens }, i): GeneratedToken => {
        const id = nextToken(logits.subarray(i * vocab, (i + 1) * vocab), seen, sampling, {
          row: firstRow + row,
          step: newTokens,
        });
        const stopped = stops.has(id) || options.isLast?.(row, id) === true;
        const full = newTokens + 1 === maxNewTokens || this.#held[row]!.length === this.size.length;
        return { row, id, end: stopped ? "stop" : full ? "length" : null };
      });
      open = open.filter((openRow, i) => {
        openRow.seen.add(news[i]!.id);
        openRow.newTokens++;
        return news[i]!.end === null;
      });
      tokens = news.filter(({ end }) => end === null).map(({ row, id }) => {
        return { id, row, position: this.#held[row]!.length, wanted: true };
      });
      yield news;
    }
  }

  /** Gives the memory of the cache back. */
  destroy(): void {
    this.#decoder.destroy();
  }

  /** The part of a prompt that its cache row does not hold yet; at least its last token, whose logits are needed. */
  #promptTokens(ids: readonly number[], row: number, reuse: boolean): PlacedToken[] {
    const held = this.#held[row]!;
    let kept = 0;
    while (reuse && kept < ids.length - 1 && held[kept] === ids[kept]) kept++;
    held.length = kept;
    return ids.slice(kept).map((id, i) => {
      const position = kept + i;
      return { id, row, position, wanted: position === ids.length - 1 };
    });
  }

  async #run(tokens: readonly PlacedToken[]): Promise<Float32Array<ArrayBuffer>> {
    const logits = await this.#decoder.run(tokens);
    for (const { row, id } of tokens) this.#held[row]!.push(id);
    return logits;
  }

  #checkPrompts(prompts: readonly (readonly number[])[]): void {
    const { rows, length } = this.size;
    if (prompts.length > rows) {
      throw new RangeError(`Cannot continue ${prompts.length} prompts at a time: planned for ${rows}`);
    }
    prompts.forEach((ids, i) => {
      if (ids.length >= 1 && ids.length <= length) return;
      throw new RangeError(
        `Cannot continue prompt ${i + 1}, which has ${ids.length} tokens: 1..${length} are possible`,
      );
    });
  }
}

/** The given options over the defaults; an option given as undefined is a default. */
function samplingOf(options: Partial<SamplingOptions>): SamplingOptions {
  return {
    temperature: options.temperature ?? GREEDY.temperature,
    topK: options.topK ?? GREEDY.topK,
    topP: options.topP ?? GREEDY.topP,
    repetitionPenalty: options.repetitionPenalty ?? GREEDY.repetitionPenalty,
    seed: options.seed ?? GREEDY.seed,
  };
}

function checkOptions(sampling: SamplingOptions, maxNewTokens: number): void {
  const issues = samplingIssues(sampling);
  if (!(Number.isInteger(maxNewTokens) && maxNewTokens >= 1)) {
    const message = `must be a whole number of 1 or more: current value is ${maxNewTokens}`;
    issues.push({ path: "max_new_tokens", message });
  }
  if (issues.length > 0) throw new ConfigError(issues);
}
