"""Shows that PEFT takes the adapter, and transformers the merged model, that eyes.ts wrote for the Gemma 3 with eyes.

    python test/golden/check_eyes.py OUT

loads both, text and eyes, and compares their logits; and the base's eyes with the merged model's.
"""

import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

HERE, OUT = Path(__file__).parent, Path(sys.argv[1])


def load(folder):
    model, info = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    missing, unexpected = info["missing_keys"], info["unexpected_keys"]
    assert not missing and not unexpected, (missing, unexpected)
    return model.eval()


base = load(HERE / "gemma3")
merged = load(OUT / "merged")
adapted = PeftModel.from_pretrained(load(HERE / "gemma3"), OUT / "adapter").eval()
factors = {name: value for name, value in adapted.named_parameters() if ".lora_" in name}
assert factors and all(value.abs().max() > 0.1 for value in factors.values()), "PEFT left factors at their start"

ids = torch.arange(3, 27)[None]
with torch.no_grad():
    plain, one, other = (model(input_ids=ids).logits for model in (base, adapted, merged))
    pixels = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen, seen_merged = (model.get_image_features(pixels).pooler_output for model in (base, merged))
apart = (one - other).abs().max() / one.abs().max()
moved = (one - plain).abs().max() / one.abs().max()
print(f"{len(factors)} factors; adapter and merged model {apart:.1e} apart, {moved:.1e} from the base")
assert apart < 1e-5 < 1e-2 < moved
assert torch.equal(seen, seen_merged)
print("1 passed, 0 failed")
