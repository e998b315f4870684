/**
 * PEFT's adapter_config.json for LoRA, as written by PEFT 0.21.2 and read from any version.
 *
 * @see https://huggingface.co/docs/peft
 * @module
 */

import { BIASES, type LoraKind, loraKindOf, type TrainedBias } from "../config/lora_kind.ts";
import { ModelFormatError, UnsupportedModelError } from "../errors.ts";
import { PythonFloat, pythonJson, type PythonValue } from "./python_json.ts";
import { formatTargetRules, parseTargetRules, type SavedTargetRules } from "./target_fields.ts";
import type { TargetRules } from "./target_modules.ts";

/** The PEFT version whose file format is written. */
export const PEFT_VERSION = "0.21.2";

/** What an adapter's tensors mean. */
export interface AdapterConfig extends TargetRules, LoraKind {
  /** `base_model_name_or_path`: a Hub id or a folder; null if unknown. */
  readonly baseModel: string | null;
  /** PEFT's `r`. */
  readonly rank: number;
  /** The update is scaled by alpha / rank, or alpha / √rank. */
  readonly alpha: number;
  /** Dropout probability on the update's input while training. */
  readonly dropout: number;
  /** How A and B began; default true, for A drawn and B zero. */
  readonly init?: boolean | string;
}

/** As a file says it: an older one leaves its targets out, and the tensors tell. */
export type ParsedAdapterConfig = Omit<AdapterConfig, keyof TargetRules> & SavedTargetRules;

/** Keys that must hold one of the given values, which mean "not used"; otherwise the cure is named. */
const UNSUPPORTED: readonly {
  readonly key: string;
  readonly accepted: readonly unknown[];
  readonly cure: string;
}[] = [
  { key: "lora_bias", accepted: [false], cure: "train with lora_bias false, or merge the adapter with PEFT" },
  { key: "fan_in_fan_out", accepted: [false], cure: "it belongs to Conv1D models, which are not supported" },
  { key: "ensure_weight_tying", accepted: [false], cure: "train without it, or merge the adapter with PEFT" },
  ...["trainable_token_indices", "target_parameters", "layer_replication"].map((key) => {
    return { key, accepted: ["[]", "{}"], cure: "merge the adapter with PEFT" };
  }),
  ...["use_qalora", "use_bdlora"].map((key) => {
    return { key, accepted: [false], cure: "merge the adapter with PEFT" };
  }),
  ...["alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config"].map((key) => {
    return { key, accepted: [], cure: "merge the adapter with PEFT if it allows that" };
  }),
  {
    key: "init_lora_weights",
    accepted: [true, false, "gaussian", "orthogonal", "eva", "mica"],
    cure: "this start changes the base weights; have PEFT convert the adapter to plain LoRA when saving",
  },
];

/** Keys that are the same in every file written here: a plain LoRA of linear maps. */
const FIXED_KEYS: { readonly [key: string]: PythonValue } = {
  alora_invocation_tokens: null,
  arrow_config: null,
  auto_mapping: null,
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  fan_in_fan_out: false,
  inference_mode: true,
  kasa_config: null,
  layer_replication: null,
  loftq_config: {},
  lora_bias: false,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: "megatron.core",
  monteclora_config: null,
  peft_type: "LORA",
  peft_version: PEFT_VERSION,
  qalora_group_size: 16,
  revision: null,
  target_parameters: null,
  task_type: "CAUSAL_LM",
  trainable_token_indices: null,
  use_bdlora: null,
  use_qalora: false,
  velora_config: null,
};

/**
 * Reads adapter_config.json. Missing keys take PEFT's defaults (r 8, lora_alpha 8, lora_dropout 0); unknown
 * keys are ignored, as PEFT does.
 *
 * @param uri Name of the file for messages.
 * @throws {ModelFormatError} If it is not JSON, or a value is of the wrong kind.
 * @throws {UnsupportedModelError} If it is no LoRA adapter, or uses a feature that is not implemented.
 */
export function parseAdapterConfig(text: string, uri: string): ParsedAdapterConfig {
  const fields = parseObject(text, uri);
  refuseUnsupported(fields, uri);
  const wrong = (key: string, wanted: string) =>
    new ModelFormatError(
      `Cannot read "${uri}": ${key} is ${JSON.stringify(fields[key])}, ${wanted} is wanted`,
    );
  const { r: rank = 8, lora_alpha: alpha = 8, lora_dropout: dropout = 0 } = fields;
  if (!Number.isSafeInteger(rank) || (rank as number) < 1) throw wrong("r", "a whole number of 1 or more");
  if (typeof alpha !== "number" || !Number.isFinite(alpha)) throw wrong("lora_alpha", "a number");
  if (typeof dropout !== "number" || !(dropout >= 0 && dropout < 1)) {
    throw wrong("lora_dropout", "0 up to below 1");
  }
  const flag = (key: string) => {
    const value = fields[key] ?? false;
    if (typeof value !== "boolean") throw wrong(key, "true or false");
    return value;
  };
  const { bias = "none" } = fields;
  if (!(BIASES as readonly unknown[]).includes(bias)) throw wrong("bias", `one of ${BIASES.join(", ")}`);
  const baseModel = fields["base_model_name_or_path"] ?? null;
  if (baseModel !== null && typeof baseModel !== "string") {
    throw wrong("base_model_name_or_path", "a string or null");
  }
  const init = fields["init_lora_weights"] as boolean | string | null | undefined ?? true; // others were refused
  return {
    baseModel,
    rank: rank as number,
    alpha,
    dropout,
    ...(init === true ? {} : { init }),
    ...parseTargetRules(fields, wrong),
    useRslora: flag("use_rslora"),
    useDora: flag("use_dora"),
    bias: bias as TrainedBias,
  };
}

/** The text of adapter_config.json, as PEFT writes it but for the order of lists. */
export function formatAdapterConfig(config: AdapterConfig): string {
  const { baseModel, rank, alpha, dropout, init = true } = config,
    { useRslora, useDora, bias } = loraKindOf(config);
  return pythonJson({
    ...FIXED_KEYS,
    base_model_name_or_path: baseModel,
    bias,
    init_lora_weights: init,
    lora_alpha: alpha,
    lora_dropout: new PythonFloat(dropout),
    r: rank,
    ...formatTargetRules(config),
    use_dora: useDora,
    use_rslora: useRslora,
  });
}

function refuseUnsupported(fields: Readonly<Record<string, unknown>>, uri: string): void {
  const fail = (problem: string) =>
    new UnsupportedModelError(`Cannot use the adapter of "${uri}": ${problem}`);
  const type = fields["peft_type"];
  if (type === undefined && fields["lora_parameters"] !== undefined) {
    throw fail("it is in MLX's format; convert it to PEFT's format");
  }
  if (type !== "LORA") throw fail(`peft_type is ${JSON.stringify(type)}, only "LORA" is supported`);
  for (const { key, accepted, cure } of UNSUPPORTED) {
    const value = fields[key] ?? null;
    if (value === null || accepted.includes(value) || accepted.includes(JSON.stringify(value))) continue;
    throw fail(`${key} is ${JSON.stringify(value)}, which is not supported: ${cure}`);
  }
}

function parseObject(text: string, uri: string): Record<string, unknown> {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw new ModelFormatError(`Cannot read "${uri}": it is not JSON: ${(error as Error).message}`);
  }
  if (typeof root === "object" && root !== null && !Array.isArray(root)) {
    return root as Record<string, unknown>;
  }
  throw new ModelFormatError(`Cannot read "${uri}": an object is wanted, it is ${text.trim().slice(0, 40)}`);
}
