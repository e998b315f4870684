import { InterruptedError } from "../../src/cli/exit_codes.ts";
import type { CliIo, ModelRequest, Sink, WritingModel } from "../../src/cli/io.ts";
import type { FineTuneJobConfig } from "../../src/config.ts";
import { StorageNotFoundError } from "../../src/errors.ts";
import type { TrainingEvent } from "../../src/job.ts";

/** A sink that keeps what is written to it. */
export class RecordingSink implements Sink {
  text = "";
  constructor(readonly isTerminal = false, readonly columns = 100) {}
  write(text: string): void {
    this.text += text;
  }
}

export interface FakeIoOptions {
  readonly env?: Record<string, string>;
  readonly files?: Record<string, string>;
  readonly isTerminal?: boolean;
  /** What the job tells; a function may throw in the middle. */
  readonly events?: () => Iterable<TrainingEvent>;
  /** A signal that arrives while the job runs. */
  readonly interruptBy?: "SIGINT" | "SIGTERM";
  /** What standard input holds. */
  readonly input?: string;
  /** The model that is opened. */
  readonly model?: WritingModel;
}

/** A command's outside in memory, with the configuration its job was created with. */
export function fakeIo(
  { env = {}, files = {}, isTerminal = false, events, interruptBy, input = "", model }: FakeIoOptions = {},
) {
  const stdout = new RecordingSink(isTerminal);
  const stderr = new RecordingSink(isTerminal);
  const jobs: { config: FineTuneJobConfig; dryRun: boolean }[] = [];
  const requests: ModelRequest[] = [];
  let unread = input;
  const io: CliIo = {
    stdin: {
      isTerminal,
      text() {
        const text = unread;
        unread = "";
        return Promise.resolve(text);
      },
      line() {
        if (unread === "") return Promise.resolve(null);
        const [line, ...rest] = unread.split("\n");
        unread = rest.join("\n");
        return Promise.resolve(line!);
      },
    },
    stdout,
    stderr,
    env,
    readTextFile(path) {
      const text = files[path];
      return text === undefined
        ? Promise.reject(new StorageNotFoundError("no such file"))
        : Promise.resolve(text);
    },
    createJob(config, { dryRun, signal }) {
      jobs.push({ config, dryRun });
      async function* run() {
        for (const event of events?.() ?? []) {
          if (signal.aborted) throw new DOMException("stopped at step 1", "AbortError");
          yield await Promise.resolve(event);
        }
      }
      return Promise.resolve({ run });
    },
    openModel(request) {
      requests.push(request);
      return model ? Promise.resolve(model) : Promise.reject(new StorageNotFoundError("no model"));
    },
    untilInterrupted(work) {
      const controller = new AbortController();
      if (interruptBy) queueMicrotask(() => controller.abort(new InterruptedError(interruptBy)));
      return work(controller.signal);
    },
  };
  return { io, stdout, stderr, jobs, requests };
}

export const SUMMARY_EVENT: TrainingEvent = {
  type: "started",
  summary: {
    baseModel: "models/tiny",
    modelType: "llama",
    totalParameters: 260_032,
    trainableParameters: 12_352,
    adapter: "llvmpipe (LLVM 15.0.6, 256 bits)",
    softwareAdapter: true,
    choices: ["matmul: tile 32x12 from textures, fastest of 3"],
    trainExamples: 90,
    evalExamples: 10,
    trainableTokensPerEpoch: 4321,
    totalSteps: 400,
    stepsPerEpoch: 200,
    effectiveBatchSize: 8,
    memory: [{ what: "base weights", bytes: 1 << 20 }, { what: "adapter", bytes: 49_408 }],
  },
};

export function stepEvent(step: number, loss: number): TrainingEvent {
  return {
    type: "step",
    step,
    totalSteps: 400,
    epoch: step / 200,
    loss,
    learningRate: 1.8e-4,
    gradNorm: 0.618,
    trainedTokens: 100,
    tokens: 200,
    tokensPerSecond: 3100,
    etaSeconds: 134,
  };
}

export const FINISHED_EVENT: TrainingEvent = {
  type: "finished",
  status: "completed",
  steps: 400,
  seconds: 3723,
  evalLossBefore: 3.21,
  evalLossAfter: 1.104,
};
