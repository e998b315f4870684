"""Loss, logits and LoRA gradients of tiny models whose config.json has what the shared goldens lack, as transformers and
PEFT compute them: every way of stretching rotary angles, biases, windows, Gemma 3 with eyes.

    python test/golden/make_families.py

writes test/golden/families.json and families.safetensors, and the folder gemma3/, a whole model with eyes. Weights, factors
and tokens are formulas that `families_fixture.ts` has too, so only results are kept.
"""

import copy
import json
import math
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM, Gemma3ForConditionalGeneration

HERE = Path(__file__).parent
RANK, ALPHA = 2, 4
LONG = [24, 17]
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
SIZES = dict(
    hidden_size=24,
    intermediate_size=36,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    vocab_size=67,
    max_position_embeddings=64,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)
PHI3 = dict(hidden_size=32)


def longrope(pairs):
    return {"rope_type": "longrope", "short_factor": [1.0, 1.25, 1.5, 2.0][:pairs],
            "long_factor": [2.0, 3.5, 5.25, 4.0][:pairs]}


# name: model_type, fields of config.json that differ from SIZES, lengths of the rows of each batch
CASES = {
    "llama biases": ("llama", dict(attention_bias=True, mlp_bias=True), [LONG]),
    "llama linear": ("llama", dict(rope_scaling={"rope_type": "linear", "factor": 2.5}), [LONG]),
    "llama llama3": ("llama", dict(rope_theta=5000.0, rope_scaling={
        "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16}), [LONG]),
    "llama yarn by mscale": ("llama", dict(rope_theta=500.0, rope_scaling={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "mscale": 2.0,
        "mscale_all_dim": 0.5, "beta_fast": 3.0, "beta_slow": 0.25, "truncate": False}), [LONG]),
    "mistral window": ("mistral", dict(sliding_window=5, head_dim=12), [LONG]),
    "qwen2 yarn": ("qwen2", dict(rope_theta=100.0, rope_scaling={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}), [LONG]),
    "qwen2 window": ("qwen2", dict(use_sliding_window=True, sliding_window=6, max_window_layers=1), [LONG]),
    "qwen3 biases": ("qwen3", dict(attention_bias=True, tie_word_embeddings=True, head_dim=12), [LONG]),
    "gemma2 window and biases": ("gemma2", dict(
        sliding_window=7, query_pre_attn_scalar=6, attention_bias=True, attn_logit_softcapping=3.0,
        final_logit_softcapping=5.0, rope_theta=50.0), [LONG]),
    "gemma3_text linear": ("gemma3_text", dict(
        num_hidden_layers=3, sliding_window=7, sliding_window_pattern=3, query_pre_attn_scalar=6, rope_theta=500.0,
        rope_local_base_freq=50.0, rope_scaling={"rope_type": "linear", "factor": 4.0}), [LONG]),
    "phi3 window": ("phi3", dict(PHI3, sliding_window=5), [LONG]),
    "phi3 partial": ("phi3", dict(PHI3, partial_rotary_factor=0.75), [LONG]),
    # rows within the first context, a row that fills it, rows beyond
    "phi3 longrope": ("phi3", dict(
        PHI3, original_max_position_embeddings=16, rope_scaling=longrope(4)), [[12, 9], [16, 3], LONG]),
    "phi3 longrope, partial, by factor": ("phi3", dict(
        PHI3, original_max_position_embeddings=16, partial_rotary_factor=0.75,
        rope_scaling={**longrope(3), "factor": 3.0}), [[12, 9], LONG]),
}

EYES = {
    "text_config": dict(
        SIZES, num_hidden_layers=3, sliding_window=7, sliding_window_pattern=3, query_pre_attn_scalar=6,
        rope_theta=500.0, rope_local_base_freq=50.0),
    "vision_config": dict(
        hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4,
        num_channels=3),
    "mm_tokens_per_image": 4,
    "image_token_index": 66,
    "boi_token_index": 64,
    "eoi_token_index": 65,
}


def uniform(name, count):
    """Numbers in [-1, 1) from a name: FNV-1a of it, then a mix of each index."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    x = np.arange(1, count + 1, dtype=np.uint64) * 0x9E3779B1 + seed & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = (x ^ x >> shift) * factor & 0xFFFFFFFF
    return x.astype(np.float64) / 2**31 - 1


def values(name, shape, norm_centre):
    drawn = uniform(name, math.prod(shape)).reshape(shape)
    if name.endswith("norm.weight"):
        return np.float32(norm_centre + 0.2 * drawn)
    if len(shape) == 1:
        return np.float32(0.5 * drawn)
    return np.float32((1.2 if "embed_tokens" in name else 1.5 / math.sqrt(shape[1])) * drawn)


def fill(model, norm_centre, rename=lambda name: name):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(values(rename(name), tuple(parameter.shape), norm_centre)))


def batch(lengths, vocab):
    """Padded ids, mask and labels; every next token is trained."""
    rows, longest = len(lengths), max(lengths)
    ids = np.zeros((rows, longest), dtype=np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = [3 + (37 * (row * longest + t) + 11) % (vocab - 7) for t in range(length)]
    mask = np.array([[int(t < length) for t in range(longest)] for length in lengths])
    return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(np.where(mask, ids, -100))


def measure(model, targets, batches, vocab, rename=lambda name: name):
    """Of each batch: loss, logits after the last token of each row, and gradients in the order of their keys."""
    peft = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets, lora_dropout=0.0))
    factors = {}
    for name, parameter in peft.named_parameters():
        if ".lora_" not in name:
            continue
        key = rename(name.replace(".default", ""))
        factors[key] = parameter
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.float32(0.3 * uniform(key, parameter.numel())).reshape(parameter.shape)))
    peft.eval()
    results = []
    for lengths in batches:
        ids, mask, labels = batch(lengths, vocab)
        peft.zero_grad()
        out = peft(input_ids=ids, attention_mask=mask, labels=labels)
        out.loss.backward()
        last = np.stack([out.logits[row, length - 1].detach().numpy() for row, length in enumerate(lengths)])
        grads = np.concatenate([factors[key].grad.numpy().ravel() for key in sorted(factors)])
        assert np.isfinite(grads).all() and all(factors[key].grad.abs().max() > 1e-5 for key in factors)
        results.append((out.loss.item(), last, grads))
    return results, sorted(factors)


def plain_case(model_type, fields, batches):
    # not Config(...), since this is how a config.json is read
    config = AutoConfig.for_model(model_type, **copy.deepcopy({**SIZES, **fields}))
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fill(model, 0 if model_type.startswith("gemma") else 1)
    results, _ = measure(model, FUSED if model_type == "phi3" else LINEARS, batches, config.vocab_size)
    return config, results


def published(name):
    """Names of published files for those of the modules."""
    for module, file in (
        ("model.language_model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
    ):
        name = name.replace(module, file)
    return name


def eyes_case(folder):
    config = AutoConfig.for_model("gemma3", **copy.deepcopy(EYES))
    config._attn_implementation = "eager"
    config.text_config._attn_implementation = "eager"
    model = Gemma3ForConditionalGeneration(config).to(torch.float32)
    fill(model, 0, published)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    targets = rf".*language_model\..*\.({'|'.join(LINEARS)})"
    results, keys = measure(model, targets, [LONG], config.text_config.vocab_size, published)
    return results, keys


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    facts = {"made_with": {m.__name__: m.__version__ for m in (torch, transformers, np)}, "cases": {}}
    tensors = {}

    def keep(name, batches, results, more):
        facts["cases"][name] = {**more, "batches": batches, "losses": [loss for loss, _, _ in results]}
        for i, (_, last, grads) in enumerate(results):
            tensors[f"{name}.{i}.logits"] = last
            tensors[f"{name}.{i}.grads"] = grads
        print(f"{name}: losses {[round(loss, 6) for loss, _, _ in results]}")

    for name, (model_type, fields, batches) in CASES.items():
        config, results = plain_case(model_type, fields, batches)
        written = config.to_dict()
        legacy = {"model_type": model_type, **SIZES, **fields}
        keep(name, batches, results, {"config": written, "legacy": legacy})
    results, _ = eyes_case(HERE / "gemma3")
    keep("gemma3 with eyes", [LONG], results, {"folder": "gemma3"})
    (HERE / "families.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    save_file(tensors, HERE / "families.safetensors")


if __name__ == "__main__":
    main()
