/** Adapters of every kind that PEFT made, read, run, trained and written here; see `make_adapter_kinds.py`. */
import assert from "node:assert/strict";
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  readAdapter,
  writeAdapter,
} from "../../src/checkpoint/adapter.ts";
import { SafetensorsFile, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { loraKindOf } from "../../src/config/lora_kind.ts";
import { type BaseModel, ModelManager } from "../../src/model_manager.ts";
import type { TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { encodeFloats } from "../../src/quant/float16.ts";
import { readText, writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { assertClose, exact, tensor } from "../helpers/close.ts";
import { onEachCompiler, type TestAdapter } from "../helpers/gpu.ts";
import goldens from "./adapter_kinds.json" with { type: "json" };
import { compareNumber, compareTensor } from "./compare.ts";
import { formulaBatch, writeFormulaModel } from "./families_fixture.ts";

interface Kind {
  readonly adapter_config: string;
  readonly losses: readonly number[];
  readonly nf4: boolean;
}

const HERE = new LocalFolder(new URL(".", import.meta.url).pathname);
const KINDS: Readonly<Record<string, Kind>> = goldens.kinds;
const { lengths, optimizer } = goldens;

/** What the golden holds of a kind under a heading, such as `grad`, by key. */
async function tensorsOf(file: SafetensorsFile, kind: string, heading: string) {
  const prefix = `${kind}/${heading}/`, found = new Map<string, Float32Array<ArrayBuffer>>();
  for (const name of file.infos.keys()) {
    if (name.startsWith(prefix)) found.set(name.slice(prefix.length), await file.readF32(name));
  }
  return found;
}

/** The adapter's folder as PEFT wrote it. */
async function adapterFolder(file: SafetensorsFile, kind: string): Promise<MemoryFolder> {
  const folder = new MemoryFolder("adapter"), prefix = `${kind}/adapter/`;
  await writeFile(folder, ADAPTER_CONFIG_FILE, KINDS[kind]!.adapter_config);
  const tensors = [...await tensorsOf(file, kind, "adapter")].map(([name, values]) => {
    const { shape } = file.infos.get(prefix + name)!;
    return { name, dtype: "F32" as const, shape, data: encodeFloats("F32", values) };
  });
  await writeSafetensors(folder, ADAPTER_WEIGHTS_FILE, tensors);
  return folder;
}

async function openBase(nf4: boolean): Promise<BaseModel> {
  const folder = new MemoryFolder("formula");
  await writeFormulaModel(folder, goldens.config);
  const base = await new ModelManager(() => folder).open("formula");
  return ModelManager.quantized(base, { loadIn4bit: nf4, loadIn8bit: false, doubleQuant: true });
}

/** Plans and loads the base with updates as an adapter has them. */
async function openKind({ gpu, pipelines }: TestAdapter, kind: string, folder: MemoryFolder) {
  const base = await openBase(KINDS[kind]!.nf4), manager = new ModelManager(() => folder);
  const adapter = await readAdapter(folder), { rank, alpha, targetModules } = adapter.config;
  const lora = { rank, alpha, targetModules: targetModules!, ...loraKindOf(adapter.config) };
  const limits = { rows: lengths.length, length: Math.max(...lengths) };
  const model = manager.plan(base, lora, { gpu, pipelines, variants: chooseVariants(gpu), limits });
  model.plan();
  model.allocate();
  await model.decoder.load(base.weights);
  return { model, manager, adapter };
}

async function lossOf(model: TrainableModel): Promise<number> {
  const batch = formulaBatch(lengths, model.decoder.config.vocabSize);
  const trained = batch.targets.filter((target) => target >= 0).length;
  model.clearGradients();
  model.clearTotals();
  await model.accumulate(batch, 1 / trained);
  return (await model.totals()).summedLoss / trained;
}

function assertSame(what: string, kind: "gradient" | "parameters", got: Values, want: Values): void {
  assert.deepEqual([...got.keys()].sort(), [...want.keys()].sort());
  for (const [key, values] of want) {
    const { ok, value, limit } = compareTensor(kind, got.get(key)!, values);
    assert.ok(ok, `${what} of ${key}: ${value} of ${limit}`);
  }
}
type Values = ReadonlyMap<string, Float32Array>;

for (const [kind, { losses, nf4 }] of Object.entries(KINDS)) {
  onEachCompiler(`PEFT's adapter (${kind}) gives its logits, gradients and steps here`, async (adapter) => {
    const file = await SafetensorsFile.open(HERE, "adapter_kinds.safetensors");
    const folder = await adapterFolder(file, kind);
    const { model, manager, adapter: read } = await openKind(adapter, kind, folder);
    try {
      await manager.initialise(model, { kind: "adapter", adapter: read });
      const batch = formulaBatch(lengths, model.decoder.config.vocabSize);
      const mask = Int32Array.from(
        { length: batch.rows * batch.length },
        (_, i) => Number(i % batch.length < lengths[Math.floor(i / batch.length)]!),
      );
      const logits = await model.logits(batch), wantLogits = await file.readF32(`${kind}/logits`);
      const { ok, value, limit } = compareTensor("logits", logits, wantLogits, mask);
      assert.ok(ok, `logits: ${value} of ${limit}`);
      const adamw = await AdamW.create(model.resources, model.pool, model.sinks, {
        weightDecay: optimizer.weight_decay,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        maxGradNorm: 0,
      });
      for (let step = 0; step <= optimizer.steps; step++) {
        const compared = compareNumber("loss", await lossOf(model), losses[step]!);
        assert.ok(compared.ok, `loss of step ${step}: ${compared.value} of ${compared.limit}`);
        const grads = await model.pool.read("grads");
        if (step === 0) assertSame("gradient", "gradient", grads, await tensorsOf(file, kind, "grad"));
        if (step < optimizer.steps) adamw.step(step + 1, optimizer.lr);
      }
      const after = await model.pool.read(), want = await tensorsOf(file, kind, "after");
      assert.deepEqual([...after.keys()].sort(), [...want.keys()].sort());
      for (const [key, values] of want) assertClose(after.get(key)!, values, tensor("f32"));
    } finally {
      model.destroy();
    }
  });

  Deno.test(`writeAdapter() rewrites PEFT's adapter (${kind}) byte by byte, but for the order of targets`, async () => {
    const file = await SafetensorsFile.open(HERE, "adapter_kinds.safetensors");
    const folder = await adapterFolder(file, kind), ours = new MemoryFolder("ours");
    await writeAdapter(ours, await readAdapter(folder));
    const [want, got] = [folder, ours].map((each) => readText(each, ADAPTER_CONFIG_FILE));
    const targets = /"target_modules": \[[^\]]*\]/;
    assert.equal((await got!).replace(targets, ""), (await want!).replace(targets, ""));
    const [wantFile, gotFile] = [
      await folder.open(ADAPTER_WEIGHTS_FILE),
      await ours.open(ADAPTER_WEIGHTS_FILE),
    ];
    assert.deepEqual(await gotFile.read(0, gotFile.size), await wantFile.read(0, wantFile.size));
  });

  if (!kind.startsWith("dora")) continue;
  onEachCompiler(`magnitudes begin as PEFT's (${kind}), and change no loss`, async (adapter) => {
    const file = await SafetensorsFile.open(HERE, "adapter_kinds.safetensors");
    const { model, manager } = await openKind(adapter, kind, await adapterFolder(file, kind));
    const base = await openBase(nf4), { gpu, pipelines } = adapter;
    const limits = { rows: lengths.length, length: Math.max(...lengths) };
    const plain = manager.plan(base, null, { gpu, pipelines, variants: chooseVariants(gpu), limits });
    try {
      await manager.initialise(model, { kind: "seed", seed: 1 });
      const started = await model.pool.read(), start = await tensorsOf(file, kind, "start");
      assert.ok(start.size > 0);
      for (const [key, values] of start) {
        const { ok, value, limit } = compareTensor("parameters", started.get(key)!, values);
        assert.ok(ok, `${key}: ${value} of ${limit}`);
      }
      plain.allocate();
      await plain.decoder.load(base.weights);
      assertClose([await lossOf(model)], [await lossOf(plain)], tensor("f32"));
      await model.rowNorms.start(); // B is zero: once more is as once
      assertClose(flat(await model.pool.read()), flat(started), exact());
    } finally {
      model.destroy();
      plain.destroy();
    }
  });
}

const flat = (parameters: Values) => Float32Array.from([...parameters.values()].flatMap((all) => [...all]));
