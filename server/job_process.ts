/**
 * The process of one job. Its order is the first line of standard input, as JSON; `stop`, or the end of the input when
 * the server is gone, has it save a checkpoint and end. What it tells goes to standard output, a JSON object a line, in the
 * words of `src/cli/job_protocol.ts`.
 *
 * @module
 */
import { errorData, type FromWorker } from "../src/cli/job_protocol.ts";
import { quietMesa } from "../src/cli/quiet_mesa.ts";
import { WorkerJob } from "../src/cli/worker_job.ts";
import { parseFineTuneJobConfig } from "../src/config.ts";
import { linesOf } from "../src/text_lines.ts";
import { say } from "./launchers/said.ts";

/** Held for as long as the process lives: a server that starts again waits for the process of its predecessor here. */
const LOCK_FILE = "process.lock";

/** Tells the server. @returns Whether it is there to hear it. */
function tell(word: FromWorker): boolean {
  try {
    say(word);
    return true;
  } catch {
    return false; // the server has gone
  }
}

async function main(): Promise<void> {
  quietMesa();
  const lock = await Deno.open(LOCK_FILE, { write: true, create: true });
  await lock.lock(true);
  const lines = linesOf(Deno.stdin.readable)[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done) return;
  const stop = new AbortController();
  const listen = async () => {
    for (let line = await lines.next(); !line.done && line.value !== "stop";) line = await lines.next();
    stop.abort();
  };
  void listen();
  // Ctrl-C and process managers signal the whole group: the server and its jobs at the same moment
  for (const signal of Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  try {
    const { config } = JSON.parse(first.value);
    const job = new WorkerJob(parseFineTuneJobConfig(config), { dryRun: false, signal: stop.signal });
    for await (const event of job.run()) {
      if (!tell({ type: "event", event })) stop.abort();
    }
    tell({ type: "over", error: null });
  } catch (error) {
    const isStop = stop.signal.aborted && error === stop.signal.reason;
    if (!isStop) console.error(error);
    tell(isStop ? { type: "stopped" } : { type: "over", error: errorData(error) });
  }
}

if (import.meta.main) {
  await main();
  Deno.exit(0); // whatever still waits on standard input
}
