/**
 * The decoder's forward pass for tokens that lie anywhere in a cache: some of a prompt, or the newest of each row. The
 * formulas are those of `models/decoder_block.ts`. Keys and values go into the cache; attention reads those of earlier tokens from
 * there, but for whole prompts, which attend to themselves as in training.
 *
 * @module
 */
import { attentionDecode } from "../../kernels/attention_decode/kernel.ts";
import { scatterRows } from "../../kernels/rows/kernel.ts";
import type { Decoder } from "../models/decoder.ts";
import type { DecoderBlock, Turning } from "../models/decoder_block.ts";
import type { Rope } from "../models/rope.ts";
import type { Attention } from "../nn/attention.ts";
import type { SpanTensors } from "../nn/attention_spans.ts";
import { embed } from "../nn/embedding.ts";
import type { RopeTables } from "../nn/rope.ts";
import type { StepRecorder } from "../nn/step_recorder.ts";
import type { Tensor } from "../tensor.ts";
import type { KvCache, LayerCache } from "./kv_cache.ts";

/** The tokens of one pass, each [R]. */
export interface TokenInputs {
  readonly ids: Tensor;
  /** Position in its row, for the rotation. */
  readonly positions: Tensor;
  /** Place in the cache; `NO_PLACE` for a filler. */
  readonly places: Tensor;
  /** Set where the tokens are whole prompts, padded: what each token sees, and the padded length. */
  readonly prompts: { readonly spans: SpanTensors; readonly rowLength: number } | null;
}

/** What every block of a pass shares. */
interface Pass extends Turning {
  readonly attention: Attention;
  readonly places: Tensor;
  readonly prompts: TokenInputs["prompts"];
  /** Places of one row of the cache. */
  readonly rowLength: number;
}

/** Records the blocks for R tokens: x [R, C] before the final norm. `ropes` hold a row for each position. */
export function cachedForward(
  run: StepRecorder,
  decoder: Decoder,
  cache: KvCache,
  ropes: ReadonlyMap<Rope, RopeTables>,
  { ids, positions, places, prompts }: TokenInputs,
): Tensor {
  const pass: Pass = {
    attention: decoder.attention,
    places,
    prompts,
    rowLength: cache.size.length,
    positions,
    ropes,
  };
  let x = embed(run, decoder.embedding, ids, decoder.config.embeddingScale);
  decoder.blocks.forEach((block, i) => {
    x = cachedBlock(run, block, x, cache.layers[i]!, pass);
    run.endScope();
  });
  return x;
}

function cachedBlock(
  run: StepRecorder,
  block: DecoderBlock,
  x: Tensor,
  layer: LayerCache,
  pass: Pass,
): Tensor {
  const { q, k, v } = block.qkv(run, x, pass), { window } = block.layer;
  keep(run, k, layer.k, pass.places);
  keep(run, v, layer.v, pass.places);
  const attended = pass.prompts
    ? pass.attention.forward(run, { q, k, v }, pass.prompts.spans.get(window)!, pass.prompts.rowLength).y
    : attendCached(run, q, layer, window, pass);
  return block.afterAttention(run, attended, x);
}

function attendCached(run: StepRecorder, q: Tensor, layer: LayerCache, window: number, pass: Pass): Tensor {
  const { heads, kvHeads, headDim, scale, softcap } = pass.attention;
  const out = run.tensor("cached attention out", q.shape);
  run.dispatch(
    attentionDecode,
    { out, q, k: layer.k, v: layer.v, places: pass.places },
    {
      queries: q.shape[0]!,
      heads,
      group: heads / kvHeads,
      row_length: pass.rowLength,
      window: Math.min(window, pass.rowLength),
      scale,
      softcap,
    },
    { HEAD_DIM4: headDim / 4, WORKGROUP_SIZE: run.variants.rowLanes, SOFTCAP: softcap > 0 ? 1 : 0 },
  );
  return out;
}

/** Puts x [R, cols] at its places of the cache. Fillers, whose place is the mark of no row, go nowhere. */
function keep(run: StepRecorder, x: Tensor, kept: Tensor, places: Tensor): void {
  const [rows, cols] = x.shape as [number, number];
  run.dispatch(scatterRows, { y: kept, x, index: places }, { rows, cols, first: 0 });
}
