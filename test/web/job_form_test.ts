import assert from "node:assert/strict";
import { setGpuMemory } from "../../web/page/gpu_memory.ts";
import { JobForm } from "../../web/page/job_form.ts";

Deno.test("JobForm tells which options stand at something else than their default, and goes back to it", () => {
  const form = new JobForm({ base_model: "models/tiny", lora_r: 8 });
  assert.equal(form.isChanged("lora_r"), true);
  assert.equal(form.isChanged("lora_alpha"), false);
  form.set({ lora_r: undefined });
  assert.equal(form.isChanged("lora_r"), false);
  assert.equal("lora_r" in form.values.value, false);
});

Deno.test("the GPU's memory, once told, is the limit of runs, and is none when it is taken back", () => {
  const form = new JobForm({ base_model: "models/tiny" });
  setGpuMemory(form, 12);
  assert.equal(form.value("memory_limit_gb"), 12);
  setGpuMemory(form, null);
  assert.equal(form.value("memory_limit_gb"), null);
});
