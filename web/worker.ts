/**
 * The worker that trains: the same jobs as the command line's, on files of the page's server and of the browser.
 *
 * Paths below `runs/` lie in the browser's own storage; all others are addresses relative to the page.
 *
 * @module
 */
import * as z from "zod/mini";
import { listCheckpoints } from "../src/checkpoint/resume.ts";
import { parseFineTuneJobConfig } from "../src/config.ts";
import { StorageDeniedError } from "../src/errors.ts";
import { createFineTuneJob } from "../src/fine_tune_job.ts";
import { METRICS_FILE, RUN_FILE } from "../src/run_files.ts";
import { type Folder, readText } from "../src/storage.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { HttpFolder } from "./http_folder.ts";
import { OpfsFolder } from "./opfs_storage.ts";
import {
  plainError,
  type RunFile,
  type RunStore,
  type WorkerCommand,
  type WorkerMessage,
} from "./protocol.ts";

// zod would try to compile its checks, which the page's content policy forbids
z.config({ jitless: true });

/** While a submission runs, a GPU draws no page. */
const SUBMISSION_MS = 40;

/** What is kept for the page's next command. */
interface Session {
  readonly root: Folder;
  readonly store: RunStore;
  /** Aborts the running job; null while none runs. */
  running: AbortController | null;
}

const session = openSession();

async function openSession(): Promise<Session> {
  try {
    return { root: await OpfsFolder.open(), store: "device", running: null };
  } catch (error) {
    if (!(error instanceof StorageDeniedError)) throw error;
    return { root: new MemoryFolder("memory"), store: "memory", running: null };
  }
}

function tell(message: WorkerMessage, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

/** Finds folders for a job. */
function filesOf(root: Folder): (uri: string) => Folder {
  return (uri) => {
    const path = uri.split("/").filter((part) => part !== "" && part !== ".");
    if (path[0] === "runs") return root.folder(path.join("/"));
    return new HttpFolder(new URL(uri, self.location.href), path.join("/") || ".");
  };
}

/** Steps that a run can go on from; null if it was completed or left no checkpoint. */
async function resumableStep(output: Folder): Promise<number | null> {
  const last = (await listCheckpoints(output)).at(-1);
  if (last === undefined || !await output.exists(RUN_FILE)) return null;
  const { status } = JSON.parse(await readText(output, RUN_FILE));
  return status === "completed" ? null : last;
}

async function start(current: Session, wire: Readonly<Record<string, unknown>>): Promise<void> {
  const { root } = current;
  const stopper = current.running = new AbortController();
  let outputDir: string | null = null;
  const resumable = async () => outputDir === null ? null : await resumableStep(root.folder(outputDir));
  try {
    const config = parseFineTuneJobConfig(wire);
    outputDir = config.job.outputDir;
    const job = createFineTuneJob(config, {
      files: filesOf(root),
      signal: stopper.signal,
      tuning: root.folder("tuning"),
      gpu: { submissionMs: SUBMISSION_MS },
    });
    for await (const event of job.run()) tell({ type: "event", event });
    const files = await madeFiles(root.folder(outputDir));
    tell({ type: "completed", files }, files.map(({ bytes }) => bytes.buffer));
  } catch (error) {
    if (stopper.signal.aborted) tell({ type: "stopped", resumable: await resumable() });
    else tell({ type: "failed", error: plainError(error), resumable: await resumable().catch(() => null) });
  } finally {
    current.running = null;
  }
}

/** The adapter's files and the metrics. */
async function madeFiles(output: Folder): Promise<RunFile[]> {
  const adapter = output.folder("adapter");
  const files: RunFile[] = [];
  for (const name of await adapter.list()) files.push({ name, bytes: await readBytes(adapter, name) });
  return [...files, { name: METRICS_FILE, bytes: await readBytes(output, METRICS_FILE) }];
}

async function readBytes(folder: Folder, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const file = await folder.open(name);
  try {
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

self.addEventListener("message", async ({ data: command }: MessageEvent<WorkerCommand>) => {
  const current = await session;
  switch (command.type) {
    case "open": {
      const resumable = await resumableStep(current.root.folder(command.outputDir));
      return tell({ type: "ready", store: current.store, resumable });
    }
    case "start":
      return await start(current, command.config);
    case "stop":
      return current.running?.abort();
  }
});
