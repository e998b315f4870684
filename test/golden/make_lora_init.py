"""Starts of LoRA that take a part of the base weight, as PEFT computes them.

    python test/golden/make_lora_init.py

writes test/golden/lora_init.json: a weight, and A and B of each start on it and on its transpose.
"""

import json
from pathlib import Path

import peft
import torch
from torch import nn

ROWS, COLS, ALPHA_PER_RANK = 23, 41, 2
STARTS = [("pissa", 1), ("pissa", 4), ("pissa", 23), ("pissa_niter_8", 4), ("olora", 1), ("olora", 5), ("olora", 23)]


def factors(weight, init, rank):
    model = nn.Sequential(nn.Linear(weight.shape[1], weight.shape[0], bias=False))
    model[0].weight.data = weight.clone()
    config = peft.LoraConfig(r=rank, lora_alpha=ALPHA_PER_RANK * rank, target_modules=["0"], init_lora_weights=init)
    layer = peft.get_peft_model(model, config).base_model.model[0]
    return [layer.lora_A["default"].weight, layer.lora_B["default"].weight]


def main():
    torch.manual_seed(0)
    # singular values that fall by two fifths each, so that the first ones stand apart
    u, _ = torch.linalg.qr(torch.randn(ROWS, ROWS, dtype=torch.float64))
    v, _ = torch.linalg.qr(torch.randn(COLS, ROWS, dtype=torch.float64))
    weight = (u * 0.6 ** torch.arange(ROWS, dtype=torch.float64) @ v.T).float()
    cases = []
    for init, rank in STARTS:
        for wide in (True, False):
            w = weight if wide else weight.T.contiguous()
            a, b = factors(w, init, rank)
            numbers = [[float(f"{x:.9g}") for x in t.detach().flatten().tolist()] for t in (a, b)]
            cases.append({"init": init, "wide": wide, "rank": rank, "loraA": numbers[0], "loraB": numbers[1]})
    golden = {"peft": peft.__version__, "rows": ROWS, "cols": COLS, "scaling": ALPHA_PER_RANK,
              "weight": [float(f"{x:.9g}") for x in weight.flatten().tolist()], "cases": cases}
    target = Path(__file__).parent / "lora_init.json"
    target.write_text(json.dumps(golden) + "\n")
    print(f"{target}: {len(cases)} cases, {target.stat().st_size} bytes")


main()
