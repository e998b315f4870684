/**
 * A Python in which PEFT is installed, which LOWRANK_TEST_PEFT_PYTHON names; tests that need it are skipped without one.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ExampleRows } from "../../src/data/token_rows.ts";

/** Its path; null where there is none. */
export const PEFT_PYTHON: string | null = Deno.env.get("LOWRANK_TEST_PEFT_PYTHON") ?? null;

/** Loss of rows under a model that transformers loads, and an adapter that PEFT puts on it; its tensors must be the file's. */
const LOSS = `
import json, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
base, adapter, rows = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
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

/**
 * Mean loss of rows, nats per trained token, as PyTorch computes it.
 *
 * @param base Folder of a model. @param adapter Folder of an adapter on it; null for none.
 */
export async function peftLoss(base: string, adapter: string | null, rows: ExampleRows): Promise<number> {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const plain = [...rows].map(({ inputIds, labels }) => ({ ids: [...inputIds], labels: [...labels] }));
    await Deno.writeTextFile(file, JSON.stringify(plain));
    const args = ["-c", LOSS, base, adapter ?? "", file];
    const { success, stdout, stderr } = await new Deno.Command(PEFT_PYTHON!, { args }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return Number(/^loss (.+)$/m.exec(new TextDecoder().decode(stdout))![1]);
  } finally {
    await Deno.remove(file);
  }
}
