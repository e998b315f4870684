/**
 * The worker that trains: the same jobs as the command line's, on files of the page's server and of the browser.
 *
 * Paths below `runs/` and `device/` lie in the browser's own storage, those below `picked/` are files that the user
 * picked; all others are addresses relative to the page.
 *
 * @module
 */
import * as z from "zod/mini";
import { parseFineTuneJobConfig } from "../src/config.ts";
import { StorageDeniedError } from "../src/errors.ts";
import { createFineTuneJob } from "../src/fine_tune_job.ts";
import type { JobTracker } from "../src/job_tracker.ts";
import type { Folder } from "../src/storage.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { webGpuGate } from "./gate.ts";
import type { ServerAccess } from "./lowrank_server.ts";
import type {
  NoteOf,
  Question,
  Questions,
  WorkerCommand,
  WorkerMessage,
  WriterQuestion,
} from "./protocol.ts";
import { plainError } from "./protocol/plain_error.ts";
import type { RunStore } from "./protocol/runs.ts";
import { OpfsFolder } from "./storage/opfs_storage.ts";
import { webLock } from "./storage/web_lock.ts";
import type { ChatModel } from "./worker/chat_model.ts";
import { DataDesk } from "./worker/data_desk.ts";
import { DataShelf } from "./worker/data_shelf.ts";
import { deviceFacts } from "./worker/device_facts.ts";
import { noteHandedOver } from "./worker/handed_over.ts";
import { ModelShelf } from "./worker/model_shelf.ts";
import { PageFiles } from "./worker/page_files.ts";
import { planJob } from "./worker/plan_job.ts";
import { RunLibrary } from "./worker/run_library.ts";
import { holdLife } from "./worker_life.ts";

// zod would try to compile its checks, which the page's content policy forbids
z.config({ jitless: true });

/** While a submission runs, a GPU draws no page. */
const SUBMISSION_MS = 40;

/** What is kept for the page's next command. */
interface Session {
  readonly root: Folder;
  readonly store: RunStore;
  readonly library: RunLibrary;
  readonly files: PageFiles;
  readonly shelf: ModelShelf;
  readonly data: DataDesk;
  /** What was asked and is not answered yet, by id. */
  readonly asked: Map<number, AbortController>;
  /** What is talked to; null until somebody does. */
  chat: Promise<ChatModel> | null;
  /** Aborts the running job; null while none runs. */
  running: AbortController | null;
  /** Makes the step that the running job is at its last. */
  finishing: AbortController;
  /** Whether the running job is to answer its prompts after the step that it is at. */
  answering: boolean;
  /** Aborts the plan that is made. */
  planning: AbortController;
}

const session = openSession();

async function openSession(): Promise<Session> {
  await holdLife();
  const { root, store } = await openRoot();
  const files = new PageFiles(root, self.location.href);
  const [library, shelf, data] = [new RunLibrary(root), new ModelShelf(files), new DataDesk(files)];
  const [planning, finishing] = [new AbortController(), new AbortController()];
  const idle = { chat: null, running: null, finishing, answering: false, planning };
  return { root, store, files, library, shelf, data, asked: new Map(), ...idle };
}

async function openRoot(): Promise<Pick<Session, "root" | "store">> {
  try {
    return { root: await OpfsFolder.open(), store: "device" };
  } catch (error) {
    if (!(error instanceof StorageDeniedError)) throw error;
    return { root: new MemoryFolder("memory"), store: "memory" };
  }
}

function tell(message: WorkerMessage): void {
  self.postMessage(message);
}

/** Tells the page's server how a run stands. One that does not listen never stops the run. */
async function trackerOf(access: ServerAccess, jobId: string): Promise<JobTracker> {
  const { ReportingTracker } = await import("./worker/reporting_tracker.ts");
  const warn = (message: string) => tell({ type: "event", event: { type: "warning", message } });
  return new ReportingTracker(access, jobId, { warn });
}

type StartCommand = Extract<WorkerCommand, { type: "start" }>;

async function start(current: Session, { config: wire, server, onlyOneStep }: StartCommand): Promise<void> {
  const { root, library, files } = current;
  current.planning.abort(); // the run says itself what it takes
  const stopper = current.running = new AbortController();
  current.finishing = new AbortController();
  current.answering = false;
  const answersNow = () => {
    const { answering } = current;
    current.answering = false;
    return answering;
  };
  let name: string | null = null;
  const resumable = async () => name === null ? null : await library.resumable(name);
  const lock = await webLock("lowrank training");
  try {
    if (!lock) {
      throw new Error(
        "Another tab of this page is training and takes the GPU: wait for its end, or pause it there",
      );
    }
    await (await current.chat)?.close(); // its memory is the run's
    const config = parseFineTuneJobConfig(wire);
    name = config.job.outputDir.replace(/^runs\//, "");
    await noteHandedOver(files.at(config.job.outputDir), null);
    const { id: jobId } = config.job;
    const job = createFineTuneJob(config, {
      files: files.at,
      readings: current.data.readings,
      signal: stopper.signal,
      finish: current.finishing.signal,
      answersNow,
      tuning: root.folder("tuning"),
      ...(server && jobId !== null ? { tracker: await trackerOf(server, jobId) } : {}),
      gpu: { submissionMs: SUBMISSION_MS },
    });
    for await (const event of job.run()) {
      tell({ type: "event", event });
      if (onlyOneStep && event.type === "step") stopper.abort();
    }
    tell({ type: "completed" });
  } catch (error) {
    if (stopper.signal.aborted) tell({ type: "stopped", resumable: await resumable() });
    else tell({ type: "failed", error: plainError(error), resumable: await resumable().catch(() => null) });
  } finally {
    current.running = null;
    await lock?.release();
  }
}

/** What a question that takes long is given beside its input. */
interface Asked<Q extends Question> {
  /** Aborted when the answer is no longer wanted. */
  readonly signal: AbortSignal;
  readonly note: (note: NoteOf<Q>) => void;
}

/** @throws {Error} While a job runs: it takes the whole GPU. */
function chatOf(current: Session): Promise<ChatModel> {
  if (current.running) throw new Error("A run is going on and takes the GPU: pause it to talk");
  return current.chat ??= (async () => {
    const { ChatModel } = await import("./worker/chat_model.ts");
    return new ChatModel(current.files.at, SUBMISSION_MS);
  })();
}

/** What this worker answers. */
type OwnQuestion = Exclude<Question, WriterQuestion>;

type Answers = {
  readonly [Q in OwnQuestion]: (
    input: Questions[Q]["input"],
    asked: Asked<Q>,
  ) => Promise<Questions[Q]["answer"]>;
};

function answersOf(current: Session): Answers {
  const { root, store, library, files, shelf, data } = current;
  const dataShelf = new DataShelf(files.at, () => library.list());
  return {
    open: async () => ({ store, runs: await library.list() }),
    gate: () => webGpuGate(self),
    runs: () => library.list(),
    openRun: (name) => library.open(name),
    runGlances: () => library.glances(),
    renameRun: async ({ run, name }) => {
      await library.rename(run, name);
      return null;
    },
    removeRun: async (name) => {
      await library.remove(name);
      return null;
    },
    readFile: ({ run, path }) => library.read(run, path),
    runHoldings: (name) => library.holdings(name),
    exportRun: async (order, { signal, note }) => {
      const { exportRun } = await import("./worker/run_export.ts");
      return await exportRun(order, { root, files, signal, onProgress: note });
    },
    openChat: async (subject) => await (await chatOf(current)).open(subject),
    say: async (order, { signal, note }) => await (await chatOf(current)).say(order, signal, note),
    closeChat: async () => {
      await (await current.chat)?.close();
      return null;
    },
    onnxModel: async (order, { signal }) => {
      const { onnxModel } = await import("./worker/onnx_export.ts");
      return await onnxModel(order, { root, files, signal });
    },
    models: () => shelf.list(),
    serverModels: () => shelf.listServer(),
    conversationFacts: (uri) => shelf.conversationFacts(uri),
    modelPath: (uri) => shelf.path(uri),
    modelFacts: (uri) => shelf.facts(uri),
    pickModel: (picked) => {
      data.forgetModels();
      return shelf.pick(picked);
    },
    keepModel: async (picked) => {
      const path = await shelf.keep(picked);
      data.forgetModels();
      return path;
    },
    removeModel: async (uri) => {
      data.forgetModels();
      await shelf.remove(uri);
      return null;
    },
    bucketModels: async (places, { signal }) => {
      const { listBucketModels } = await import("./worker/bucket_models.ts");
      return await listBucketModels(places, signal);
    },
    bucketModel: async (order, { signal }) => {
      const { lookAtBucketModel } = await import("./worker/bucket_models.ts");
      return await lookAtBucketModel(order, files, signal);
    },
    downloadModel: async (order, { signal, note }) => {
      const { keepBucketModel } = await import("./worker/bucket_models.ts");
      return await keepBucketModel(order, files, { signal, onProgress: note });
    },
    keepData: (given) => dataShelf.keep(given),
    dataFacts: (wire, asked) => data.facts(parseFineTuneJobConfig(wire), asked),
    peekData: ({ config, ...given }) => data.peek(parseFineTuneJobConfig(config), given),
    dataRow: ({ config, row }) => data.row(parseFineTuneJobConfig(config), row),
    plan: (wire) => {
      current.planning.abort(); // of two plans the later one is wanted
      current.planning = new AbortController();
      return planJob(parseFineTuneJobConfig(wire), files, current.planning.signal, data.readings);
    },
    device: ({ measure }) => deviceFacts(measure),
    startOnServer: async (config) => {
      const { startOnServer } = await import("./worker/hand_over.ts");
      return await startOnServer(config, files);
    },
    handOver: async (run) => {
      const { handOver } = await import("./worker/hand_over.ts");
      return await handOver(run, files);
    },
    bringBack: async (run) => {
      const { bringBack } = await import("./worker/bring_back.ts");
      return await bringBack(run, files);
    },
    takeJob: async (order) => {
      const { takeJob } = await import("./worker/bring_back.ts");
      return await takeJob(order, files, shelf);
    },
  };
}

async function answer(current: Session, id: number, question: OwnQuestion, input: unknown): Promise<void> {
  const controller = new AbortController();
  current.asked.set(id, controller);
  const asked = { signal: controller.signal, note: (note: unknown) => tell({ type: "note", id, note }) };
  try {
    tell({ type: "answer", id, value: await answersOf(current)[question](input as never, asked) });
  } catch (error) {
    tell({ type: "refused", id, error: plainError(error) });
  } finally {
    current.asked.delete(id);
  }
}

self.addEventListener("message", async ({ data: command }: MessageEvent<WorkerCommand>) => {
  const current = await session;
  if (command.type === "ask" || command.type === "start") current.files.server = command.server;
  switch (command.type) {
    case "ask":
      return await answer(current, command.id, command.question as OwnQuestion, command.input);
    case "start":
      return await start(current, command);
    case "cancel":
      return current.asked.get(command.id)?.abort();
    case "stop":
      return current.running?.abort();
    case "finish":
      return current.finishing.abort();
    case "answerNow":
      current.answering = true;
  }
});
