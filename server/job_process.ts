/**
 * The process of one job. What it tells goes to standard output, a JSON object a line, in the words of
 * `src/cli/job_protocol.ts`.
 *
 *     job_process.ts             its order is the first line of standard input, as JSON; the line `stop`, or the end of the
 *                                input when the server is gone, has it save a checkpoint and end
 *     job_process.ts ORDER       its order is a file; only signals stop it
 *     job_process.ts ORDER -     the same, but `stop` and the end of the input stop it, too
 *
 * Of several ranks that `mpirun` starts with a file, the first listens and tells.
 *
 * @module
 */
import { stopSignals } from "../src/cli/deno_io.ts";
import { errorData, type FromWorker } from "../src/cli/job_protocol.ts";
import { quietMesa } from "../src/cli/quiet_mesa.ts";
import { letLeadTell, rankVariables } from "../src/cli/ranks.ts";
import { WorkerJob } from "../src/cli/worker_job.ts";
import { parseFineTuneJobConfig } from "../src/config.ts";
import { RankStoppedError } from "../src/distributed/communicator.ts";
import { launchedRank } from "../src/distributed/launched.ts";
import { linesOf } from "../src/text_lines.ts";
import { say } from "./launchers/words.ts";

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

/** Runs the job. @returns The exit code: of several ranks that do not end by themselves, one has to end the others. */
async function main([orderFile, dash]: readonly string[]): Promise<number> {
  quietMesa();
  const place = launchedRank(Deno.env.toObject()), leads = place.rank === 0;
  const isNear = orderFile === undefined || dash === "-"; // on the server's machine, with a line to it
  if (leads && isNear) await (await Deno.open(LOCK_FILE, { write: true, create: true })).lock(true);
  const lines = leads && isNear ? linesOf(Deno.stdin.readable)[Symbol.asyncIterator]() : null;
  const order = orderFile === undefined ? (await lines?.next())?.value : await Deno.readTextFile(orderFile);
  if (order === undefined) return 0;
  const stop = new AbortController();
  if (lines) void heardStop(lines).then(() => stop.abort());
  for (const signal of stopSignals()) Deno.addSignalListener(signal, () => stop.abort());
  const answer = leads ? tell : () => true;
  try {
    for (
      const [name, value] of Object.entries(rankVariables(Deno.env.toObject(), navigator.hardwareConcurrency))
    ) {
      Deno.env.set(name, value);
    }
    const { config } = JSON.parse(order);
    const job = new WorkerJob(parseFineTuneJobConfig(config), { dryRun: false, signal: stop.signal });
    for await (const event of job.run()) {
      if (!answer({ type: "event", event })) stop.abort();
    }
    answer({ type: "over", error: null });
    return 0;
  } catch (error) {
    if (!leads) await letLeadTell(error);
    const isStop = stop.signal.aborted && error === stop.signal.reason || error instanceof RankStoppedError;
    if (!isStop) console.error(error);
    answer(isStop ? { type: "stopped" } : { type: "over", error: errorData(error) });
    return place.size === 1 ? 0 : 1;
  }
}

/** Resolves at the line `stop`, or where the lines end. */
async function heardStop(lines: AsyncIterator<string>): Promise<void> {
  for (let line = await lines.next(); !line.done && line.value !== "stop";) line = await lines.next();
}

// and not whatever still waits on standard input
if (import.meta.main) Deno.exit(await main(Deno.args));
