"""Trains a LoRA adapter with PEFT and tells how it goes, a JSON object a line on standard output.

    python peft_trainer.py FOLDER

FOLDER holds request.json (what peft_trainer.ts writes), train.jsonl and eval.jsonl: token ids and labels of every row.
The adapter is saved to FOLDER/adapter. Rows, their order and the learning rates are given, so that a run differs from
one of another trainer by its arithmetic and the drawn A alone.
"""

import json
import os
import signal
import sys
import time

# events go to the real standard output; what libraries print goes to standard error
events = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def tell(**event):
    print(json.dumps(event), file=events, flush=True)


signal.signal(signal.SIGTERM, lambda *_: os._exit(143))

try:
    import torch
    import torch.nn.functional as F
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
except ImportError as error:
    tell(type="missing", module=error.name or str(error))
    sys.exit(3)


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def collate(rows, pad_id, device):
    """Rows as ids, mask and labels [R, T], padded at their ends."""
    longest = max(len(row["input_ids"]) for row in rows)
    pad = lambda values, filler: values + [filler] * (longest - len(values))
    ids = torch.tensor([pad(row["input_ids"], pad_id) for row in rows], device=device)
    mask = torch.tensor([pad([1] * len(row["input_ids"]), 0) for row in rows], device=device)
    labels = torch.tensor([pad(row["labels"], -100) for row in rows], device=device)
    return ids, mask, labels


def summed_loss(model, batch):
    """Sum of the cross-entropy over all labelled tokens, how many there are, and how many were foretold."""
    ids, mask, labels = batch
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    wanted = labels[:, 1:]
    loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100, reduction="sum")
    return loss, int((wanted != -100).sum()), int((logits.argmax(-1) == wanted).sum())


def trained(batch):
    return int((batch[2][:, 1:] != -100).sum())


def main(folder):
    with open(f"{folder}/request.json", encoding="utf-8") as file:
        request = json.load(file)
    rows, held = read_rows(f"{folder}/train.jsonl"), read_rows(f"{folder}/eval.jsonl")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(request["seed"])
    base = AutoModelForCausalLM.from_pretrained(request["base_model"], dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **request["lora"])).to(device)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    name = torch.cuda.get_device_name() if device == "cuda" else "PyTorch on the CPU"
    tell(type="ready", device=name, on_cpu=device == "cpu", torch=torch.__version__,
         trainable_parameters=sum(parameter.numel() for parameter in parameters))
    if request["dry_run"]:
        return
    optimizer = torch.optim.AdamW(parameters, **request["adamw"])
    batches_of = lambda indices, source: collate([source[i] for i in indices], request["pad_id"], device)

    def evaluate(step):
        if not held:
            return
        start, size = time.monotonic(), request["eval_batch_size"]
        model.eval()
        loss = tokens = right = 0
        with torch.no_grad():
            for first in range(0, len(held), size):
                found = summed_loss(model, batches_of(range(first, min(first + size, len(held))), held))
                loss, tokens, right = loss + float(found[0]), tokens + found[1], right + found[2]
        model.train()
        tell(type="evaluated", step=step, loss=loss / tokens, tokens=tokens, accuracy=right / tokens,
             seconds=time.monotonic() - start)

    evaluate(0)
    model.train()
    for step, plan in enumerate(request["steps"], start=1):
        start = time.monotonic()
        batches = [batches_of(indices, rows) for indices in plan["micro_batches"]]
        count = sum(map(trained, batches))
        optimizer.zero_grad()
        loss = right = 0
        for batch in batches:
            summed, _, foretold = summed_loss(model, batch)
            (summed / count).backward()  # each trained token of the step weighs the same
            loss, right = loss + float(summed.detach()), right + foretold
        limit = request["max_grad_norm"] or float("inf")
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, limit))
        for group in optimizer.param_groups:
            group["lr"] = plan["learning_rate"]
        optimizer.step()
        tell(type="step", step=step, loss=loss / count, grad_norm=norm, learning_rate=plan["learning_rate"],
             trained_tokens=count, tokens=sum(int(mask.sum()) for _, mask, _ in batches),
             accuracy=right / count, seconds=time.monotonic() - start)
        if plan["evaluate"]:
            evaluate(step)
    model.save_pretrained(f"{folder}/adapter")
    tell(type="saved")


main(sys.argv[1])
