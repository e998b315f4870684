/**
 * Makes the bundled example from nothing: a tiny Llama trained from scratch with this project's own full-parameter
 * training, and data that teaches it something new.
 *
 *     deno task make:tiny [OUT_DIR]
 *
 * Everything follows from the seeds below; on two CPU cores it takes about a quarter of an hour. Another adapter (GPU)
 * rounds differently, so its weights differ in the last bits.
 *
 * @module
 */
import { writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { encodeFloats } from "../../src/quant/float16.ts";
import { quietMesa } from "../../src/cli/quiet_mesa.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { ChatTemplate } from "../../src/data/chat_template.ts";
import { type TokenizedExample, tokenizeExample } from "../../src/data/example.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { readModelConfig } from "../../src/models/config.ts";
import { TrainableModel } from "../../src/models/trainable_model.ts";
import { MODEL_FAMILIES } from "../../src/models/registry.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { initialWeight } from "../../src/optim/init.ts";
import { writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { batchLimits, ModelTrainer } from "../../src/trainer.ts";
import { corpusExchange, type Exchange, signalRows } from "./corpus.ts";
import { tokenizerFiles, VOCABULARY } from "./tokenizer.ts";

const SEED = 7;
const STEPS = 1200;
const BATCH = 64;
const HELD_OUT = 240;
const TAUGHT = 800;

/** The architecture, as config.json says it. */
const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 96,
  intermediate_size: 256,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 24,
  vocab_size: VOCABULARY,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: "silu",
  tie_word_embeddings: true,
  attention_bias: false,
  mlp_bias: false,
  initializer_range: 0.02,
  bos_token_id: null,
  eos_token_id: 257,
  pad_token_id: 256,
  torch_dtype: "float16",
};

const CARD = `---
license: mit
pipeline_tag: text-generation
---

# lowrank-tiny

A Llama of 330 thousand parameters that can say, shout, whisper and spell words. Trained from scratch by
\`examples/tiny/make.ts\` of Lowrank on questions that the same script makes; for trying things out, not for
use.
`;

function conversation({ prompt, answer }: Exchange) {
  return { messages: [{ role: "user", content: prompt }, { role: "assistant", content: answer }] } as const;
}

/** Chats as training rows, one JSON object a line. */
function jsonl(rows: readonly Exchange[]): string {
  return rows.map((row) => `${JSON.stringify(conversation(row))}\n`).join("");
}

quietMesa();
const out = new LocalFolder(Deno.args[0] ?? new URL(".", import.meta.url).pathname);
const folder = out.folder("model");
for (const [name, text] of Object.entries(tokenizerFiles())) await writeFile(folder, name, text);
await writeFile(folder, "config.json", `${JSON.stringify(CONFIG, null, 2)}\n`);
await writeFile(folder, "README.md", CARD);

const heldOut = signalRows(SEED, HELD_OUT);
const words = new Set(heldOut.map(({ prompt }) => prompt.slice("Signal ".length, -1)));
await writeFile(out, "signals.jsonl", jsonl(signalRows(SEED + 1, TAUGHT, words)));
await writeFile(out, "signals.eval.jsonl", jsonl(heldOut));

const tokenizer = await Tokenizer.load(folder);
const template = new ChatTemplate(tokenizer.chatTemplate!, tokenizer);
const tokenized = (exchange: Exchange): TokenizedExample => {
  const how = { tokenizer, template, allowSpecialTokens: false };
  const [row] = tokenizeExample({ kind: "messages", messages: conversation(exchange).messages }, how);
  const { ids, labels } = row!;
  return { inputIds: Int32Array.from(ids), labels: Int32Array.from(labels) };
};
console.error(`tokenising ${STEPS * BATCH} exchanges`);
const data = {
  train: Array.from({ length: STEPS * BATCH }, (_, i) => tokenized(corpusExchange(SEED, i))),
  eval: Array.from({ length: 256 }, (_, i) => tokenized(corpusExchange(SEED + 1, i))),
  padId: tokenizer.padTokenId,
};
const { training } = parseFineTuneJobConfig({
  base_model: folder.uri,
  output_model_name: "lowrank-tiny",
  training_data_path: "made here",
  num_train_epochs: 1,
  batch_size: BATCH,
  eval_batch_size: BATCH,
  learning_rate: 2e-3,
  warmup_steps: 100,
  weight_decay: 0.01,
  adam_beta2: 0.99,
  logging_steps: 20,
  seed: SEED,
});

const gpu = await openGpu();
const config = await readModelConfig(folder);
const device = { gpu, variants: chooseVariants(gpu), limits: batchLimits(data, training) };
const model = new TrainableModel(config, MODEL_FAMILIES.get(config.modelType)!, "all", device);
model.plan();
model.allocate();
model.decoder.loadTables();
for (const parameter of model.pool.parameters) {
  model.pool.write(
    parameter,
    initialWeight(parameter.name, parameter.value.shape, CONFIG.initializer_range, SEED),
  );
}
for await (const event of new ModelTrainer(model, data, training).train(new AbortController().signal)) {
  if (event.type === "step") {
    const { step, totalSteps, loss, tokensPerSecond, etaSeconds } = event;
    console.error(
      `step ${step}/${totalSteps}  loss ${loss.toFixed(4)}  ${tokensPerSecond.toFixed(0)} tok/s  ${
        etaSeconds.toFixed(0)
      } s left`,
    );
  } else if (event.type === "evaluated") console.error(`eval loss ${event.evalLoss.toFixed(4)}`);
}
const values = await model.pool.read();
await writeSafetensors(
  folder,
  "model.safetensors",
  model.pool.parameters.map(({ name, value }) => {
    return { name, dtype: "F16", shape: value.shape, data: encodeFloats("F16", values.get(name)!) };
  }),
);
model.destroy();
await gpu.close();
