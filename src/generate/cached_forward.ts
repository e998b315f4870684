/**
 * The decoder's forward pass for tokens that lie anywhere in a cache: some of a prompt, or the newest of each row. The
 * formulas are those of `models/decoder.ts`. Keys and values go into the cache; attention reads those of earlier tokens from
 * there, but for whole prompts, which attend to themselves as in training.
 *
 * @module
 */
import { attentionDecode } from "../../kernels/attention_decode/kernel.ts";
import { scatterRows } from "../../kernels/rows/kernel.ts";
import type { Block, Decoder } from "../models/decoder.ts";
import type { ModelConfig } from "../models/config.ts";
import type { Attention } from "../nn/attention.ts";
import type { SpanTensors } from "../nn/attention_spans.ts";
import { embed } from "../nn/embedding.ts";
import { type RopeTables, rotate } from "../nn/rope.ts";
import type { StepRecorder } from "../nn/step_recorder.ts";
import * as gated from "../nn/gated.ts";
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
interface Pass {
  readonly config: ModelConfig;
  readonly attention: Attention;
  readonly places: Tensor;
  readonly prompts: TokenInputs["prompts"];
  /** Places of one row of the cache. */
  readonly rowLength: number;
  readonly positions: Tensor;
  /** A row for each position. */
  readonly rope: RopeTables;
}

/** Records the blocks for R tokens: x [R, C] before the final norm. `rope` holds a row for each position. */
export function cachedForward(
  run: StepRecorder,
  decoder: Decoder,
  cache: KvCache,
  rope: RopeTables,
  { ids, positions, places, prompts }: TokenInputs,
): Tensor {
  const pass: Pass = {
    config: decoder.config,
    attention: decoder.attention,
    places,
    prompts,
    rowLength: cache.size.length,
    positions,
    rope,
  };
  let x = embed(run, decoder.embedding, ids, decoder.config.embeddingScale);
  decoder.blocks.forEach((block, i) => {
    x = cachedBlock(run, block, x, cache.layers[i]!, pass);
    run.endScope();
  });
  return x;
}

/** h = x + O·attention(rope(Q·n₁), …), y = h + D·(g(G·n₂) · U·n₂) */
function cachedBlock(run: StepRecorder, block: Block, x: Tensor, layer: LayerCache, pass: Pass): Tensor {
  const norm1 = block.norm1.forward(run, x).y;
  const plain = { q: block.q.forward(run, norm1).y, k: block.k.forward(run, norm1).y };
  const v = block.v.forward(run, norm1).y;
  const { positions, config: { headDim, activation } } = pass;
  const { q, k } = rotate(run, plain, pass.rope, { positions, headDim, direction: 1 });
  keep(run, k, layer.k, pass.places);
  keep(run, v, layer.v, pass.places);
  const attended = pass.prompts
    ? pass.attention.forward(run, { q, k, v }, pass.prompts.spans.get(block.window)!, pass.prompts.rowLength)
      .y
    : attendCached(run, q, layer, block.window, pass);
  const h = block.o.forward(run, attended, x).y;
  const norm2 = block.norm2.forward(run, h).y;
  const gate = block.gate.forward(run, norm2).y, up = block.up.forward(run, norm2).y;
  return block.down.forward(run, gated.forward(run, gate, up, activation).y, h).y;
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
