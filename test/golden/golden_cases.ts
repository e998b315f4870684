/**
 * Runs every case of a folder of PyTorch goldens that this version supports: logits, loss, the gradient of every LoRA
 * tensor, losses and weights along optimizer steps, the merged model.
 *
 * A case is a folder with `base/`, `adapter/`, `golden.safetensors` and `golden.json`; what is compared is
 * found in those files, so a new family or a new variant needs no change here.
 *
 * @module
 */
import { type Adapter, loraUpdates, readAdapter } from "../../src/checkpoint/adapter.ts";
import { mergeModel } from "../../src/checkpoint/merge.ts";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { UnsupportedModelError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import { type BaseModel, ModelManager } from "../../src/model_manager.ts";
import type { TrainableModel } from "../../src/models/trainable_model.ts";
import type { Variants } from "../../src/nn/variants.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { learningRateAt, type ScheduleType } from "../../src/optim/schedule.ts";
import { type Folder, readText } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import {
  compareNumber,
  compareTensor,
  type Comparison,
  type NumberKind,
  type Precision,
  type TensorKind,
} from "./compare.ts";
import { batchOf, type ModelKernels, openModel, readInts } from "./model_fixture.ts";
import { runQuant } from "./quant_cases.ts";

/** The folder of quantised tensors, which is asked for as a case is. */
const QUANT_CASE = "quant";

/** One line of the report. */
export interface GoldenResult {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly detail: string;
  /** The largest distance as a share of what is allowed; absent where nothing was compared. */
  readonly worstShare?: number;
}

/** Variants that are compared, with the folder of their adapter; others are named as skipped. */
const ADAPTER_FOLDERS: Readonly<Record<string, string>> = {
  lora: "adapter",
  rslora: "adapter-rslora",
  dora: "adapter-dora",
};

/** Variants whose base is in NF4, and whether its scales are quantised too. Their adapter is that of `lora`. */
const QUANTISED: Readonly<Record<string, boolean>> = { qlora: false, qlora_dq: true };

/** Schedules as the goldens name them, and whether gradients are clipped. */
const SCHEDULES: Readonly<Record<string, { type: ScheduleType; clips: boolean }>> = {
  const: { type: "constant", clips: false },
  cos: { type: "cosine", clips: false },
  cosclip: { type: "cosine", clips: true },
};

interface Optimizer {
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weight_decay: number;
  readonly warmup_steps: number;
  readonly total_steps: number;
  readonly steps_run: number;
  readonly clip: number;
}
/** What a folder without a manifest was made with. */
const DEFAULT_OPTIMIZER: Optimizer = {
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weight_decay: 0.01,
  warmup_steps: 2,
  total_steps: 10,
  steps_run: 5,
  clip: 1,
};
interface Manifest {
  readonly optimizer: Optimizer;
  readonly cases: Readonly<Record<string, unknown>>;
}
interface Trace {
  readonly loss: readonly number[];
  readonly grad_norm: readonly number[];
  readonly lr: readonly number[];
  readonly loss_after: number;
}
type VariantFacts =
  & { readonly loss: number; readonly merged_loss?: number }
  & Readonly<Record<string, Trace | number>>;

/** What of the goldens is run, and with which kernels. */
export interface GoldenOptions {
  /** Default: all that the manifest lists. */
  readonly cases?: readonly string[];
  /** Parts of a case, such as `lora`; default: all that it has. */
  readonly parts?: readonly string[];
  /** Default: those of the adapter. */
  readonly variants?: Variants;
}

/**
 * Runs the cases and yields a result for each thing compared or skipped. Where operands of products are rounded to f16, the
 * limits are those of f16.
 *
 * @throws {RangeError} If no case is named and there is no manifest to name them.
 * @throws {StorageNotFoundError} If a named case is not there.
 */
export async function* runGolden(
  gpu: Gpu,
  root: Folder,
  { cases, parts, variants }: GoldenOptions = {},
): AsyncGenerator<GoldenResult> {
  const manifest: Manifest = await root.exists("manifest.json")
    ? JSON.parse(await readText(root, "manifest.json"))
    : { optimizer: DEFAULT_OPTIMIZER, cases: {} };
  const names = cases ?? Object.keys(manifest.cases);
  if (names.length === 0) {
    throw new RangeError(`${root.uri} has no manifest.json that lists cases: name one with --case`);
  }
  const kernels = { variants, pipelines: new PipelineCache(gpu) };
  for (const name of names.filter((name) => name !== QUANT_CASE)) {
    const golden = await GoldenCase.open(gpu, root.folder(name), name, manifest.optimizer, kernels);
    for (const variant of Object.keys(golden.facts)) {
      if (!parts || parts.includes(variant)) yield* golden.run(variant);
    }
  }
  const isAsked = cases ? cases.includes(QUANT_CASE) : !parts;
  if (!isAsked || !(await root.folders()).includes(QUANT_CASE)) return;
  for await (const { name, compared } of runQuant(gpu, root.folder(QUANT_CASE), variants)) {
    yield result(name, compared);
  }
}

/** What these variants compute with. */
export function precisionOf({ forward, backwardInput }: Variants): Precision {
  return forward.HALF || backwardInput.HALF ? "f16" : "f32";
}

class GoldenCase {
  private constructor(
    readonly gpu: Gpu,
    readonly folder: Folder,
    readonly name: string,
    readonly optimizer: Optimizer,
    readonly kernels: ModelKernels,
    readonly file: SafetensorsFile,
    readonly facts: Readonly<Record<string, VariantFacts>>,
    readonly arrays: { ids: Int32Array; mask: Int32Array; labels: Int32Array },
    readonly limits: { rows: number; length: number },
  ) {}

  static async open(
    gpu: Gpu,
    folder: Folder,
    name: string,
    optimizer: Optimizer,
    kernels: ModelKernels,
  ) {
    const file = await SafetensorsFile.open(folder, "golden.safetensors");
    const facts = JSON.parse(await readText(folder, "golden.json"));
    const [, rows, length] = file.infos.get("input_ids")!.shape as [number, number, number];
    const arrays = {
      ids: await readInts(file, "input_ids"),
      mask: await readInts(file, "attention_mask"),
      labels: await readInts(file, "labels"),
    };
    return new GoldenCase(gpu, folder, name, optimizer, kernels, file, facts, arrays, { rows, length });
  }

  get #precision(): Precision {
    return this.kernels.variants ? precisionOf(this.kernels.variants) : "f32";
  }

  async *run(variant: string): AsyncGenerator<GoldenResult> {
    const name = `${this.name} ${variant}`;
    try {
      if (variant === "base") yield* this.#base();
      else if (variant === "full") yield* this.#full();
      else if (Object.hasOwn(QUANTISED, variant)) {
        yield* this.#quantised(variant, QUANTISED[variant]!);
      } else if (ADAPTER_FOLDERS[variant]) {
        yield* this.#adapter(
          variant,
          this.folder.folder(ADAPTER_FOLDERS[variant]),
          this.folder.folder("base"),
        );
      } else yield { name, outcome: "skipped", detail: "this version does not train it" };
    } catch (error) {
      if (!(error instanceof UnsupportedModelError)) throw error;
      yield { name, outcome: "skipped", detail: error.message };
    }
  }

  /** A base that is packed while it is loaded. @param doubleQuant Whether its scales are quantised too. */
  async *#quantised(variant: string, doubleQuant: boolean): AsyncGenerator<GoldenResult> {
    const folder = this.folder.folder("base");
    const opened = await new ModelManager(() => folder).open(folder.uri);
    const base = ModelManager.quantized(opened, { loadIn4bit: true, loadIn8bit: false, doubleQuant });
    yield* this.#adapter(variant, this.folder.folder("adapter"), base);
  }

  /** The model alone, described by config.json in the spelling of transformers 5 and of transformers 4. */
  async *#base(): AsyncGenerator<GoldenResult> {
    const base = this.folder.folder("base");
    const current = await this.#logitsAndLoss(base);
    yield await this.#logitsResult("base", "base.logits", current.logits);
    yield this.#numberResult("base loss", "loss", current.loss, this.facts.base!.loss);
    if (!await base.exists("config.legacy.json")) return;
    const legacy = await this.#logitsAndLoss(new ReplacedFile(base, "config.json", "config.legacy.json"));
    const same = compareTensor("exact", legacy.logits, current.logits);
    yield result(`${this.name} base with config.legacy.json`, [same]);
  }

  /** Every weight trained. */
  async *#full(): AsyncGenerator<GoldenResult> {
    const facts = this.facts.full!;
    const { model, close } = await this.#open(this.folder.folder("base"), "all");
    try {
      yield this.#numberResult("full loss", "loss", await this.#backward(model, 0), facts.loss);
      const grads = await model.pool.read("grads");
      yield await this.#tensorsResult("full gradients", "gradient", "full.grad.", grads);
    } finally {
      await close();
    }
    yield* this.#schedules("full", "all", facts);
  }

  async *#adapter(
    variant: string,
    folder: Folder,
    base: Folder | BaseModel,
  ): AsyncGenerator<GoldenResult> {
    const adapter = await readAdapter(folder);
    const facts = this.facts[variant]!;
    const { model, close } = await this.#open(base, folder);
    try {
      yield await this.#logitsResult(variant, `${variant}.logits`, await model.logits(this.#batch(0)));
      const loss = await this.#backward(model, 0);
      yield this.#numberResult(`${variant} loss`, "loss", loss, facts.loss);
      yield await this.#tensorsResult(
        `${variant} gradients`,
        "gradient",
        `${variant}.grad.`,
        await model.pool.read("grads"),
      );
    } finally {
      await close();
    }
    yield* this.#schedules(variant, folder, facts);
    if (facts.merged_loss !== undefined) yield* this.#merged(variant, adapter, facts.merged_loss);
  }

  async *#schedules(
    variant: string,
    trained: Folder | "all",
    facts: VariantFacts,
  ): AsyncGenerator<GoldenResult> {
    for (const [schedule, how] of Object.entries(SCHEDULES)) {
      if (facts[schedule]) yield* this.#steps(variant, trained, schedule, how, facts[schedule] as Trace);
    }
  }

  /** Losses, norms and learning rates of each step, and the parameters after the last. */
  async *#steps(
    variant: string,
    trained: Folder | "all",
    schedule: string,
    { type, clips }: { type: ScheduleType; clips: boolean },
    want: Trace,
  ): AsyncGenerator<GoldenResult> {
    const { lr, betas, eps, weight_decay, warmup_steps, total_steps, steps_run, clip } = this.optimizer;
    const { model, close } = await this.#open(this.folder.folder("base"), trained);
    try {
      const adamw = await AdamW.create(model.resources, model.pool, model.sinks, {
        weightDecay: weight_decay,
        beta1: betas[0],
        beta2: betas[1],
        epsilon: eps,
        maxGradNorm: clips ? clip : 0,
      });
      const compared: { kind: NumberKind; at: Comparison }[] = [];
      const add = (kind: NumberKind, got: number, wanted: number) =>
        compared.push({ kind, at: compareNumber(kind, got, wanted, this.#precision) });
      for (let step = 0; step < steps_run; step++) {
        const rate = learningRateAt(step, {
          type,
          baseLearningRate: lr,
          warmupSteps: warmup_steps,
          totalSteps: total_steps,
        });
        const loss = await this.#backward(model, step);
        adamw.step(step + 1, rate);
        add("loss", loss, want.loss[step]!);
        add("gradNorm", (await model.totals()).gradNorm, want.grad_norm[step]!);
        add("learningRate", rate, want.lr[step]!);
      }
      add("loss", await this.#loss(model), want.loss_after);
      for (const kind of ["loss", "gradNorm", "learningRate"] as const) {
        const name = `${this.name} ${variant} ${schedule} ${kind} of ${steps_run} steps`;
        yield result(name, compared.filter((one) => one.kind === kind).map(({ at }) => at));
      }
      const prefix = `${variant}.${schedule}.step${steps_run}.`;
      yield await this.#tensorsResult(
        `${variant} ${schedule} parameters`,
        "parameters",
        prefix,
        await model.pool.read(),
      );
    } finally {
      await close();
    }
  }

  async *#merged(variant: string, adapter: Adapter, want: number): AsyncGenerator<GoldenResult> {
    const baseFolder = this.folder.folder("base");
    const out = new MemoryFolder("merged");
    const base = await WeightFiles.open(baseFolder);
    await mergeModel({ base, baseFolder, out, updates: loraUpdates(adapter) });
    await base.close();
    const { logits, loss } = await this.#logitsAndLoss(out);
    yield await this.#logitsResult(`${variant} merged`, `${variant}.merged.logits`, logits);
    yield this.#numberResult(`${variant} merged loss`, "loss", loss, want);
  }

  #open(base: Folder | BaseModel, trained: Folder | "all" | null) {
    return openModel(this.gpu, base, trained, this.limits, this.kernels);
  }

  #batch(index: number) {
    return batchOf(this.arrays, index, this.limits.rows, this.limits.length);
  }

  /** Gradients of one batch into the pool; its mean loss. */
  async #backward(model: TrainableModel, index: number): Promise<number> {
    const batch = this.#batch(index);
    model.clearGradients();
    model.clearTotals();
    await model.accumulate(batch, 1 / batch.trainedTokens);
    return (await model.totals()).summedLoss / batch.trainedTokens;
  }

  async #loss(model: TrainableModel): Promise<number> {
    const batch = this.#batch(0);
    model.clearTotals();
    await model.evaluate(batch);
    return (await model.totals()).summedLoss / batch.trainedTokens;
  }

  async #logitsAndLoss(base: Folder): Promise<{ logits: Float32Array; loss: number }> {
    const { model, close } = await this.#open(base, null);
    try {
      return { logits: await model.logits(this.#batch(0)), loss: await this.#loss(model) };
    } finally {
      await close();
    }
  }

  async #logitsResult(what: string, key: string, got: Float32Array): Promise<GoldenResult> {
    const want = await this.file.readF32(key);
    const compared = compareTensor("logits", got, want, this.#batch(0).mask, this.#precision);
    return result(`${this.name} ${what} logits`, [compared]);
  }

  #numberResult(what: string, kind: NumberKind, got: number, want: number): GoldenResult {
    return result(`${this.name} ${what}`, [compareNumber(kind, got, want, this.#precision)]);
  }

  /** Compares all tensors under a prefix; each must be there on both sides. */
  async #tensorsResult(
    what: string,
    kind: TensorKind,
    prefix: string,
    got: ReadonlyMap<string, Float32Array>,
  ): Promise<GoldenResult> {
    const wanted = [...this.file.infos.keys()].filter((key) => key.startsWith(prefix));
    const name = `${this.name} ${what}`;
    if (wanted.length !== got.size || !wanted.every((key) => got.has(key.slice(prefix.length)))) {
      return {
        name,
        outcome: "failed",
        detail: `the goldens hold ${wanted.length} tensors, the model ${got.size}`,
      };
    }
    const compared: Comparison[] = [];
    for (const key of wanted) {
      const values = got.get(key.slice(prefix.length))!, want = await this.file.readF32(key);
      compared.push(compareTensor(kind, values, want, undefined, this.#precision));
    }
    return result(name, compared);
  }
}

/** The worst of several comparisons of one kind. */
function result(name: string, compared: readonly Comparison[]): GoldenResult {
  const worst = compared.reduce((a, b) => (b.value > a.value || Number.isNaN(b.value) ? b : a));
  const failed = compared.filter(({ ok }) => !ok).length;
  const count = compared.length > 1 ? `${compared.length} compared, ` : "";
  const detail = `${count}${failed > 0 ? `${failed} failed, ` : ""}worst ${
    worst.value.toPrecision(2)
  } of ${worst.limit}`;
  return {
    name,
    outcome: failed > 0 ? "failed" : "passed",
    detail,
    worstShare: worst.limit === 0 ? (worst.ok ? 0 : Infinity) : worst.value / worst.limit,
  };
}

/** A folder in which one file reads as another. */
class ReplacedFile implements Folder {
  readonly uri: string;

  constructor(readonly inner: Folder, readonly replaced: string, readonly by: string) {
    this.uri = inner.uri;
  }

  #name = (name: string) => name === this.replaced ? this.by : name;
  list = () => this.inner.list();
  exists = (name: string) => this.inner.exists(this.#name(name));
  open = (name: string) => this.inner.open(this.#name(name));
  create = (name: string) => this.inner.create(this.#name(name));
  append = (name: string, bytes: Uint8Array) => this.inner.append(this.#name(name), bytes);
  sync = (name: string) => this.inner.sync(this.#name(name));
  truncate = (name: string, bytes: number) => this.inner.truncate(this.#name(name), bytes);
  remove = (name: string) => this.inner.remove(this.#name(name));
  folder = (name: string) => this.inner.folder(name);
  folders = () => this.inner.folders();
  createFolder = (name: string) => this.inner.createFolder(name);
  removeFolder = (name: string) => this.inner.removeFolder(name);
  removeLeftovers = () => this.inner.removeLeftovers();
}
