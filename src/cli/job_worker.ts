/**
 * Runs one job in a worker. While a GPU is waited for, Deno's event loop stands still; in a thread of its own the job
 * does not hold up signals and output.
 *
 * @module
 */
import { parseFineTuneJobConfig } from "../config.ts";
import { type Communicator, ONE_RANK } from "../distributed/communicator.ts";
import { launchedRank } from "../distributed/launched.ts";
import { MpiCommunicator } from "../distributed/mpi.ts";
import { createFineTuneJob } from "../fine_tune_job.ts";
import { cacheFolder } from "./cache_folder.ts";
import { dataFiles } from "./hub.ts";
import { loadPlugins } from "./load_plugins.ts";
import { errorData, type FromWorker, type ToWorker } from "./job_protocol.ts";
import { startLogging } from "./log_output.ts";
import type { LogSetting } from "./log_setting.ts";
import { machineMemory } from "./machine_memory.ts";
import { withoutRequestSpans } from "./open_telemetry.ts";
import { openLocalScratch } from "../storage/local_scratch.ts";
import { openStorage } from "../storage/open.ts";
import { finderIn } from "./model_source.ts";
import { openFolder } from "./open_folder.ts";
import { partsOf } from "./plugin_parts.ts";

/** What a worker's global scope has, and the types of the main thread do not name. */
const scope = globalThis as unknown as {
  onmessage: ((message: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
};

const stop = new AbortController();

scope.onmessage = ({ data }) => {
  if (data.type === "stop") stop.abort();
  else void withoutRequestSpans(Deno.env.toObject(), () => run(data.config, data.dryRun, data.logs));
};

/** The other ranks, if `mpirun` has started this process. */
function openRanks(): Communicator {
  return launchedRank(Deno.env.toObject()).size > 1 ? MpiCommunicator.open() : ONE_RANK;
}

async function run(
  wire: Readonly<Record<string, unknown>>,
  dryRun: boolean,
  logs: LogSetting | null,
): Promise<void> {
  if (logs) await startLogging({ ...logs, write: (lines) => scope.postMessage({ type: "log", lines }) });
  const tuning = cacheFolder();
  try {
    const ranks = openRanks();
    const plugins = await loadPlugins((wire.plugins ?? []) as string[]);
    const job = createFineTuneJob(parseFineTuneJobConfig(wire, plugins), {
      files: openFolder,
      plugins,
      storage: openStorage,
      findModel: finderIn(partsOf(plugins).open),
      dataFiles,
      scratch: () => openLocalScratch(tuning?.uri ?? null),
      dryRun,
      measuresStep: dryRun,
      ranks,
      signal: stop.signal,
      availableMemoryBytes: machineMemory().availableBytes,
      ...(tuning ? { tuning } : {}),
    });
    for await (const event of job.run()) scope.postMessage({ type: "event", event });
    await ranks.close();
    scope.postMessage({ type: "over", error: null });
  } catch (error) {
    const stopped = stop.signal.aborted && error === stop.signal.reason;
    scope.postMessage(stopped ? { type: "stopped" } : { type: "over", error: errorData(error) });
  }
}
