/**
 * The decoder as a graph of plain ONNX operators over a cache; its formulas are those of `models/decoder_block.ts`. Every
 * family is built here from what it says of itself; none is known by name.
 *
 * @module
 */
import type { LayerAttention, ModelConfig } from "../models/config.ts";
import { hasBias, type LinearPart, linearShape, type ModelFamily, partWidths } from "../models/family.ts";
import type { Rope } from "../models/rope.ts";
import { onnxAttention, type OnnxLengths, onnxLengths, onnxMask } from "./onnx_attention.ts";
import { OnnxGraph } from "./onnx_graph.ts";
import { OnnxLayers, type ProductType, type WeightData } from "./onnx_layers.ts";
import type { OnnxModel } from "./onnx_proto.ts";
import { type OnnxAngles, onnxAngles, onnxRotate } from "./onnx_rope.ts";

/** What decides the graph. */
export interface OnnxDecoderOptions {
  readonly config: ModelConfig;
  readonly family: ModelFamily;
  /** Element type of matrices and cache. */
  readonly type: ProductType;
  /** Which tokens get logits: all of a call, or the last of each row, which is what writing needs. */
  readonly logits: LogitsOf;
  readonly dataOf: WeightData;
}

/** Which tokens of a call get logits: all of them, or the last of each row. */
export type LogitsOf = "all" | "last";

/** Sizes that differ from call to call, by the names that transformers.js and Optimum know. */
const BATCH = "batch_size", TOKENS = "sequence_length";
const CACHED = "past_sequence_length", ALL = "total_sequence_length";

/** Names of a layer's cache. */
const CACHE_PARTS = ["key", "value"] as const;

/** What the layers of a call share. */
interface Call extends OnnxLengths {
  /** int64 [2]: B, T */
  readonly idsShape: string;
  /** int64 [1]: B */
  readonly batch: string;
  readonly angles: ReadonlyMap<Rope, OnnxAngles>;
  /** By window. */
  readonly masks: ReadonlyMap<number, string>;
}

/**
 * The graph: inputs `input_ids`, `attention_mask`, `position_ids` and `past_key_values.N.key` and `.value` [B, G, past, D],
 * outputs `logits` [B, T, V], or [B, 1, V] of the last tokens alone, and `present.N.key` and `.value` [B, G, past + T, D].
 */
export function onnxDecoder({ config, family, type, logits: wanted, dataOf }: OnnxDecoderOptions): OnnxModel {
  const graph = new OnnxGraph(), layers = new OnnxLayers(graph, type, dataOf);
  const { hiddenSize: C, vocabSize: V, numKeyValueHeads: G, headDim: D } = config;
  const ids = graph.input("input_ids", "int64", [BATCH, TOKENS]);
  const attentionMask = graph.input("attention_mask", "int64", [BATCH, ALL]);
  const positions = graph.input("position_ids", "int64", [BATCH, TOKENS]);
  const caches = config.layers.map((_, i) =>
    CACHE_PARTS.map((part) => graph.input(`past_key_values.${i}.${part}`, type, [BATCH, G, CACHED, D]))
  );
  const call = graph.within("call", () => {
    return shared(graph, config, { ids, attentionMask, positions, pastKey: caches[0]![0]! });
  });
  const vocabulary = (path: string) => layers.matrix(`${path}.weight`, [V, C]);
  let x = graph.within("embedding", () => {
    const rows = graph.op("Gather", [vocabulary(family.embedding), ids]);
    const plain = layers.wide(graph.reshape(rows, [-1, C])), { embeddingScale } = config;
    return embeddingScale === 1 ? plain : graph.op("Mul", [plain, graph.scalar(embeddingScale)]);
  });
  config.layers.forEach((layer, i) => {
    const block = new Block(layers, config, family, i);
    x = graph.within(`layers.${i}`, () => block.build(x, layer, caches[i]!, call));
  });
  graph.within("head", () => {
    const shape = wanted === "all"
      ? call.idsShape
      : graph.op("Concat", [call.batch, graph.ints([1])], { axis: 0 });
    const rows = wanted === "all" ? x : lastOfRows(graph, x, call.idsShape, C);
    const normed = layers.norm(rows, family.finalNorm, normSizes(config, family, C));
    const head = vocabulary(config.tieWordEmbeddings ? family.embedding : family.head);
    const plain = layers.product(layers.narrow(normed), head), { logitSoftcap } = config;
    const logits = logitSoftcap === null ? plain : layers.softcap(plain, logitSoftcap);
    graph.op("Reshape", [logits, graph.op("Concat", [shape, graph.ints([V])], { axis: 0 })], {}, "logits");
  });
  graph.output("logits", "float32", [BATCH, wanted === "all" ? TOKENS : 1, V]);
  for (const i of config.layers.keys()) {
    for (const part of CACHE_PARTS) graph.output(`present.${i}.${part}`, type, [BATCH, G, ALL, D]);
  }
  return graph;
}

/** x [B·T, C] of the last token of each row, [B, C]. */
function lastOfRows(graph: OnnxGraph, x: string, idsShape: string, width: number): string {
  const rows = graph.reshape(x, graph.op("Concat", [idsShape, graph.ints([width])], { axis: 0 }));
  return graph.op("Gather", [rows, graph.int(-1)], { axis: 1 });
}

function shared(
  graph: OnnxGraph,
  { layers, maxPositionEmbeddings, numAttentionHeads, numKeyValueHeads }: ModelConfig,
  { ids, attentionMask, positions, pastKey }: Readonly<
    Record<"ids" | "attentionMask" | "positions" | "pastKey", string>
  >,
): Call {
  const lengths = onnxLengths(graph, ids, pastKey), queriesPerKey = numAttentionHeads / numKeyValueHeads;
  const ropes = [...new Set(layers.map(({ rope }) => rope))];
  const windows = [...new Set(layers.map(({ window }) => window))];
  const at = { positions, totalLength: lengths.total, maxPositionEmbeddings };
  const maskOf = (window: number) => onnxMask(graph, attentionMask, lengths, { window, queriesPerKey });
  return {
    ...lengths,
    idsShape: graph.op("Shape", [ids]),
    batch: graph.op("Shape", [ids], { start: 0, end: 1 }),
    angles: new Map(ropes.map((rope, i) => [rope, onnxAngles(graph, rope, `rope.${i}`, at)])),
    masks: new Map(windows.map((window) => [window, maskOf(window)])),
  };
}

function normSizes({ rmsNormEps: eps }: ModelConfig, { normOffset: offset }: ModelFamily, width: number) {
  return { width, eps, offset };
}

/** One layer. */
class Block {
  readonly #layers: OnnxLayers;
  readonly #graph: OnnxGraph;
  readonly #config: ModelConfig;
  readonly #family: ModelFamily;
  readonly #path: string;
  readonly #index: number;

  constructor(layers: OnnxLayers, config: ModelConfig, family: ModelFamily, index: number) {
    this.#layers = layers;
    this.#graph = layers.graph;
    this.#config = config;
    this.#family = family;
    this.#path = family.layer(index);
    this.#index = index;
  }

  /** y [B·T, C] from the residual stream x. */
  build(x: string, layer: LayerAttention, cache: readonly string[], call: Call): string {
    const { norms } = this.#family, graph = this.#graph;
    const h = graph.within("attention", () => {
      const attended = this.#attend(this.#norm(x, norms.beforeAttention), layer, cache, call);
      return this.#added(x, this.#maps(attended, "o"), norms.afterAttention);
    });
    return graph.within("mlp", () => {
      const b = this.#layers.narrow(this.#norm(h, norms.beforeFeedForward));
      const [gate, up] = this.#maps(b, "gate", "up") as [string, string];
      const gated = graph.op("Mul", [this.#layers.activation(gate, this.#config.activation), up]);
      return this.#added(h, this.#maps(this.#layers.narrow(gated), "down"), norms.afterFeedForward);
    });
  }

  /** What attention gives for a [B·T, C], in the type of products; the cache goes out grown by it. */
  #attend(a: string, { rope, window }: LayerAttention, cache: readonly string[], call: Call): string {
    const { numAttentionHeads: H, numKeyValueHeads: G, headDim } = this.#config, graph = this.#graph;
    const { norms: { query, key } } = this.#family;
    const [q, k, v] = this.#maps(this.#layers.narrow(a), "q", "k", "v") as [string, string, string];
    const turned = (x: string, heads: number, norm: string | null) =>
      onnxRotate(graph, this.#heads(x, heads, norm, call), call.angles.get(rope)!, rope, headDim);
    const grown = (part: 0 | 1, x: string) => {
      const name = `present.${this.#index}.${CACHE_PARTS[part]}`;
      return graph.op("Concat", [cache[part]!, this.#layers.narrow(x)], { axis: 2 }, name);
    };
    const inputs = {
      q: turned(q, H, query),
      k: grown(0, turned(k, G, key)),
      v: grown(1, this.#heads(v, G, null, call)),
      mask: call.masks.get(window)!,
    };
    return onnxAttention(this.#layers, inputs, this.#config);
  }

  /** [B·T, heads·D] as [B, heads, T, D], each head normed where the family does so. */
  #heads(x: string, heads: number, norm: string | null, { idsShape }: Call): string {
    const graph = this.#graph, D = this.#config.headDim;
    const shape = graph.op("Concat", [idsShape, graph.ints([heads, D])], { axis: 0 });
    const apart = graph.reshape(x, shape);
    const normed = norm === null ? apart : this.#norm(apart, norm, D);
    return graph.op("Transpose", [normed], { perm: [0, 2, 1, 3] });
  }

  /** The parts of the layer's maps of one input in the type of products, each [B·T, width] in f32. */
  #maps(x: string, ...parts: LinearPart[]): string[] {
    return this.#family.linears.filter((map) => parts.includes(map.parts[0]!)).flatMap((map) => {
      const shape = linearShape(map, this.#config);
      const y = this.#layers.linear(x, `${this.#path}.${map.path}`, shape, hasBias(map, this.#config));
      return this.#graph.split(y, partWidths(map.parts, this.#config));
    });
  }

  #norm(x: string, path: string, width = this.#config.hiddenSize): string {
    return this.#layers.norm(x, `${this.#path}.${path}`, normSizes(this.#config, this.#family, width));
  }

  /** x plus what a branch made, normed where the family does so. */
  #added(x: string, [branch]: readonly string[], norm: string | null): string {
    return this.#graph.op("Add", [x, norm === null ? branch! : this.#norm(branch!, norm)]);
  }
}
