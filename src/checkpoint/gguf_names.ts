/**
 * What GGUF calls the tensors of a model, and what llama.cpp's converter did to their values.
 *
 * @module
 */

/** A tensor's name in the other of the two formats, and how its values differ. */
export interface GgufTensorName {
  readonly name: string;
  /**
   * Which map of heads its rows were turned in: Llama's rotation pairs neighbours there, and halves here. Null where rows
   * stand as they are.
   */
  readonly turned: "queries" | "keys" | null;
  /** What the converter adds to each value: the 1 of Gemma's norms. */
  readonly added: 0 | 1;
}

const LINEARS: Readonly<Record<string, string>> = {
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_qkv: "self_attn.qkv_proj",
  attn_output: "self_attn.o_proj",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

const NORMS: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  ffn_norm: "post_attention_layernorm",
};

/** Gemma has a norm on either side of each branch. */
const GEMMA_NORMS: Readonly<Record<string, string>> = {
  ...NORMS,
  post_attention_norm: "post_attention_layernorm",
  ffn_norm: "pre_feedforward_layernorm",
  post_ffw_norm: "post_feedforward_layernorm",
};

const OUTSIDE: Readonly<Record<string, string>> = {
  token_embd: "model.embed_tokens",
  output: "lm_head",
};

/** Tables that follow from the rotary settings. */
const TABLES = /^(rope_freqs|rope_factors_long|rope_factors_short)\.weight$|attn_rot_embd/;

/**
 * The name of a tensor, undefined where the architecture has none such, null where it is no weight.
 *
 * @param architecture `general.architecture` of the file.
 */
export function checkpointName(architecture: string, ggufName: string): GgufTensorName | null | undefined {
  if (TABLES.test(ggufName)) return null;
  const plain = (name: string): GgufTensorName => ({ name, turned: null, added: 0 });
  const gemma = architecture.startsWith("gemma");
  const norm = (name: string): GgufTensorName => ({ name, turned: null, added: gemma ? 1 : 0 });
  if (ggufName === "output_norm.weight") return norm("model.norm.weight");
  const [, layer, part = "", kind] = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(ggufName) ?? [];
  const own = (names: Readonly<Record<string, string>>) =>
    Object.hasOwn(names, part) ? names[part] : undefined;
  if (layer === undefined) return own(OUTSIDE) ? plain(`${own(OUTSIDE)}.${kind}`) : undefined;
  const path = `model.layers.${layer}`, normPath = own(gemma ? GEMMA_NORMS : NORMS);
  if (normPath) return norm(`${path}.${normPath}.${kind}`);
  const linear = architecture === "phi3" && part === "ffn_up" ? "mlp.gate_up_proj" : own(LINEARS);
  if (!linear) return undefined;
  const turned = architecture !== "llama"
    ? null
    : part === "attn_q"
    ? "queries"
    : part === "attn_k"
    ? "keys"
    : null;
  return { name: `${path}.${linear}.${kind}`, turned, added: 0 };
}

/** Norms that stand outside of layers, and the maps of {@link OUTSIDE}, from the checkpoint's side. */
const NAMES_OUTSIDE = new Map([
  ...Object.entries(OUTSIDE).map(([part, path]) => [path, part] as const),
  ["model.norm", "output_norm"],
]);

/**
 * What GGUF calls a tensor of a checkpoint, and what becomes of its values: the other way round of
 * {@link checkpointName}. Null where the architecture has none such.
 *
 * @param name In the checkpoint; a model with eyes calls its text model `language_model`.
 */
export function ggufName(architecture: string, name: string): GgufTensorName | null {
  const plain = name.replace(/^language_model\./, "");
  const [, layer, path = "", kind] = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(plain) ?? [];
  const norms = architecture.startsWith("gemma") ? GEMMA_NORMS : NORMS;
  const part = layer === undefined
    ? NAMES_OUTSIDE.get(path)
    : architecture === "phi3" && path === "mlp.gate_up_proj"
    ? "ffn_up"
    : Object.entries({ ...LINEARS, ...norms }).find(([, known]) => known === path)?.[0];
  if (part === undefined) return null;
  const found = `${layer === undefined ? "" : `blk.${layer}.`}${part}.${kind}`;
  const back = checkpointName(architecture, found);
  return back?.name === plain ? { ...back, name: found } : null;
}

/**
 * Where row r of a Hugging Face matrix stands in a GGUF of a Llama: within a head of width D, row s·D/2 + i is row 2i + s.
 */
export function turnedRow(row: number, headDim: number): number {
  const inHead = row % headDim, half = headDim / 2;
  return row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
}
