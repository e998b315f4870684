"""A and B under PEFT's LoRA+ optimizers, 60 steps each.

    python test/golden/make_loraplus.py

writes test/golden/loraplus.json: both factors after every twentieth step. Starts and gradients are formulas that the test has
too.
"""

import json
import math
from pathlib import Path

import peft
import torch
from peft.optimizers import create_loraplus_optimizer
from torch import nn

STEPS, EVERY, BASE, RANK, IN, OUT = 60, 20, 1e-3, 2, 33, 5
OPTIMIZERS = [
    ("adamw_torch", torch.optim.AdamW, 16, 0.05, {"betas": (0.9, 0.999), "eps": 1e-8}),
    ("adamw_torch", torch.optim.AdamW, 2.5, 0.0, {"betas": (0.8, 0.95), "eps": 1e-6}),
    ("sgd", torch.optim.SGD, 16, 0.05, {"momentum": 0.9}),
    ("sgd", torch.optim.SGD, 4, 0.05, {}),
]


def wave(shape, phase, scale):
    count = math.prod(shape)
    return torch.tensor([scale * math.sin(0.3 * phase + 0.7 * i) for i in range(count)], dtype=torch.float64).reshape(shape)


def run(kind, ratio, decay, options):
    model = nn.Sequential(nn.Linear(IN, OUT, bias=False)).double()
    model = peft.get_peft_model(model, peft.LoraConfig(r=RANK, target_modules=["0"])).double()
    layer = model.base_model.model[0]
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    a.data, b.data = wave(a.shape, 0, 1), wave(b.shape, 1, 1)
    optimizer = create_loraplus_optimizer(model, kind, lr=BASE, loraplus_lr_ratio=ratio, loraplus_weight_decay=decay, **options)
    kept = []
    for step in range(STEPS):
        a.grad, b.grad = wave(a.shape, step + 2, 1), wave(b.shape, 3 * step, 2)
        optimizer.step()
        if (step + 1) % EVERY == 0:
            kept.append({"a": a.flatten().tolist(), "b": b.flatten().tolist()})
    return kept


def main():
    cases = [{"optim": name, "ratio": ratio, "weight_decay": decay, "options": options,
              "factors": run(kind, ratio, decay, options)} for name, kind, ratio, decay, options in OPTIMIZERS]
    golden = {"peft": peft.__version__, "torch": torch.__version__, "rank": RANK, "in": IN, "out": OUT, "cases": cases}
    target = Path(__file__).parent / "loraplus.json"
    target.write_text(json.dumps(golden) + "\n")
    print(f"{target}: {target.stat().st_size} bytes")


main()
