"""Adapters of every kind as PEFT makes, saves and trains them on a tiny Qwen 2: rank-stabilised, DoRA (on plain weights and
on NF4), trained biases.

    python test/golden/make_adapter_kinds.py

writes test/golden/adapter_kinds.json and adapter_kinds.safetensors: of each kind the adapter's two files, and what PEFT's
model gives with it: logits, loss, gradients, and losses and parameters along some steps of AdamW. Weights, factors and
tokens are the formulas of make_families.py.
"""

import copy
import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from peft import LoraConfig, get_peft_model
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from make_families import LINEARS, LONG, SIZES, batch, fill, uniform

HERE = Path(__file__).parent
STEPS, LEARNING_RATE, WEIGHT_DECAY = 3, 1e-2, 0.01
PACKAGES = ["bitsandbytes", "peft", "torch", "transformers"]

# name: fields of LoraConfig, whether linear maps go through NF4
KINDS = {
    "rslora": (dict(r=4, use_rslora=True), False),
    "dora": (dict(r=2, use_dora=True), False),
    "dora rslora": (dict(r=4, use_dora=True, use_rslora=True, target_modules=["v_proj", "o_proj", "up_proj"]), False),
    "dora nf4": (dict(r=2, use_dora=True), True),
    "bias all": (dict(r=2, bias="all", target_modules=["q_proj", "down_proj"]), False),
    "bias lora_only": (dict(r=2, bias="lora_only", target_modules=["q_proj", "v_proj", "up_proj"]), False),
    "dora bias": (dict(r=2, use_dora=True, bias="lora_only"), False),
}


def base_model():
    config = AutoConfig.for_model("qwen2", **copy.deepcopy(SIZES))
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fill(model, 1)
    return config, model


def round_to_nf4(model):
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            # as one row: on a CPU, bitsandbytes 0.50.2 scales every block of rows shorter than a block by the first
            row = module.weight.data.reshape(1, -1)
            codes, state = quantize_4bit(row, quant_type="nf4", blocksize=64, compress_statistics=True)
            module.weight.data = dequantize_4bit(codes, state).reshape(module.weight.shape)


def key_of(name):
    """The key in the adapter's file of a parameter."""
    return name.replace(".default.weight", "" if "magnitude" in name else ".weight")


def measure(fields, nf4):
    torch.manual_seed(0)
    config, model = base_model()
    if nf4:
        round_to_nf4(model)
    lora = LoraConfig(**{"lora_alpha": 4, "target_modules": LINEARS, "task_type": "CAUSAL_LM", **fields})
    peft = get_peft_model(model, lora)
    trained = {key_of(name): weight for name, weight in peft.named_parameters() if weight.requires_grad}
    tensors = {}
    with torch.no_grad():
        for key, weight in trained.items():
            drawn = torch.from_numpy(np.float32(uniform(key, weight.numel()))).reshape(weight.shape)
            if "magnitude" in key:
                tensors[f"start/{key}"] = weight.numpy().copy()
                weight.mul_(1 + 0.1 * drawn)
            elif key.endswith(".bias"):
                weight.add_(0.2 * drawn)
            else:
                weight.copy_(0.3 * drawn)
    with tempfile.TemporaryDirectory() as folder:
        peft.save_pretrained(folder)
        adapter_config = (Path(folder) / "adapter_config.json").read_text()
        saved = load_file(Path(folder) / "adapter_model.safetensors")
    assert set(saved) == set(trained), set(saved) ^ set(trained)
    tensors |= {f"adapter/{key}": values for key, values in saved.items()}
    ids, mask, labels = batch(LONG, config.vocab_size)
    peft.train()
    optimizer = torch.optim.AdamW(trained.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    losses = []
    for step in range(STEPS + 1):
        out = peft(input_ids=ids, attention_mask=mask, labels=labels)
        losses.append(out.loss.item())
        if step == 0:
            tensors["logits"] = (out.logits * mask[..., None]).detach().numpy()
        if step == STEPS:
            break
        optimizer.zero_grad()
        out.loss.backward()
        if step == 0:
            tensors |= {f"grad/{key}": weight.grad.numpy().copy() for key, weight in trained.items()}
            assert all(np.abs(tensors[f"grad/{key}"]).max() > 1e-6 or "k_proj" in key for key in trained)
        optimizer.step()
    tensors |= {f"after/{key}": weight.detach().numpy().copy() for key, weight in trained.items()}
    return config, {"adapter_config": adapter_config, "losses": losses, "nf4": nf4}, tensors


def main():
    torch.set_num_threads(1)
    facts = {
        "made_with": {package: version(package) for package in PACKAGES},
        "lengths": LONG,
        "optimizer": {"lr": LEARNING_RATE, "weight_decay": WEIGHT_DECAY, "steps": STEPS},
        "kinds": {},
    }
    tensors = {}
    for name, (fields, nf4) in KINDS.items():
        config, facts["kinds"][name], found = measure(fields, nf4)
        tensors |= {f"{name}/{key}": np.ascontiguousarray(values) for key, values in found.items()}
        print(name, facts["kinds"][name]["losses"])
    facts["config"] = config.to_dict()
    (HERE / "adapter_kinds.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    save_file(tensors, HERE / "adapter_kinds.safetensors")


if __name__ == "__main__":
    main()
