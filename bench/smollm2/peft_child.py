"""PEFT's side of the step contest: trains on command, so that its rounds lie between ours.

    python peft_child.py MODEL_DIR THREADS

Reads one JSON object a line from stdin and answers each with one on stdout:

    {"rank": 8, "length": 256}   wraps the model anew                     -> {"parameters": trained values}
    {"steps": 2}                 trains                                   -> {"wall_ms", "cpu_ms", "loss"} (of the first step)

Same model, ids, linear maps, clipping and AdamW as bench/loaded_model.ts; f32.
"""
import json
import os
import resource
import sys
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def cpu_ms():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (used.ru_utime + used.ru_stime)


class Trainer:
    def __init__(self, folder, rank, length):
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=LINEARS, task_type="CAUSAL_LM")
        self.model = get_peft_model(base, lora)
        self.model.train()
        self.model.config.use_cache = False
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-4, weight_decay=0.0)
        vocab = self.model.config.vocab_size
        self.ids = torch.tensor([[(37 * i + 11) % vocab for i in range(length)]])

    def step(self):
        loss = self.model(input_ids=self.ids, labels=self.ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


def main():
    folder, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    trainer = None
    for line in sys.stdin:
        command = json.loads(line)
        if "rank" in command:
            trainer = None  # one model in memory at a time
            trainer = Trainer(folder, command["rank"], command["length"])
            answer = {"parameters": sum(p.numel() for p in trainer.trained)}
        else:
            cpu, started = cpu_ms(), time.perf_counter()
            losses = [trainer.step() for _ in range(command["steps"])]
            wall = 1000 * (time.perf_counter() - started)
            answer = {"wall_ms": wall, "cpu_ms": cpu_ms() - cpu, "loss": losses[0]}
        print(json.dumps(answer), flush=True)


main()
