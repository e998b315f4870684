/**
 * Adapters of PEFT's, loaded and merged here; see `make_peft_adapters.py`.
 */
import assert from "node:assert/strict";
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  readAdapter,
  writeAdapter,
} from "../../src/checkpoint/adapter.ts";
import { mergeModel } from "../../src/checkpoint/merge.ts";
import { writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { mergeParts, ModelManager } from "../../src/model_manager.ts";
import { CONFIG_FILE, parseModelConfig } from "../../src/models/config.ts";
import { MODEL_FAMILIES, weightShapes } from "../../src/models/registry.ts";
import { encodeFloats } from "../../src/quant/float16.ts";
import { readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { onEveryAdapter, type TestAdapter } from "../helpers/gpu.ts";
import { openModel } from "./model_fixture.ts";
import golden from "./peft_adapters.json" with { type: "json" };

type Case = (typeof golden.cases)[number];

const [ROWS, LENGTH] = [golden.ids.length, golden.ids[0]!.length];
const LIMITS = { rows: ROWS, length: LENGTH };

/** As in make_peft_adapters.py. */
function wave(count: number, phase: number, scale: number, offset = 0): Float32Array<ArrayBuffer> {
  return Float32Array.from(
    { length: count },
    (_, i) => Math.fround(scale * Math.sin(0.37 * i + phase)) + offset,
  );
}

/** Tensors filled by their place among the names. */
async function writeWaves(
  folder: MemoryFolder,
  file: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  scale: number,
): Promise<void> {
  const names = [...shapes.keys()].sort();
  await writeSafetensors(
    folder,
    file,
    names.map((name, phase) => {
      const shape = shapes.get(name)!, count = shape.reduce((product, size) => product * size, 1);
      const values = wave(count, phase, scale, name.includes("norm") ? 1 : 0);
      return { name, dtype: "F32", shape, data: encodeFloats("F32", values) };
    }),
  );
}

async function folders({ tied, config: text, tensors }: Case) {
  const base = new MemoryFolder("base"), adapter = new MemoryFolder("adapter");
  const config = JSON.stringify({ model_type: "llama", ...golden.sizes, tie_word_embeddings: tied });
  await writeFile(base, CONFIG_FILE, config);
  const parsed = parseModelConfig(config, CONFIG_FILE);
  const shapes = weightShapes(MODEL_FAMILIES.get("llama")!, parsed);
  await writeWaves(base, "model.safetensors", shapes, 0.3);
  await writeFile(adapter, ADAPTER_CONFIG_FILE, text);
  await writeWaves(adapter, ADAPTER_WEIGHTS_FILE, new Map(Object.entries(tensors)), 0.2);
  return { base, adapter };
}

/** Mean loss of the batch, each token trained by those before it, and gradients. */
async function stepOf(adapter: TestAdapter, base: MemoryFolder, lora: MemoryFolder | null) {
  const { gpu, pipelines } = adapter;
  const { model, close } = await openModel(gpu, base, lora, LIMITS, { pipelines });
  const ids = Uint32Array.from(golden.ids.flat());
  const targets = Int32Array.from(ids, (_, i) => (i + 1) % LENGTH === 0 ? -100 : ids[i + 1]!);
  const batch = {
    rows: ROWS,
    length: LENGTH,
    inputIds: ids,
    targets,
    lengths: new Uint32Array(ROWS).fill(LENGTH),
  };
  const count = ROWS * (LENGTH - 1);
  model.clearTotals();
  if (lora) {
    model.clearGradients();
    await model.accumulate(batch, 1 / count);
  } else await model.evaluate(batch);
  const { summedLoss } = await model.totals(), grads = lora ? await model.pool.read("grads") : null;
  await close();
  return { loss: summedLoss / count, grads };
}

function assertNear(got: number, want: number, share: number, what: string): void {
  assert.ok(Math.abs(got - want) <= share * Math.max(1, Math.abs(want)), `${what}: ${got}, wanted ${want}`);
}

for (const wanted of golden.cases) {
  const name = `${wanted.tied ? "tied" : "untied"} ${JSON.stringify(wanted.setting)}`;
  onEveryAdapter(`PEFT's adapter of ${name} computes loss and gradients as in PEFT`, async (gpu) => {
    const { base, adapter } = await folders(wanted);
    const { loss, grads } = await stepOf(gpu, base, adapter);
    assertNear(loss, wanted.loss, 1e-5, "loss");
    assert.deepEqual([...grads!.keys()].sort(), Object.keys(wanted.grads).sort());
    for (const [key, [norm, along]] of Object.entries(wanted.grads) as [string, [number, number]][]) {
      const values = grads!.get(key)!, direction = wave(values.length, 0.5, 1);
      const got = values.reduce((sum, value, i) => sum + value * direction[i]!, 0);
      assertNear(Math.hypot(...values), norm, 1e-4, `norm of ${key}`);
      assert.ok(
        Math.abs(got - along) <= 1e-4 * norm * Math.sqrt(values.length),
        `${key}: ${got}, wanted ${along}`,
      );
    }
  });

  onEveryAdapter(`PEFT's adapter of ${name} merges into a model of the same loss`, async (gpu) => {
    const { base, adapter } = await folders(wanted), out = new MemoryFolder("merged");
    const opened = await new ModelManager(() => base).open("base"), given = await readAdapter(adapter);
    await mergeModel({ ...mergeParts(opened, given), out });
    await opened.weights.close();
    assertNear((await stepOf(gpu, out, null)).loss, wanted.merged_loss, 1e-5, "loss");
    assertNear(wanted.merged_loss, wanted.loss, 1e-5, "PEFT's own");
  });

  Deno.test(`PEFT's adapter_config.json of ${name} is written as it was read`, async () => {
    const { adapter } = await folders(wanted), again = new MemoryFolder("again");
    await writeAdapter(again, await readAdapter(adapter));
    const parsed = async (folder: MemoryFolder) => {
      const { base_model_name_or_path: _, ...fields } = JSON.parse(
        await readText(folder, ADAPTER_CONFIG_FILE),
      );
      for (const key of ["target_modules", "exclude_modules", "modules_to_save"]) {
        if (Array.isArray(fields[key])) fields[key].sort();
      }
      return fields;
    };
    assert.deepEqual(await parsed(again), await parsed(adapter));
  });
}
