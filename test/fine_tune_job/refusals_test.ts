import assert from "node:assert/strict";
import {
  ConfigError,
  DatasetFormatError,
  ModelFormatError,
  StorageNotFoundError,
  UnsupportedModelError,
} from "../../src/errors.ts";
import { writeFile } from "../../src/storage.ts";
import type { MemoryFolder } from "../../src/storage/memory.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { CHATS, jsonl, readJson, run, TEXTS, type Wire, written } from "../helpers/job_runs.ts";
import { type TinyModelOptions } from "../helpers/tiny_model.ts";

/** What is wrong with the disk or the options, and how the job refuses it. */
interface Refusal {
  readonly what: string;
  readonly model?: TinyModelOptions;
  readonly rows?: string;
  readonly wire?: Wire;
  readonly damage?: (base: MemoryFolder) => Promise<void>;
  readonly error: abstract new (...args: never[]) => Error;
  readonly message: RegExp;
}

const WEIGHTS = "model.safetensors";

async function rewriteWeights(
  base: MemoryFolder,
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array,
): Promise<void> {
  const file = await base.open(WEIGHTS);
  await writeFile(base, WEIGHTS, change(await file.read(0, file.size)));
}

/** Swaps text of the header for text of the same length. */
function inHeader(from: string, to: string): (base: MemoryFolder) => Promise<void> {
  assert.equal(from.length, to.length);
  return (base) =>
    rewriteWeights(base, (bytes) => {
      const text = new TextDecoder("latin1").decode(bytes);
      assert.ok(text.includes(from), "the header lacks what the test changes");
      bytes.set(new TextEncoder().encode(to), text.indexOf(from));
      return bytes;
    });
}

const REFUSALS: readonly Refusal[] = [
  {
    what: "a base model that is not there",
    wire: { base_model: "nowhere" },
    error: StorageNotFoundError,
    message: /Cannot find a model at "nowhere": the folder is empty or does not exist/,
  },
  {
    what: "weights that are cut short",
    damage: (base) => rewriteWeights(base, (bytes) => bytes.subarray(0, bytes.length - 5)),
    error: ModelFormatError,
    message: /"disk\/base\/model\.safetensors" as safetensors: .+ it is cut short, fetch it again/,
  },
  {
    what: "a header whose shape contradicts its bytes",
    damage: inHeader('"shape":[44,32]', '"shape":[45,32]'),
    error: ModelFormatError,
    message: /"disk\/base\/model\.safetensors" as safetensors: .*\[45, 32\]/,
  },
  {
    what: "a config that asks for other shapes than the weights have",
    damage: async (base) => {
      const config = await readJson(base, "config.json");
      await writeFile(base, "config.json", JSON.stringify({ ...config, intermediate_size: 40 }));
    },
    error: ModelFormatError,
    message:
      /tensor "model\.layers\.0\.mlp\.gate_proj\.weight" is \[44, 32\], config\.json asks for \[40, 32\]/,
  },
  {
    what: "heads that attention cannot read",
    model: { config: { head_dim: 10 } },
    error: UnsupportedModelError,
    message: /its heads are 10 wide, and multiples of 4 are supported/,
  },
  {
    what: "a tokenizer that knows more than the model",
    model: { config: { vocab_size: 100, bos_token_id: 1, eos_token_id: 2 } },
    error: ModelFormatError,
    message: /the tokenizer gives token id \d+ and the model knows ids below 100; take the tokenizer\.json/,
  },
  {
    what: "messages for a model without a chat template",
    model: { tokenizer: { chat_template: undefined } },
    rows: jsonl(CHATS),
    error: DatasetFormatError,
    message: /has messages, but the model has no chat template/,
  },
  {
    what: "a max_length that leaves nothing to train",
    rows: jsonl(CHATS),
    wire: { max_length: 8 },
    error: DatasetFormatError,
    message:
      /no trained token within the first 8 tokens of any row: raise max_length \(the longest row has \d+ tokens\)/,
  },
  {
    what: "bad lines, all of them",
    rows: `${JSON.stringify(TEXTS[0])}\n{"text": 5}\n{"text": "cut\n`,
    error: DatasetFormatError,
    message: /^disk\/train\.jsonl:2: .+\ndisk\/train\.jsonl:3: /,
  },
  {
    what: "data that is not there",
    wire: { training_data_path: "data/nowhere.jsonl" },
    error: StorageNotFoundError,
    message: /Cannot open "disk\/data\/nowhere\.jsonl"/,
  },
  {
    what: "a target that is no linear map",
    wire: { target_modules: ["q_proj", "qproj"] },
    error: ConfigError,
    message: /^target_modules: Cannot apply LoRA to "qproj" as no linear map of the model is called so/,
  },
  {
    what: "a rank beyond a map's smaller side",
    wire: { lora_r: 25 },
    error: ConfigError,
    message:
      /^lora_r: must be at most 24, the smaller side of "model\.layers\.0\.self_attn\.k_proj": current value is 25/,
  },
  {
    what: "an adapter that is not there",
    wire: { adapter_path: "runs/none/adapter" },
    error: StorageNotFoundError,
    message: /adapter_config\.json/,
  },
];

for (const { what, model, rows, wire = {}, damage, error: kind, message } of REFUSALS) {
  onGpu(`run() refuses ${what} and writes nothing`, async () => {
    const root = await jobDisk(model, rows);
    await damage?.(root.folder("base"));
    const before = await root.folder("base").list();
    await assert.rejects(run(root, wire), (error: Error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(await written(root), []);
    assert.deepEqual([await root.list(), await root.folder("base").list()], [["train.jsonl"], before]);
  });
}
