/**
 * The page: asks whether this browser can train, starts the worker, and shows what it tells.
 *
 * @module
 */
import { webGpuGate } from "./gate.ts";
import { plainError, type WorkerCommand, type WorkerMessage } from "./protocol.ts";
import { RunView } from "./run_view.ts";

type Wire = Readonly<Record<string, unknown>>;

/** The job of this page, in the form that config files have. */
async function readJob(): Promise<Wire> {
  const response = await fetch("defaults.json");
  if (!response.ok) throw new Error(`Cannot read defaults.json: the server answered ${response.status}`);
  return await response.json();
}

function connect(job: Wire): void {
  const worker = new Worker(new URL("worker.js", document.baseURI), { type: "module" });
  const ask = (command: WorkerCommand) => worker.postMessage(command);
  const run = (options: Wire) => {
    view.showStarting(options.resume === undefined);
    ask({ type: "start", config: { ...job, ...options } });
  };
  view.onStart = () => run({ overwrite: true });
  view.onResume = () => run({ resume: "auto" });
  view.onStop = () => {
    view.showStopping();
    ask({ type: "stop" });
  };
  worker.addEventListener("message", ({ data }: MessageEvent<WorkerMessage>) => show(data));
  worker.addEventListener("error", ({ message }) => {
    const failed = `The worker cannot run: ${message || "its script did not load"}; reload the page`;
    view.showProblem({ name: "Error", message: failed, issues: [] });
  });
  ask({ type: "open", outputDir: `runs/${job.output_model_name}` });
}

function show(message: WorkerMessage): void {
  switch (message.type) {
    case "ready":
      view.showStore(message.store);
      return view.showIdle(message.resumable);
    case "event":
      return view.showEvent(message.event);
    case "completed":
      view.showFiles(message.files);
      return view.showIdle(null);
    case "stopped":
      view.showStopped();
      return view.showIdle(message.resumable);
    case "failed":
      view.showProblem(message.error);
      return view.showIdle(message.resumable);
  }
}

const view = new RunView();
try {
  const job = await readJob();
  view.showJob(job);
  const gate = await webGpuGate(globalThis);
  view.showGate(gate);
  if (gate.open) connect(job);
} catch (error) {
  view.showProblem(plainError(error));
}
