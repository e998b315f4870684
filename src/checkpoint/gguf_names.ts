/**
 * What GGUF calls the tensors of a model, and what llama.cpp's converter did to their values.
 *
 * @module
 */

/** A tensor of a GGUF file under its name in a Hugging Face checkpoint. */
export interface GgufTensorName {
  readonly name: string;
  /**
   * Which map of heads its rows were turned in: Llama's rotation pairs neighbours there, and halves here. Null where rows
   * stand as they are.
   */
  readonly turned: "queries" | "keys" | null;
  /** What the converter added to each value: the 1 of Gemma's norms. */
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

/**
 * Where row r of a Hugging Face matrix stands in a GGUF of a Llama: within a head of width D, row s·D/2 + i is row 2i + s.
 */
export function turnedRow(row: number, headDim: number): number {
  const inHead = row % headDim, half = headDim / 2;
  return row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
}
