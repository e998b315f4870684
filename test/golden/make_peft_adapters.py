"""Adapters as PEFT saves them, with what they compute: settings of targets, patterns and modules trained whole.

    python test/golden/make_peft_adapters.py

writes test/golden/peft_adapters.json: for each setting adapter_config.json, names and shapes of the tensors, the loss of a
batch on a tiny model, and of every gradient its norm and its product with a wave. All values are formulas that the test has
too.
"""

import json
import math
import tempfile
from pathlib import Path

import peft
import torch
import transformers

SIZES = {"vocab_size": 61, "hidden_size": 16, "intermediate_size": 28, "num_attention_heads": 4, "num_key_value_heads": 2,
         "num_hidden_layers": 2, "head_dim": 8, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
         "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
IDS = [[1, 17, 5, 44, 60, 23, 8, 2], [1, 9, 33, 12, 50, 7, 41, 2]]
SETTINGS = [
    ("tied", {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["lm_head"]}),
    ("tied", {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["embed_tokens"]}),
    ("tied", {"target_modules": "all-linear", "modules_to_save": ["embed_tokens", "lm_head"]}),
    ("untied", {"target_modules": ["down_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}),
    ("untied", {"target_modules": "all-linear", "modules_to_save": ["norm", "o_proj"]}),
    ("tied", {"target_modules": r".*\.(q|up)_proj", "exclude_modules": r".*\.0\..*up_proj", "rank_pattern": {"up_proj": 2}}),
    ("tied", {"target_modules": ["k_proj", "gate_proj"], "layers_to_transform": [1], "alpha_pattern": {"k_proj": 7}}),
    ("tied", {"target_modules": ["o_proj"], "init_lora_weights": "gaussian"}),
]


def wave(shape, phase, scale):
    count = math.prod(shape)
    return torch.tensor([scale * math.sin(0.37 * i + phase) for i in range(count)], dtype=torch.float64).reshape(shape).float()


def base_model(tied):
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES, tie_word_embeddings=tied)).eval()
    state = model.state_dict()
    names = sorted(name for name in state if not (tied and name == "lm_head.weight"))
    with torch.no_grad():
        for phase, name in enumerate(names):
            state[name].copy_(wave(state[name].shape, phase, 0.3) + (1 if "norm" in name else 0))
    return model


def case(tied, setting):
    config = peft.LoraConfig(r=3, lora_alpha=6, task_type="CAUSAL_LM", **setting)
    model = peft.get_peft_model(base_model(tied), config)
    state = peft.get_peft_model_state_dict(model)
    names = sorted(state)
    values = {name: wave(state[name].shape, phase, 0.2) + (1 if "norm" in name else 0) for phase, name in enumerate(names)}
    result = peft.set_peft_model_state_dict(model, values)
    assert not result.unexpected_keys, result.unexpected_keys
    ids = torch.tensor(IDS)
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    grads = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = name.replace(".default", "").replace(".modules_to_save", "")
            grad = parameter.grad.double()
            grads[key] = [grad.norm().item(), (grad * wave(grad.shape, 0.5, 1).double()).sum().item()]
    assert sorted(grads) == names, (sorted(grads), names)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        text = (Path(folder) / "adapter_config.json").read_text()
    merged = model.merge_and_unload()
    return {"tied": tied, "setting": setting, "config": text, "loss": loss.item(),
            "merged_loss": merged(input_ids=ids, labels=ids).loss.item(),
            "tensors": {name: list(state[name].shape) for name in names}, "grads": grads}


def main():
    cases = [case(kind == "tied", setting) for kind, setting in SETTINGS]
    golden = {"peft": peft.__version__, "transformers": transformers.__version__, "sizes": SIZES, "ids": IDS, "cases": cases}
    target = Path(__file__).parent / "peft_adapters.json"
    target.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{target}: {len(cases)} cases, {target.stat().st_size} bytes")


main()
