/**
 * A job that runs in a worker, seen from the thread that started it.
 *
 * @module
 */
import { type FineTuneJobConfig, toWire } from "../config.ts";
import type { TrainingEvent } from "../job.ts";
import type { RunnableJob } from "./io.ts";
import type { LogOutput } from "./log_output.ts";
import { errorFrom, type FromWorker, type ToWorker } from "./job_protocol.ts";

/** The part of a `Worker` that is needed. */
export interface JobWorker {
  onmessage: ((message: MessageEvent<FromWorker>) => void) | null;
  onerror: ((error: ErrorEvent) => void) | null;
  postMessage(message: ToWorker): void;
  terminate(): void;
}

/** How a job runs. */
export interface WorkerJobOptions {
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  /** Takes what the worker logs; absent: it logs nothing. */
  readonly logs?: LogOutput;
}

/** How long a worker that is over stays idle, milliseconds. */
const IDLE_MS = 1000;

/**
 * A worker that ends a little after it is told to: where the process exits at the same time as a thread takes the GPU's
 * driver down, Mesa may crash or hang it (exit code 139).
 */
function startWorker(): JobWorker {
  const worker = new Worker(new URL("./job_worker.ts", import.meta.url), { type: "module", name: "job" });
  const end = worker.terminate.bind(worker);
  worker.terminate = () => Deno.unrefTimer(setTimeout(end, IDLE_MS));
  return worker;
}

/** A job of a configuration that runs in a worker, started when its events are asked for. */
export class WorkerJob implements RunnableJob {
  readonly #config: FineTuneJobConfig;
  readonly #options: WorkerJobOptions;
  readonly #start: () => JobWorker;

  constructor(
    config: FineTuneJobConfig,
    options: WorkerJobOptions,
    start: () => JobWorker = startWorker,
  ) {
    this.#config = config;
    this.#options = options;
    this.#start = start;
  }

  /**
   * The job's events as they come.
   *
   * @throws What the job threw, rebuilt by its class. @throws The signal's reason once the job has stopped because of it.
   */
  async *run(): AsyncGenerator<TrainingEvent> {
    const { dryRun, signal, logs } = this.#options;
    const worker = this.#start();
    const messages = new ReadableStream<FromWorker>({
      start(controller) {
        worker.onmessage = ({ data }) => controller.enqueue(data);
        worker.onerror = (event) => {
          event.preventDefault();
          controller.error(new Error(`The job's worker failed: ${event.message}`));
        };
      },
    });
    const stop = () => worker.postMessage({ type: "stop" });
    try {
      const setting = logs ? { level: logs.level, format: logs.format } : null;
      worker.postMessage({ type: "run", config: toWire(this.#config), dryRun, logs: setting });
      signal.addEventListener("abort", stop);
      if (signal.aborted) stop();
      for await (const message of messages) {
        if (message.type === "event") yield message.event;
        else if (message.type === "log") logs?.write(message.lines);
        else if (message.type === "stopped") throw signal.reason;
        else if (message.error) throw errorFrom(message.error);
        else return;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      worker.terminate();
    }
  }
}
