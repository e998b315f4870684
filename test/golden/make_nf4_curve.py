"""Writes nf4_curve.json: PEFT's losses on a base whose linear maps went through NF4 with double quantisation.

    python test/golden/make_nf4_curve.py BASE_DIR CURVE_DIR test/golden/nf4_curve.json

BASE_DIR is the f32 folder of the model that CURVE_DIR was recorded with; first adapter, batches and recipe are the
curve's: f32, eager attention, AdamW at 2e-4, weight decay 0.01, no clipping. bitsandbytes quantises and dequantises, so
that the reference shares no code with what it judges.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from peft import PeftModel
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

STEPS = 20
PACKAGES = ["bitsandbytes", "peft", "torch", "transformers"]


def round_to_nf4(model):
    """Replaces every linear map by the values of its NF4 codes; embedding, norms and head stay."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the mean of the scales depends on the order of the sum
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            codes, state = quantize_4bit(
                module.weight.data, quant_type="nf4", blocksize=64, compress_statistics=True
            )
            module.weight.data = dequantize_4bit(codes, state)
    torch.set_num_threads(threads)


def losses(model, batches):
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], lr=2e-4, weight_decay=0.01
    )
    for step in range(STEPS):
        ids, mask, labels = (batches[name][step].long() for name in ["input_ids", "attention_mask", "labels"])
        logits = model(input_ids=ids, attention_mask=mask).logits
        loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step + 1, loss.item(), file=sys.stderr, flush=True)
        yield loss.item()


def main(base, curve, out):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    round_to_nf4(model)
    model = PeftModel.from_pretrained(model, Path(curve) / "init-adapter", is_trainable=True)
    facts = {
        "made_with": {package: version(package) for package in PACKAGES},
        "quantization": "nf4, blocks of 64, double quantisation",
        "loss": list(losses(model, load_file(Path(curve) / "batches.safetensors"))),
    }
    Path(out).write_text(json.dumps(facts, indent=2) + "\n")


main(*sys.argv[1:])
