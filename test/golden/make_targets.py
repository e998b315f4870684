"""Which maps PEFT puts an update on, and of what rank and scaling, for many settings.

    python test/golden/make_targets.py

writes test/golden/targets.json: the paths of a model's linear maps, and for each setting rank and scaling of every map
that has an update.
"""

import json
from pathlib import Path

import peft
import transformers
from peft.tuners.lora import LoraLayer
from torch import nn

SIZES = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2,
         "num_key_value_heads": 1, "num_hidden_layers": 12, "pad_token_id": 0}
MODELS = {
    "llama": transformers.LlamaConfig(**SIZES, head_dim=8),
    "phi3": transformers.Phi3Config(**{**SIZES, "num_hidden_layers": 2}),
}
SETTINGS = [
    ("llama", {"target_modules": "all-linear"}),
    ("llama", {"target_modules": ["q_proj", "v_proj"]}),
    ("llama", {"target_modules": ["mlp.up_proj", "1.self_attn.k_proj", "model.layers.3.mlp.down_proj"]}),
    ("llama", {"target_modules": r".*\.(?P<part>q|v)_proj"}),
    ("llama", {"target_modules": r"model\.layers\.1\d?\..*_proj"}),
    ("llama", {"target_modules": r"(?i).*\.LAYERS\.[02468]\..*\.q_PROJ\Z"}),
    ("llama", {"target_modules": r"model\.layers\.\d{,1}\.mlp\.[^]\d]*_proj"}),
    ("llama", {"target_modules": "all-linear", "exclude_modules": ["o_proj", "0.mlp.up_proj"]}),
    ("llama", {"target_modules": ["q_proj"], "exclude_modules": r".*\.1[01]\..*"}),
    ("llama", {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [0, 2, 11]}),
    ("llama", {"target_modules": ["q_proj", "model.layers.5.mlp.up_proj"], "layers_to_transform": 1}),
    ("llama", {"target_modules": ["k_proj"], "layers_to_transform": [3], "layers_pattern": "layers"}),
    ("llama", {"target_modules": ["k_proj"], "layers_to_transform": [3], "layers_pattern": ["h", "layers"]}),
    ("llama", {"target_modules": "all-linear", "rank_pattern": {"q_proj": 4, "mlp.up_proj": 2}}),
    ("llama", {"target_modules": ["q_proj", "v_proj"], "alpha_pattern": {r"layers\.1\..*": 3, r"1[01]\.self_attn\.v_proj": 5.5}}),
    ("llama", {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {r"^model\.layers\.2\..*": 1, "v_proj": 6},
               "alpha_pattern": {"v_proj": 1}}),
    ("phi3", {"target_modules": "all-linear"}),
    ("phi3", {"target_modules": ["qkv_proj", "down_proj"], "rank_pattern": {"qkv_proj": 7}}),
]


def updates(config, setting):
    model = transformers.AutoModelForCausalLM.from_config(config)
    model = peft.get_peft_model(model, peft.LoraConfig(r=3, lora_alpha=8, task_type="CAUSAL_LM", **setting))
    found = {}
    for path, module in model.base_model.model.named_modules():
        if isinstance(module, LoraLayer):
            found[path] = [module.r["default"], module.scaling["default"]]
    return found


def main():
    paths = {}
    for name, config in MODELS.items():
        model = transformers.AutoModelForCausalLM.from_config(config)
        paths[name] = [p for p, m in model.named_modules() if isinstance(m, nn.Linear) and p != "lm_head"]
    cases = [{"model": m, "setting": s, "updates": updates(MODELS[m], s)} for m, s in SETTINGS]
    golden = {"peft": peft.__version__, "r": 3, "lora_alpha": 8, "paths": paths, "cases": cases}
    target = Path(__file__).parent / "targets.json"
    target.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{target}: {len(cases)} settings")


main()
