/**
 * Speaks as peft_trainer.py does, and trains nothing: the adapter that it saves is zero.
 *
 *     fake_trainer.ts MODE FOLDER        MODE: whole, missing, dying, hanging, diverging
 */
import { loraKey, writeAdapter } from "../../src/checkpoint/adapter.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { ModelManager } from "../../src/model_manager.ts";

const [mode, folder] = Deno.args as [string, string];
const tell = (event: object) => console.log(JSON.stringify(event));
const request = JSON.parse(await Deno.readTextFile(`${folder}/request.json`));
const rows = (await Deno.readTextFile(`${folder}/train.jsonl`)).trimEnd().split("\n").map((line) =>
  JSON.parse(line)
);

if (mode === "missing") {
  tell({ type: "missing", module: "peft" });
  Deno.exit(3);
}
console.log("a library greets");
tell({ type: "ready", device: "fake", on_cpu: true, torch: "0", trainable_parameters: 7 });
if (request.dry_run) Deno.exit(0);
tell({ type: "evaluated", step: 0, loss: 2, tokens: 5, accuracy: 0.1, seconds: 0.1 });
for (const [i, { learning_rate, micro_batches, evaluate }] of request.steps.entries()) {
  if (mode === "dying" && i === 1) {
    console.error("CUDA error: out of memory");
    Deno.exit(1);
  }
  if (mode === "hanging" && i === 1) await new Promise((done) => setTimeout(done, 60_000));
  const tokens = micro_batches.flat().reduce(
    (sum: number, row: number) => sum + rows[row].input_ids.length,
    0,
  );
  const counts = { trained_tokens: tokens, tokens, accuracy: 0.5, seconds: 0.5 };
  if (mode === "diverging") console.log('{"type": "step", "step": 1, "loss": NaN, "grad_norm": 1}');
  tell({ type: "step", step: i + 1, loss: 1 / (i + 1), grad_norm: 1, learning_rate, ...counts });
  if (evaluate) tell({ type: "evaluated", step: i + 1, loss: 1, tokens: 5, accuracy: 0.5, seconds: 0.1 });
}
const { weights } = await new ModelManager((uri) => new LocalFolder(uri)).open(request.base_model);
const { r: rank, lora_alpha: alpha, target_modules: targetModules } = request.lora;
const tensors = (targetModules as string[]).flatMap((path) => {
  const [out, input] = weights.infos.get(`${path}.weight`)!.shape as [number, number];
  const zero = (...shape: [number, number]) => ({ shape, data: new Float32Array(shape[0] * shape[1]) });
  return [[loraKey(path, "A"), zero(rank, input)], [loraKey(path, "B"), zero(out, rank)]] as const;
});
await weights.close();
const config = { baseModel: request.base_model, rank, alpha, targetModules, dropout: 0 };
await writeAdapter(new LocalFolder(`${folder}/adapter`), { config, tensors: new Map(tensors) } as never);
tell({ type: "saved" });
