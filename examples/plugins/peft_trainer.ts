/**
 * Trains with PEFT and PyTorch in a Python process, on the very rows, in the order and at the learning rates that Lowrank
 * would train on.
 *
 *     LOWRANK_PYTHON=venv/bin/python lowrank train --plugin examples/plugins/peft_trainer.ts --trainer peft ...
 *
 * Needs a model folder on this machine and a Python with torch, transformers and peft; `LOWRANK_PYTHON` names it, default
 * `python3`. Checkpoints and quantised bases are not supported.
 *
 * @module
 */
import {
  ConfigError,
  type ConfigIssue,
  definePlugin,
  DivergedError,
  type FineTuneJobConfig,
  readAdapter,
  type Trainer,
  type TrainingEvent,
  type TrainingSession,
} from "lowrank";
import { LocalFolder } from "lowrank/storage/local";

/** How the process is started; a folder with its request is added. */
export type TrainerCommand = readonly [program: string, ...args: string[]];

/** What the process says, a line each. */
type Told =
  | { readonly type: "missing"; readonly module: string }
  | {
    readonly type: "ready";
    readonly device: string;
    readonly on_cpu: boolean;
    readonly torch: string;
    readonly trainable_parameters: number;
  }
  | {
    readonly type: "step";
    readonly step: number;
    readonly loss: number;
    readonly grad_norm: number;
    readonly learning_rate: number;
    readonly trained_tokens: number;
    readonly tokens: number;
    readonly accuracy: number;
    readonly seconds: number;
  }
  | {
    readonly type: "evaluated";
    readonly step: number;
    readonly loss: number;
    readonly tokens: number;
    readonly accuracy: number;
    readonly seconds: number;
  }
  | { readonly type: "saved" };

/** Time that a process has to end after it was told to. */
const ENDING_MS = 5000;
/** Of what it wrote to standard error, the part that an error shows. */
const SHOWN_LINES = 5;

const SCRIPT = new URL("./peft_trainer.py", import.meta.url);

/** The Python that the environment names, with the script beside this file. */
export function pythonCommand(): TrainerCommand {
  return [Deno.env.get("LOWRANK_PYTHON") || "python3", decodeURIComponent(SCRIPT.pathname)];
}

export class PeftTrainer implements Trainer {
  readonly name = "peft";
  readonly #command: () => TrainerCommand;

  /** @param command Default {@link pythonCommand}. */
  constructor(command: () => TrainerCommand = pythonCommand) {
    this.#command = command;
  }

  refusals({ job, lora, quantization, training }: FineTuneJobConfig): ConfigIssue[] {
    const { lrSchedulerType } = training;
    const refused: readonly (readonly [option: string, isSet: boolean])[] = [
      ["load_in_4bit", quantization.loadIn4bit],
      ["load_in_8bit", quantization.loadIn8bit],
      ["resume", job.resume !== null && job.resume !== "auto"],
      ["adapter_path", job.adapterPath !== null],
      ["bias", lora.bias !== "none"],
      ["modules_to_save", lora.modulesToSave !== null],
      ["rank_pattern", Object.keys(lora.rankPattern).length > 0],
      ["alpha_pattern", Object.keys(lora.alphaPattern).length > 0],
      ["init_lora_weights", lora.initLoraWeights !== true],
      ["packing", training.packing || training.evalPacking === true],
      ["optim", training.optim !== "adamw_torch"],
      ["lr_scheduler_type", lrSchedulerType === "greedy" || lrSchedulerType === "reduce_lr_on_plateau"],
      ["loraplus_lr_ratio", training.loraplusLrRatio !== 1],
      ["neftune_noise_alpha", training.neftuneNoiseAlpha !== null],
      ["early_stopping_patience", training.earlyStoppingPatience > 0],
      ["load_best_model_at_end", training.loadBestModelAtEnd],
      ["num_generation_samples", training.numGenerationSamples > 0],
      ["sample_prompts", training.samplePrompts.length > 0],
      ["exact_match", training.exactMatch],
    ];
    const message =
      "is not supported by the trainer peft: leave it at its default, or choose trainer lowrank";
    return refused.filter(([, isSet]) => isSet).map(([path]) => ({ path, message }));
  }

  async *train(session: TrainingSession): AsyncGenerator<TrainingEvent> {
    const folder = await Deno.makeTempDir({ prefix: "lowrank-peft-" });
    try {
      await writeRequest(folder, session);
      yield { type: "phase", message: "starting PyTorch" };
      yield* this.#events(folder, session);
      if (session.dryRun) return;
      yield* session.save(await readAdapter(new LocalFolder(`${folder}/adapter`)));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  async *#events(folder: string, session: TrainingSession): AsyncGenerator<TrainingEvent> {
    const { signal } = session, command = this.#command();
    const process = startProcess([...command, folder]);
    const stop = () => endProcess(process, "SIGTERM");
    const stderr = lastLines(process.stderr);
    let isOver = false, tokens = 0;
    signal.addEventListener("abort", stop, { once: true });
    try {
      signal.throwIfAborted();
      for await (const told of messages(process.stdout)) {
        if (told.type === "missing") throw missing(command[0], told.module);
        if (told.type === "ready") {
          yield* session.describe({
            device: { name: told.device, software: told.on_cpu },
            trainableParameters: told.trainable_parameters,
            choices: [`PEFT on torch ${told.torch}, in f32`],
          });
          if (!session.dryRun) await session.begin();
        } else if (told.type === "step") {
          tokens += told.tokens;
          if (!Number.isFinite(told.loss) || !Number.isFinite(told.grad_norm)) throw diverged(told.step);
          if (isReported(told.step, session)) yield stepEvent(told, tokens, session);
        } else if (told.type === "evaluated") yield evaluatedEvent(told, session);
        isOver ||= told.type === "saved" || (told.type === "ready" && session.dryRun);
      }
      const { code } = await process.status;
      signal.throwIfAborted();
      if (isOver && code === 0) return;
      const said = (await stderr).join("\n");
      throw new Error(
        `The trainer's process ended with code ${code} before it was done${said && `:\n${said}`}`,
      );
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
      await Promise.all([process.status, stderr, process.stdout.cancel().catch(() => {})]);
    }
  }
}

/** Everything that the process needs: options, steps, and rows as token ids. */
async function writeRequest(folder: string, session: TrainingSession): Promise<void> {
  const { config: { lora, training }, steps: { totalSteps } } = session;
  const request = {
    base_model: session.base.folder.uri,
    dry_run: session.dryRun,
    seed: training.seed,
    pad_id: session.data.padId,
    eval_batch_size: training.evalBatchSize,
    max_grad_norm: training.maxGradNorm,
    lora: {
      r: lora.r,
      lora_alpha: lora.alpha,
      lora_dropout: lora.dropout,
      target_modules: session.targetPaths,
      use_rslora: lora.useRslora,
      use_dora: lora.useDora,
    },
    adamw: {
      lr: training.learningRate,
      betas: [training.adamBeta1, training.adamBeta2],
      eps: training.adamEpsilon,
      weight_decay: training.weightDecay,
    },
    steps: Array.from({ length: totalSteps }, (_, i) => ({
      learning_rate: session.learningRate(i + 1),
      micro_batches: session.microBatches(i + 1),
      evaluate: isEvaluated(i + 1, session),
    })),
  };
  await Deno.writeTextFile(`${folder}/request.json`, JSON.stringify(request));
  await writeRows(`${folder}/train.jsonl`, session.data.train);
  await writeRows(`${folder}/eval.jsonl`, session.data.eval);
}

async function writeRows(path: string, rows: TrainingSession["data"]["train"]): Promise<void> {
  const file = await Deno.create(path), encoder = new TextEncoder();
  const writer = file.writable.getWriter();
  try {
    for (const { inputIds, labels } of rows) {
      const line = JSON.stringify({ input_ids: [...inputIds], labels: [...labels] });
      await writer.write(encoder.encode(`${line}\n`));
    }
  } finally {
    await writer.close();
  }
}

/** Whether something comes after this step that comes every so many, or below 1 after such a share of all. */
function isDue(step: number, setting: number, totalSteps: number): boolean {
  const interval = setting < 1 ? Math.ceil(setting * totalSteps) : setting;
  return interval > 0 && step % interval === 0;
}

function isEvaluated(step: number, { config: { training }, steps }: TrainingSession): boolean {
  const { evalStrategy, evalSteps } = training, { totalSteps, stepsPerEpoch } = steps;
  if (step === totalSteps) return true;
  if (evalStrategy === "epoch") return step % stepsPerEpoch === 0;
  return evalStrategy === "steps" && isDue(step, evalSteps, totalSteps);
}

function isReported(step: number, { config: { training }, steps: { totalSteps } }: TrainingSession): boolean {
  return step === totalSteps || isDue(step, training.loggingSteps, totalSteps);
}

function stepEvent(
  told: Extract<Told, { type: "step" }>,
  tokens: number,
  session: TrainingSession,
): TrainingEvent {
  const { totalSteps } = session.steps;
  return {
    type: "step",
    step: told.step,
    totalSteps,
    epoch: session.epochAfter(told.step),
    loss: told.loss,
    learningRate: told.learning_rate,
    gradNorm: told.grad_norm,
    tokenAccuracy: told.accuracy,
    trainedTokens: told.trained_tokens,
    tokens,
    tokensPerSecond: told.tokens / told.seconds,
    etaSeconds: (totalSteps - told.step) * told.seconds,
  };
}

function evaluatedEvent(
  { step, loss, tokens, accuracy, seconds }: Extract<Told, { type: "evaluated" }>,
  session: TrainingSession,
): TrainingEvent {
  const found = { evalLoss: loss, evalTokens: tokens, evalTokenAccuracy: accuracy, evalSeconds: seconds };
  return { type: "evaluated", step, epoch: session.epochAfter(step), ...found };
}

function startProcess([program, ...args]: readonly string[]): Deno.ChildProcess {
  try {
    return new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const message = `"${program}" is not there: name a Python with torch, transformers and peft`;
    throw new ConfigError([{ path: "LOWRANK_PYTHON", message }]);
  }
}

function diverged(step: number): DivergedError {
  return new DivergedError(
    `The loss or a gradient of step ${step} is not a finite number: lower learning_rate`,
    step,
  );
}

function missing(python: string, module: string): ConfigError {
  const message =
    `"${python}" has no module "${module}": ${python} -m pip install torch transformers peft, or name ` +
    "another Python";
  return new ConfigError([{ path: "LOWRANK_PYTHON", message }]);
}

/** Asks a process to end, and ends it if it does not. */
function endProcess(process: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    process.kill(signal);
  } catch {
    return; // it has ended
  }
  const timer = setTimeout(() => endProcess(process, "SIGKILL"), ENDING_MS);
  process.status.finally(() => clearTimeout(timer));
}

/** Objects of a stream of lines; what is none was printed by something else. */
async function* messages(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Told> {
  for await (const line of linesOf(stream)) {
    if (!line.startsWith("{")) continue;
    // Python writes numbers that are none without quotes; a loss that is one ends the run as failed
    yield JSON.parse(line.replace(/: (-?Infinity|NaN)/g, ": null"));
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

async function lastLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string[]> {
  const last: string[] = [];
  for await (const line of linesOf(stream)) {
    last.push(line);
    if (last.length > SHOWN_LINES) last.shift();
  }
  return last;
}

export default definePlugin({ apiVersion: 1, name: "peft-trainer", trainers: [new PeftTrainer()] });
