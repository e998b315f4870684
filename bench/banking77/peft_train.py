"""PEFT's side of the banking77 experiment: the same rows, order, rates and first adapter as Lowrank.

    python peft_train.py init MODEL_DIR BATCHES_JSON ADAPTER_DIR        writes the adapter that both begin with
    python peft_train.py train MODEL_DIR BATCHES_JSON ADAPTER_DIR OUT   trains it, answers the held-out rows, writes OUT.json
    python peft_train.py eval MODEL_DIR BATCHES_JSON ADAPTER_DIR OUT    answers them with an adapter as it is

BATCHES_JSON is what prepare.ts wrote. f32. A step is one batch: every row by itself, padded at its right, the mean over
all of the batch's trained tokens. Answers are greedy, 16 rows at a time, and count where they equal the label, white
space around them left out.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PACKAGES = ["peft", "torch", "transformers"]


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")


def padded(rows, left=False):
    """Ids, mask and labels of rows that differ in length; what fills them up is masked."""
    longest = max(len(ids) for ids, _ in rows)

    def fill(values, with_):
        missing = [with_] * (longest - len(values))
        return missing + values if left else values + missing

    ids = torch.tensor([fill(ids, 0) for ids, _ in rows])
    mask = torch.tensor([fill([1] * len(ids), 0) for ids, _ in rows])
    labels = torch.tensor([fill(labels, -100) for _, labels in rows])
    return ids, mask, labels


def summed_loss(model, rows):
    ids, mask, labels = padded([(row["ids"], row["labels"]) for row in rows])
    hidden = model.get_base_model().model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
    trained = labels[:, 1:] != -100
    logits = model.get_base_model().lm_head(hidden[trained])
    targets = labels[:, 1:][trained]
    return cross_entropy(logits, targets, reduction="sum"), len(targets)


def train(model, facts):
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=0.0)
    losses = []
    model.train()
    for step in facts["steps"]:
        for group in optimizer.param_groups:
            group["lr"] = step["learning_rate"]
        loss, count = summed_loss(model, step["rows"])
        (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(trained, facts["max_grad_norm"])
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item() / count)
        print(len(losses), losses[-1], file=sys.stderr, flush=True)
    return losses


@torch.no_grad()
def evaluate(model, tokenizer, facts):
    model.eval()
    loss, tokens, answers = 0.0, 0, []
    for first in range(0, len(facts["eval"]), 16):
        rows = facts["eval"][first : first + 16]
        some, count = summed_loss(model, rows)
        loss, tokens = loss + some.item(), tokens + count
        ids, mask, _ = padded([(row["prompt"], []) for row in rows], left=True)
        out = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=facts["max_new_tokens"], do_sample=False
        )
        answers += tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
    right = sum(a.strip() == row["expected"].strip() for a, row in zip(answers, facts["eval"]))
    return {"loss": loss / tokens, "tokens": tokens, "exact_match": right / len(answers), "answers": answers}


def main(verb, folder, batches, adapter, out=None):
    torch.set_num_threads(2)
    facts = json.loads(Path(batches).read_text())
    base = load(folder)
    if verb == "init":
        torch.manual_seed(77)
        lora = LoraConfig(
            r=facts["lora"]["r"], lora_alpha=facts["lora"]["alpha"], target_modules=LINEARS, task_type="CAUSAL_LM"
        )
        get_peft_model(base, lora).save_pretrained(adapter)
        return
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = PeftModel.from_pretrained(base, adapter, is_trainable=verb == "train")
    result = {"made_with": {package: version(package) for package in PACKAGES}}
    if verb == "train":
        begun = time.perf_counter()
        result["losses"] = train(model, facts)
        result["train_seconds"] = time.perf_counter() - begun
        model.save_pretrained(f"{out}-adapter")
    result["eval"] = evaluate(model, tokenizer, facts)
    Path(f"{out}.json").write_text(json.dumps(result, indent=1) + "\n")
    print({key: value for key, value in result["eval"].items() if key != "answers"})


main(*sys.argv[1:])
