/**
 * A Python that has torch, transformers, peft and bitsandbytes, which LOWRANK_TEST_PEFT_PYTHON names; tests that need it are skipped without one.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ExampleRows } from "../../src/data/token_rows.ts";

/** Its path; null where there is none. */
export const PEFT_PYTHON: string | null = Deno.env.get("LOWRANK_TEST_PEFT_PYTHON") ?? null;

/**
 * Loss of rows under a model that transformers loads, and an adapter that PEFT puts on it; its tensors must be the file's.
 * Of a 4-bit base the linear maps are what bitsandbytes makes of its own NF4 codes, with double quantisation.
 */
const LOSS = `
import json, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
base, bits, adapter, rows = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
if bits == "4bit":
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    torch.set_num_threads(1)  # the mean of the scales depends on the order of the sum
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            codes, state = quantize_4bit(
                module.weight.data, quant_type="nf4", blocksize=64, compress_statistics=True
            )
            module.weight.data = dequantize_4bit(codes, state)
if adapter:
    model = PeftModel.from_pretrained(model, adapter)
    wanted, held = get_peft_model_state_dict(model), load_file(adapter + "/adapter_model.safetensors")
    assert set(wanted) == set(held), set(wanted) ^ set(held)
    assert all((wanted[name].cpu() == held[name]).all() for name in held)
total = count = 0
with torch.no_grad():
    for row in json.load(open(rows)):
        ids, labels = torch.tensor([row["ids"]]), torch.tensor(row["labels"][1:])
        logits = model.eval()(input_ids=ids).logits[0, :-1].double()
        kept = labels != -100
        total += torch.nn.functional.cross_entropy(logits[kept], labels[kept], reduction="sum").item()
        count += int(kept.sum())
print("loss", total / count)
`;

/** A model of PyTorch's. */
export interface PeftModel {
  /** Folder of the base model. */
  readonly base: string;
  /** How the base's linear maps are kept. */
  readonly quantization: "none" | "4bit";
  /** Folder of an adapter on it; null for none. */
  readonly adapter: string | null;
}

/** Mean loss of rows, nats per trained token, as PyTorch computes it. */
export async function peftLoss(
  { base, quantization, adapter }: PeftModel,
  rows: ExampleRows,
): Promise<number> {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const plain = [...rows].map(({ inputIds, labels }) => ({ ids: [...inputIds], labels: [...labels] }));
    await Deno.writeTextFile(file, JSON.stringify(plain));
    const args = ["-c", LOSS, base, quantization, adapter ?? "", file];
    const { success, stdout, stderr } = await new Deno.Command(PEFT_PYTHON!, { args }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return Number(/^loss (.+)$/m.exec(new TextDecoder().decode(stdout))![1]);
  } finally {
    await Deno.remove(file);
  }
}
