"""Loss, logits and LoRA gradients of packed rows as PyTorch computes them: attention masked block by block, positions that
start anew with each document.

    python test/golden/make_packing.py

writes test/golden/packing.json and packing.safetensors. Models, factors and tokens are those of make_families.py.
"""

import copy
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from make_families import ALPHA, LINEARS, RANK, SIZES, batch, fill, uniform
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save_file
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).parent
DOCUMENTS = [[5, 11, 8], [13, 4]]

# name: model_type, fields of config.json that differ from SIZES, window of all layers or of every other one
CASES = {
    "llama": ("llama", {}),
    "mistral window": ("mistral", dict(sliding_window=5, head_dim=12)),
    "gemma2 window": ("gemma2", dict(
        sliding_window=7, query_pre_attn_scalar=6, attn_logit_softcapping=3.0, final_logit_softcapping=5.0)),
}


def mask(length, window=None):
    """0 where a query sees a key, and the smallest number elsewhere: within its document, not after it, in the window."""
    seen = np.zeros((len(DOCUMENTS), 1, length, length), dtype=bool)
    for row, documents in enumerate(DOCUMENTS):
        first = 0
        for tokens in documents:
            for query in range(first, first + tokens):
                least = first if window is None else max(first, query - window + 1)
                seen[row, 0, query, least:query + 1] = True
            first += tokens
        for query in range(first, length):
            seen[row, 0, query, query] = True  # padding sees itself, so that its row is finite
    return torch.where(torch.from_numpy(seen), 0.0, torch.finfo(torch.float32).min)


def measure(model_type, fields):
    config = AutoConfig.for_model(model_type, **copy.deepcopy({**SIZES, **fields}))
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fill(model, 0 if model_type.startswith("gemma") else 1)
    peft = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=LINEARS, lora_dropout=0.0))
    factors = {}
    for name, parameter in peft.named_parameters():
        if ".lora_" not in name:
            continue
        key = name.replace(".default", "")
        factors[key] = parameter
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.float32(0.3 * uniform(key, parameter.numel())).reshape(parameter.shape)))
    peft.eval()

    lengths = [sum(documents) for documents in DOCUMENTS]
    ids, _, labels = batch(lengths, config.vocab_size)
    length = ids.shape[1]
    positions = torch.zeros_like(ids)
    ends = []
    for row, documents in enumerate(DOCUMENTS):
        first = 0
        for tokens in documents:
            positions[row, first:first + tokens] = torch.arange(tokens)
            labels[row, first] = -100  # no document foretells the next one's first token
            first += tokens
            ends.append((row, first - 1))
    window = fields.get("sliding_window")
    if model_type == "gemma2":
        seen = {"full_attention": mask(length), "sliding_attention": mask(length, window)}
    else:
        seen = mask(length, window)
    hidden = peft.get_base_model().model(input_ids=ids, attention_mask=seen, position_ids=positions).last_hidden_state
    logits = peft.get_base_model().lm_head(hidden)
    if config.to_dict().get("final_logit_softcapping"):
        cap = config.final_logit_softcapping
        logits = cap * torch.tanh(logits / cap)
    trained = labels[:, 1:] != -100
    loss = cross_entropy(logits[:, :-1][trained], labels[:, 1:][trained])
    loss.backward()
    last = np.stack([logits[row, at].detach().numpy() for row, at in ends])
    grads = np.concatenate([factors[key].grad.numpy().ravel() for key in sorted(factors)])
    assert np.isfinite(grads).all() and all(factors[key].grad.abs().max() > 1e-5 for key in factors)
    return config.to_dict(), loss.item(), last, grads


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    facts = {"made_with": {m.__name__: m.__version__ for m in (torch, transformers, np)}, "documents": DOCUMENTS, "cases": {}}
    tensors = {}
    for name, (model_type, fields) in CASES.items():
        config, loss, last, grads = measure(model_type, fields)
        facts["cases"][name] = {"config": config, "loss": loss}
        tensors[f"{name}.logits"], tensors[f"{name}.grads"] = last, grads
        print(f"{name}: loss {loss:.6f}")
    (HERE / "packing.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    save_file(tensors, HERE / "packing.safetensors")


if __name__ == "__main__":
    main()
