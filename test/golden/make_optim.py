"""Learning rates of all schedules and parameters under AdamW and SGD, 200 steps each, as transformers and torch give them.

    python test/golden/make_optim.py

writes test/golden/optim.json: every fifth rate, and the parameters after every fortieth step. Inputs are formulas that the
test has too.
"""

import json
import math
from pathlib import Path

import torch
import transformers
from transformers.optimization import get_scheduler

STEPS, WARMUP, BASE, EVERY = 200, 20, 1e-2, 5


def metric(i):
    """A loss that falls, rests, and falls again, with ripples."""
    return 2 + math.exp(-i / 15) - 0.3 * (i > 120) * (1 - math.exp(-(i - 120) / 10)) + 0.01 * math.sin(7 * i)


SCHEDULES = [
    ("linear", {}),
    ("cosine", {}),
    ("cosine", {"num_cycles": 1.5}),
    ("cosine_with_restarts", {}),
    ("cosine_with_restarts", {"num_cycles": 3}),
    ("polynomial", {}),
    ("polynomial", {"power": 2.5, "lr_end": 1e-3}),
    ("constant", {}),
    ("constant_with_warmup", {}),
    ("inverse_sqrt", {}),
    ("inverse_sqrt", {"timescale": 50}),
    ("reduce_lr_on_plateau", {}),
    ("reduce_lr_on_plateau", {"factor": 0.5, "patience": 2, "cooldown": 3, "min_lr": 1e-3}),
    ("reduce_lr_on_plateau", {"mode": "max", "patience": 4, "threshold": 0.01, "threshold_mode": "abs"}),
    ("cosine_with_min_lr", {"min_lr": 1e-3}),
    ("cosine_with_min_lr", {"min_lr_rate": 0.2, "num_cycles": 1.5}),
    ("cosine_warmup_with_min_lr", {"min_lr": 1e-3}),
    ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.1, "warmup_lr_rate": 0.25}),
    ("warmup_stable_decay", {"num_decay_steps": 50}),
    ("warmup_stable_decay", {"num_decay_steps": 60, "num_stable_steps": 40, "decay_type": "1-sqrt",
                             "warmup_type": "1-sqrt", "min_lr_ratio": 0.1}),
    ("warmup_stable_decay", {"num_decay_steps": 60, "decay_type": "linear", "warmup_type": "cosine"}),
    ("greedy", {}),
    ("greedy", {"factor": 0.8, "patience": 2, "cooldown": 1, "warmup": 2, "min_lr": 1e-3, "reset_start": 3}),
    ("greedy", {"patience": 1, "smooth": True, "window_size": 5, "max_lr": 0.02, "threshold_mode": "rel"}),
]

OPTIMIZERS = [
    ("adamw_torch", {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.05}),
    ("adamw_torch", {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.0}),
    ("sgd", {}),
    ("sgd", {"weight_decay": 0.05}),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.05}),
    ("sgd", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
]


def rates(name, kwargs):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=BASE)
    schedule = get_scheduler(name, optimizer, WARMUP, STEPS, dict(kwargs))
    found = []
    for step in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if name in ("reduce_lr_on_plateau", "greedy"):
            schedule.step(metric(step))
        else:
            schedule.step()
    return found[::EVERY]


def parameters(name, kwargs):
    p = torch.nn.Parameter(torch.tensor([0.5, -1.25, 2.0, 0.0], dtype=torch.float64))
    kind = torch.optim.AdamW if name == "adamw_torch" else torch.optim.SGD
    optimizer = kind([p], lr=BASE, **kwargs)
    found = []
    for step in range(STEPS):
        p.grad = torch.tensor([math.sin(0.3 * step + i) + 0.1 * i for i in range(4)], dtype=torch.float64)
        optimizer.step()
        found.append(p.detach().tolist())
    return found[4::40]


def main():
    content = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "every": EVERY,
        "schedules": [{"type": n, "kwargs": k, "rates": rates(n, k)} for n, k in SCHEDULES],
        "optimizers": [{"optim": n, "options": k, "parameters": parameters(n, k)} for n, k in OPTIMIZERS],
    }
    lines = ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in content.items())
    Path(__file__).with_name("optim.json").write_text("{" + lines.replace("}, {", "},\n{") + "}\n")


main()
