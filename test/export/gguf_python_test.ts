/**
 * Exported files read by Python: every tensor and entry by the package `gguf`, and the probabilities that llama.cpp computes
 * with them, merged and with a LoRA.
 *
 *     LOWRANK_GGUF_PYTHON=venv/bin/python deno test -A test/export/gguf_python_test.ts
 *
 * The interpreter needs `gguf`, and `xllamacpp` (llama.cpp, built) for the second part.
 */
import assert from "node:assert/strict";
import { loraUpdates, writeAdapter } from "../../src/checkpoint/adapter.ts";
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { exportGgufLora } from "../../src/export/gguf_lora.ts";
import { exportGguf, type GgufModelType } from "../../src/export/gguf_model.ts";
import { ModelManager } from "../../src/model_manager.ts";
import type { Folder } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { openModel } from "../golden/model_fixture.ts";
import { assertClose, exact, tensor } from "../helpers/close.ts";
import { device } from "../helpers/device.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { chatFiles } from "../helpers/tiny_tokenizer.ts";
import { FAMILIES, familyModel } from "./families.ts";

const python = Deno.env.get("LOWRANK_GGUF_PYTHON");

async function has(module: string): Promise<boolean> {
  if (!python) return false;
  const { success } = await new Deno.Command(python, { args: ["-c", `import ${module}`], stderr: "null" })
    .output();
  return success;
}

async function runPython(script: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(python!, { args: ["-c", script, ...args] })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr).slice(-2000));
  return new TextDecoder().decode(stdout);
}

const READ = `
import sys, json, gguf
reader = gguf.GGUFReader(sys.argv[1])
out = open(sys.argv[2], "wb")
tensors = []
for t in reader.tensors:
    out.write(gguf.quants.dequantize(t.data, t.tensor_type).astype("<f4").tobytes())
    tensors.append([t.name, [int(n) for n in reversed(t.shape)], t.tensor_type.name])
def value(f):
    v = f.contents()
    return v if not isinstance(v, list) else [len(v), v[0], v[-1]]
fields = {k: value(f) for k, f in reader.fields.items() if not k.startswith("GGUF.")}
print(json.dumps({"tensors": tensors, "fields": fields}))
`;

const hasReader = await has("gguf");

Deno.test({
  name: `Python's gguf reads the values and entries of exported files${
    hasReader ? "" : " (no LOWRANK_GGUF_PYTHON)"
  }`,
  ignore: !hasReader,
  fn: async () => {
    const dir = await Deno.makeTempDir({ prefix: "lowrank-gguf-" }), out = new LocalFolder(dir);
    try {
      for (const modelType of Object.keys(FAMILIES)) {
        const { base } = await familyModel(modelType), updates = loraUpdates(tinyAdapter(base));
        const source = { name: "tiny", base, updates, chatTemplate: null };
        await exportGgufLora(out, "lora.gguf", { source, type: "F16" });
        const types: GgufModelType[] = modelType === "llama" ? ["F32", "F16", "BF16", "Q8_0"] : ["F16"];
        for (const type of types) await exportGguf(out, `${type}.gguf`, { source, type });
        for (const file of ["lora", ...types]) await compareFile(out, dir, `${file}.gguf`);
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

async function compareFile(folder: LocalFolder, dir: string, name: string): Promise<void> {
  const read = JSON.parse(await runPython(READ, `${dir}/${name}`, `${dir}/values.bin`)) as {
    tensors: [string, number[], string][];
    fields: Record<string, unknown>;
  };
  const values = new Float32Array((await Deno.readFile(`${dir}/values.bin`)).buffer);
  const file = await GgufFile.open(folder, name);
  assert.deepEqual(
    read.tensors,
    [...file.infos.values()].map(({ name, shape, type }) => [name, shape, type.name]),
  );
  let at = 0;
  for (const { name, shape } of file.infos.values()) {
    const count = shape.reduce((a, b) => a * b);
    assertClose(values.subarray(at, at += count), await file.readF32(name), exact());
  }
  assert.equal(at, values.length);
  const own = [...file.metadata].map(([key, value]) => {
    const list = typeof value === "object" ? Array.from(value as ArrayLike<unknown>) : null;
    return [key, list ? [list.length, list[0], list.at(-1)] : value];
  });
  assert.deepEqual(read.fields, Object.fromEntries(own));
  await file.close();
}

const PROBABILITIES = `
import sys, json
import xllamacpp as x
model, lora, ids, vocab = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
p = x.CommonParams()
p.model.path = model
p.n_ctx = p.n_batch = 256
p.n_parallel, p.warmup, p.verbosity, p.cpuparams.n_threads = 1, False, -1, 2
# keys and values in f32, as here
p.cache_type_k = p.cache_type_v = x.ggml_type.GGML_TYPE_F32
p.flash_attn_type = x.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
if lora:
    adapter = x.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = lora, 1.0
    p.lora_adapters = [adapter]
answer = x.Server(p).handle_completions(
    # probabilities are those before the end is ruled out; further tokens make whole letters of bytes
    {"prompt": ids, "n_predict": 8, "n_probs": vocab, "temperature": -1, "ignore_eos": True})
if not isinstance(answer, dict):
    answer = json.loads(answer)
top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
print(json.dumps([[t["id"], t["logprob"]] for t in top]))
`;

const hasLlama = await has("xllamacpp") && device !== null;

/** The tiny tokenizer, but for bytes that are no letters: llama.cpp tells nothing of a token before its letter is whole. */
function letters(): Record<string, string> {
  const json = JSON.parse(chatFiles()["tokenizer.json"]!), { vocab } = json.model;
  const entries = Object.entries(vocab as Record<string, number>).map(([token, id]) => {
    return [/^[!-~ĠĊ]+$/.test(token) ? token : `w${id}`, id];
  });
  json.model.vocab = Object.fromEntries(entries);
  return { "tokenizer.json": JSON.stringify(json) };
}

/** Logarithms of probabilities. */
function logSoftmax(logits: Float32Array): Float32Array {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0);
  return logits.map((logit) => logit - most - Math.log(sum));
}

/** llama.cpp leaves out windows but Gemma's, and takes Phi-3's long factors where its context is long. */
const TRIED: Readonly<Record<string, { tokens: number; config?: Record<string, unknown> }>> = {
  mistral: { tokens: 7 },
  phi3: { tokens: 20, config: { sliding_window: null } },
};

for (const modelType of Object.keys(FAMILIES)) {
  Deno.test({
    name: `llama.cpp computes what Lowrank computes of a ${modelType}, merged and with the LoRA` +
      (hasLlama ? "" : " (no LOWRANK_GGUF_PYTHON with xllamacpp, or no adapter)"),
    ignore: !hasLlama,
    sanitizeResources: false, // the device outlives a test
    sanitizeOps: false,
    fn: async () => {
      const dir = await Deno.makeTempDir({ prefix: "lowrank-llama-" }), out = new LocalFolder(dir);
      const { tokens, config = {} } = TRIED[modelType] ?? { tokens: 20 };
      try {
        const { root, base } = await familyModel(modelType, { config, files: letters() });
        const adapter = tinyAdapter(base);
        await writeAdapter(root.folder("adapter"), adapter);
        const source = { name: "tiny", base, updates: loraUpdates(adapter), chatTemplate: null };
        await exportGguf(out, "merged.gguf", { source, type: "F32" });
        await exportGguf(out, "base.gguf", { source: { ...source, updates: new Map() }, type: "F32" });
        await exportGgufLora(out, "lora.gguf", { source, type: "F32" });
        const ids = Array.from({ length: tokens }, (_, i) => (37 * i + 11) % 250);
        const want = async (trained: Folder | null) => {
          const again = await new ModelManager((uri) => root.folder(uri)).open("base");
          const { model, close } = await openModel(
            device!.gpu,
            again,
            trained,
            { rows: 1, length: tokens },
            device!,
          );
          const logits = await model.logits({
            rows: 1,
            length: tokens,
            inputIds: Uint32Array.from(ids),
            targets: new Int32Array(tokens),
            lengths: Uint32Array.of(tokens),
          });
          await close();
          return logSoftmax(logits.subarray(-base.config.vocabSize));
        };
        const got = async (model: string, lora = "") => {
          const { vocabSize } = base.config;
          const args = [`${dir}/${model}`, lora && `${dir}/${lora}`, JSON.stringify(ids), `${vocabSize}`];
          const found = JSON.parse(await runPython(PROBABILITIES, ...args)) as [number, number][];
          assert.equal(found.length, vocabSize);
          return Float32Array.from(found.sort(([a], [b]) => a - b), ([, probability]) => probability);
        };
        const adapted = await want(root.folder("adapter")), plain = await want(null);
        // gelu is read from a table of f16 there
        const tolerance = tensor(modelType.startsWith("gemma") ? "f16" : "f32");
        assertClose(await got("base.gguf"), plain, tolerance);
        assertClose(await got("merged.gguf"), adapted, tolerance);
        assertClose(await got("base.gguf", "lora.gguf"), adapted, tolerance);
        assert.throws(() => assertClose(plain, adapted, tensor("f16")));
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}
