/**
 * Attention over a cache in a graph. Keys and values keep their G heads: the queries that share one stand below each
 * other instead, as rows of one product.
 *
 *     scores = c·tanh((s·q·kᵀ)/c)      q [B, G, H/G·T, D], k [B, G, S, D], S = cached + T
 *     y      = softmax(scores where the token may see the key)·v
 *
 * @module
 */
import type { ModelConfig } from "../models/config.ts";
import type { OnnxGraph } from "./onnx_graph.ts";
import type { OnnxLayers } from "./onnx_layers.ts";

/** What stands for a score that does not count: large enough for any softmax, and finite, as a whole row may be masked. */
const MASKED = -3e38;

/** Lengths of a call, int64 [1] each. */
export interface OnnxLengths {
  /** Tokens in the cache. */
  readonly past: string;
  /** Tokens in the cache and those of this call. */
  readonly total: string;
}

/** Lengths by the inputs' shapes. */
export function onnxLengths(graph: OnnxGraph, inputIds: string, pastKey: string): OnnxLengths {
  const past = graph.op("Shape", [pastKey], { start: 2, end: 3 });
  return { past, total: graph.op("Add", [past, graph.op("Shape", [inputIds], { start: 1, end: 2 })]) };
}

/**
 * Which keys each query sees, bool [B, 1, H/G·T, S]: those up to its own, of these the newest `window`, of these the ones
 * that `attention_mask` [B, S] does not take for padding. Distances are those in the row, padding included.
 */
export function onnxMask(
  graph: OnnxGraph,
  attentionMask: string,
  { past, total }: OnnxLengths,
  { window, queriesPerKey }: { readonly window: number; readonly queriesPerKey: number },
): string {
  const first = graph.int(0), step = graph.int(1);
  const scalar = (length: string) => graph.op("Squeeze", [length, graph.ints([0])]);
  const keys = graph.op("Range", [first, scalar(total), step]);
  const queries = graph.unsqueeze(graph.op("Range", [scalar(past), scalar(total), step]), 1);
  let seen = graph.op("LessOrEqual", [keys, queries]);
  if (window !== Infinity) {
    const beyond = graph.op("Sub", [queries, graph.int(window)]);
    seen = graph.op("And", [seen, graph.op("Greater", [keys, beyond])]);
  }
  const isToken = graph.unsqueeze(graph.cast(attentionMask, "bool"), 1, 2);
  const one = graph.op("And", [isToken, seen]);
  if (queriesPerKey === 1) return one;
  const many = graph.op("Expand", [graph.unsqueeze(one, 2), graph.ints([1, 1, queriesPerKey, 1, 1])]);
  return graph.reshape(many, graph.op("Concat", [graph.ints([0, 1, -1]), total], { axis: 0 }));
}

/** What attention reads, queries and keys turned already. */
export interface OnnxAttentionInputs {
  /** [B, H, T, D], f32 */
  readonly q: string;
  /** [B, G, S, D] in the type of products */
  readonly k: string;
  /** [B, G, S, D] in the type of products */
  readonly v: string;
  readonly mask: string;
}

/** y [B·T, H·D] in the type of products. */
export function onnxAttention(
  layers: OnnxLayers,
  { q, k, v, mask }: OnnxAttentionInputs,
  { attentionScale, attentionSoftcap, numAttentionHeads, numKeyValueHeads, headDim }: ModelConfig,
): string {
  const { graph } = layers;
  const scaled = graph.op("Mul", [q, graph.scalar(attentionScale)]);
  const rows = layers.narrow(graph.reshape(scaled, [0, numKeyValueHeads, -1, headDim]));
  const turned = graph.op("Transpose", [k], { perm: [0, 1, 3, 2] });
  const plain = layers.wide(graph.op("MatMul", [rows, turned]));
  const scores = attentionSoftcap === null ? plain : layers.softcap(plain, attentionSoftcap);
  const counted = graph.op("Where", [mask, scores, graph.scalar(MASKED)]);
  const shares = layers.narrow(graph.op("Softmax", [counted], { axis: -1 }));
  const heads = graph.reshape(graph.op("MatMul", [shares, v]), [0, numAttentionHeads, -1, headDim]);
  const tokens = graph.op("Transpose", [heads], { perm: [0, 2, 1, 3] });
  return graph.reshape(tokens, [-1, numAttentionHeads * headDim]);
}
