/**
 * What a batch writes to the GPU before a program runs: ids, positions, what each query sees, labelled rows, and what
 * noise and dropout are drawn from. One set of tensors, as large as the largest batch, serves all shapes.
 *
 * @module
 */
import { NO_TARGET } from "../../kernels/cross_entropy/kernel.ts";
import { dropoutNumbers, dropoutSize } from "../../kernels/dropout/kernel.ts";
import { rowsById } from "../../kernels/embedding/kernel.ts";
import { noiseNumbers, noiseSize } from "../../kernels/noise/kernel.ts";
import { NO_ROW } from "../../kernels/rows/kernel.ts";
import { attentionSpans, type SpanTensors } from "../nn/attention_spans.ts";
import type { LabelledRows } from "../nn/lm_head.ts";
import { rowPositions } from "../nn/rope.ts";
import { streamOf } from "../random.ts";
import { type Tensor, tensor } from "../tensor.ts";
import type { Decoder, DecoderInputs } from "./decoder.ts";

const NOISE_STREAM = streamOf("neftune");

/** Rows of tokens with their targets, as the model takes them. */
export interface ModelBatch {
  /** Batch rows and padded tokens of each. */
  readonly rows: number;
  readonly length: number;
  /** [rows · length] */
  readonly inputIds: Uint32Array;
  /** [rows · length]: the token that should follow each position, negative where none is trained. */
  readonly targets: Int32Array;
  /** [rows]: real tokens of each row. */
  readonly lengths: Uint32Array;
  /** Tokens of the documents packed into each row, which do not see each other; default one a row. */
  readonly documents?: readonly (readonly number[])[];
}

/** Where a micro-batch stands in a run, for what is drawn for it. */
export interface BatchPlace {
  /** Optimizer step, from 1. */
  readonly step: number;
  /** Tokens of the step before this micro-batch. */
  readonly firstToken: number;
}

/** What is drawn for training steps. */
export interface Draws {
  /** Strength of NEFTune's noise; null for none. */
  readonly neftuneAlpha: number | null;
  /** Whether any update leaves inputs out. */
  readonly dropout: boolean;
  readonly seed: number;
}

export class BatchInputs {
  /** Null where none is added. */
  readonly noise: Tensor | null;
  /** Null where nothing is left out. */
  readonly dropout: Tensor | null;
  readonly #decoder: Decoder;
  readonly #draws: Draws;
  readonly #inputs: Readonly<Record<"ids" | "positions" | "index" | "targets" | "order" | "starts", Tensor>>;
  readonly #spans: SpanTensors;

  /** Plans the tensors; they have no memory before somebody gives it to them. */
  constructor(
    decoder: Decoder,
    { rows, length }: { readonly rows: number; readonly length: number },
    draws: Draws,
  ) {
    this.#decoder = decoder;
    this.#draws = draws;
    this.noise = draws.neftuneAlpha === null ? null : tensor("noise numbers", [noiseSize(rows)], "u32");
    this.dropout = draws.dropout ? tensor("dropout numbers", [dropoutSize(rows)], "u32") : null;
    const tokens = rows * length;
    this.#inputs = {
      ids: tensor("token ids", [tokens], "u32"),
      positions: tensor("positions", [tokens], "u32"),
      index: tensor("labelled rows", [tokens], "u32"),
      targets: tensor("targets", [tokens], "u32"),
      order: tensor("rows by id", [tokens], "u32"),
      starts: tensor("first row of each id", [tokens + 1], "u32"),
    };
    this.#spans = new Map(
      decoder.windows.map((window) => [window, tensor("attention spans", [tokens, 2], "u32")]),
    );
  }

  /** All tensors, for who gives and takes their memory. */
  get tensors(): readonly Tensor[] {
    return [
      ...Object.values(this.#inputs),
      ...this.#spans.values(),
      ...[this.noise, this.dropout].filter((drawn) => drawn !== null),
    ];
  }

  /** The parts that a batch of this shape fills, as programs read them. */
  of(rows: number, length: number): { readonly inputs: DecoderInputs; readonly labelled: LabelledRows } {
    const tokens = rows * length;
    const { ids, positions, index, targets, order, starts } = this.#inputs;
    return {
      inputs: {
        ids: ids.first([tokens]),
        positions: positions.first([tokens]),
        spans: new Map([...this.#spans].map(([window, spans]) => [window, spans.first([tokens, 2])])),
        rowsById: { order: order.first([tokens]), starts: starts.first([tokens + 1]) },
        rowLength: length,
      },
      labelled: { index: index.first([tokens]), targets: targets.first([tokens]) },
    };
  }

  /** Uploads a batch; returns how many of its tokens have a target. @throws {RangeError} For an id that the model does not know. */
  write(
    queue: GPUQueue,
    { rows, length, inputIds, targets, lengths, documents }: ModelBatch,
  ): number {
    refuseUnknownIds(inputIds, this.#decoder.config.vocabSize);
    const tokens = rows * length;
    const index = new Uint32Array(tokens).fill(NO_ROW);
    const compact = new Uint32Array(tokens).fill(NO_TARGET);
    let labelled = 0;
    for (let i = 0; i < tokens; i++) {
      if (targets[i]! < 0) continue;
      index[labelled] = i;
      compact[labelled++] = targets[i]!;
    }
    const write = (to: Tensor, values: Uint32Array) =>
      queue.writeBuffer(to.buffer!, 0, values as Uint32Array<ArrayBuffer>);
    const first = this.#decoder.firstPosition(Math.max(...documents?.flat() ?? lengths));
    write(this.#inputs.ids, inputIds);
    write(this.#inputs.positions, rowPositions(rows, length, documents).map((position) => first + position));
    for (const [window, spans] of this.#spans) {
      write(spans, attentionSpans({ lengths, rowLength: length, window, documents }));
    }
    write(this.#inputs.index, index);
    write(this.#inputs.targets, compact);
    if (this.#decoder.embedding.grad) {
      const { order, starts } = rowsById(inputIds);
      write(this.#inputs.order, order);
      write(this.#inputs.starts, starts);
    }
    return labelled;
  }

  /** Uploads what noise and dropout of a micro-batch follow from. */
  writeDraws(queue: GPUQueue, { lengths }: ModelBatch, { step, firstToken }: BatchPlace): void {
    const { seed, neftuneAlpha } = this.#draws;
    const place = { seed, step, firstToken, lengths };
    if (this.noise) {
      const numbers = noiseNumbers({ ...place, alpha: neftuneAlpha!, stream: NOISE_STREAM });
      queue.writeBuffer(this.noise.buffer!, 0, numbers);
    }
    if (this.dropout) queue.writeBuffer(this.dropout.buffer!, 0, dropoutNumbers(place));
  }
}

/** @throws {RangeError} At the first id that the embedding has no row for. */
function refuseUnknownIds(ids: Uint32Array, vocabSize: number): void {
  const at = ids.findIndex((id) => id >= vocabSize);
  if (at < 0) return;
  throw new RangeError(
    `Cannot embed token id ${ids[at]} at position ${at} of the batch: the model knows ids 0..${
      vocabSize - 1
    }; ` +
      "use the tokenizer that came with it",
  );
}
