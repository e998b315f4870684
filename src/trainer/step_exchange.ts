/**
 * The one exchange of an optimizer step between ranks: gradients, losses and token counts are added up, so that every
 * rank makes the same update.
 *
 * @module
 */
import type { Communicator } from "../distributed/communicator.ts";
import type { TrainableModel } from "../models/trainable_model.ts";

/** Up to here every count is a number of f32. */
const LARGEST_EXACT_COUNT = 2 ** 24;

/** What a rank brings besides what lies on its GPU. */
export interface RankStep {
  /** Labels that this rank has trained on. */
  readonly trainedTokens: number;
  /** Labels of the whole step, which every rank counts from the rows. */
  readonly allTrainedTokens: number;
  /** Whether this rank has been told to stop. */
  readonly stops: boolean;
}

/**
 * Adds up steps over ranks. One vector travels: the pooled gradients, then totals of the loss, then the flag of values
 * that are not finite, then the count of labels, then how many ranks were told to stop.
 *
 * The sums of losses are kept by rank 0 between steps, in the order in which one rank would add them; the others begin
 * each step at zero and have rank 0's after it.
 */
export class StepExchange {
  readonly #model: TrainableModel;
  readonly #ranks: Communicator;
  readonly #values: Float32Array<ArrayBuffer>;

  /** The pool must be allocated. */
  constructor(model: TrainableModel, ranks: Communicator) {
    this.#model = model;
    this.#ranks = ranks;
    const own = [model.sinks.totals.bytes / 4, 1, 1, 1];
    this.#values = new Float32Array(own.reduce((sum, count) => sum + count, model.pool.bytes / 4));
  }

  /** To be called before the first micro-batch. */
  begin(): void {
    if (this.#ranks.rank > 0) this.#model.clearTotals();
  }

  /**
   * To be called after the last micro-batch. Where a rank has been told to stop, gradients and sums stay as they are.
   *
   * @returns Whether one has.
   * @throws {Error} If the ranks have not trained on the step's rows between them.
   */
  async exchange({ trainedTokens, allTrainedTokens, stops }: RankStep): Promise<boolean> {
    const { pool, sinks: { totals, flags }, resources: { gpu } } = this.#model;
    const values = this.#values;
    const read = [...pool.chunks.map(({ grads }) => grads), totals, flags];
    const found = await Promise.all(read.map(({ buffer, bytes }) => gpu.read(buffer!, 0, bytes)));
    const flag = new Uint32Array(found.pop()!)[0]!;
    let at = 0;
    for (const part of found) {
      values.set(new Float32Array(part), at);
      at += part.byteLength / 4;
    }
    values.set([flag === 0 ? 0 : 1, trainedTokens, stops ? 1 : 0], at);
    await this.#ranks.sum(values);
    const [raised, tokens, stopped] = values.subarray(at) as unknown as [number, number, number];
    if (tokens !== allTrainedTokens && allTrainedTokens <= LARGEST_EXACT_COUNT) {
      throw new Error(
        `The ${this.#ranks.size} ranks have trained on ${tokens} tokens together, and the step has ` +
          `${allTrainedTokens}: they do not read the same rows`,
      );
    }
    if (stopped > 0) return true;
    const { queue } = gpu.device;
    at = 0;
    for (const { buffer, bytes } of [...pool.chunks.map(({ grads }) => grads), totals]) {
      queue.writeBuffer(buffer!, 0, values, at, bytes / 4);
      at += bytes / 4;
    }
    if (raised > 0) queue.writeBuffer(flags.buffer!, 0, Uint32Array.of(1));
    return false;
  }
}
