/**
 * Jobs as Kubernetes Jobs. Their pods read the order and write the run on a volume that the server has at the same path;
 * what they say comes through their logs.
 *
 * A Job outlives the server that created it: the next server finds it under the job's name and follows it from its first
 * line on.
 *
 * @module
 */
import type { V1Job, V1Pod } from "@kubernetes/client-node";
import type { TrainingEvent } from "../../src/job.ts";
import { linesOf } from "../../src/text_lines.ts";
import { type Cluster, ClusterError } from "./cluster.ts";
import { CONTAINER, jobName, manifestOf, SELECTOR } from "./job_manifest.ts";
import type { JobLauncher, JobOrder, JobOutcome, JobProcess } from "./launcher.ts";
import { writeOrder } from "./order_file.ts";
import { outcomeOf, wordOf } from "./words.ts";

/** How Jobs are made. */
export interface KubernetesLauncherOptions {
  readonly template: V1Job;
  /** Program and its arguments in the container; given the path of an order, it answers as `job_process.ts` does. */
  readonly command: readonly string[];
  readonly open: () => Promise<Cluster>;
  /** Between two looks at all Jobs. Default 2000. */
  readonly pollMs?: number;
}

/** Characters of the end of a log that are kept. */
const LOG_END = 4000;

/** Looks after which a pod that has ended has no more to say. */
const LOOKS_AFTER_END = 5;

/** After which a log that says nothing is asked for again. */
const QUIET_MS = 300_000;

/** Looks in a row that may fail before a job is given up for now. */
const MOST_FAILED_LOOKS = 30;

type Snapshot = Awaited<ReturnType<Cluster["list"]>>;

export class KubernetesLauncher implements JobLauncher {
  readonly #options: KubernetesLauncherOptions;
  #cluster: Promise<Cluster> | null = null;
  /** The look that is being taken, for all jobs. */
  #look: Promise<Snapshot> | null = null;

  constructor(options: KubernetesLauncherOptions) {
    this.#options = options;
  }

  launch(order: JobOrder): JobProcess {
    const run = new ClusterRun({
      order,
      options: this.#options,
      cluster: () => this.#cluster ??= this.#open(),
      look: () => this.#look ??= this.#looked(),
    });
    return { events: run.events(), outcome: run.outcome, stop: () => run.stop() };
  }

  async #open(): Promise<Cluster> {
    try {
      return await this.#options.open();
    } catch (error) {
      this.#cluster = null; // the next job tries again
      throw error;
    }
  }

  /** One look serves all jobs that wait for one. */
  async #looked(): Promise<Snapshot> {
    await new Promise((resolve) => setTimeout(resolve, this.#options.pollMs ?? 2000));
    try {
      return await (await (this.#cluster ??= this.#open())).list(SELECTOR);
    } finally {
      this.#look = null;
    }
  }
}

interface ClusterRunDeps {
  readonly order: JobOrder;
  readonly options: KubernetesLauncherOptions;
  readonly cluster: () => Promise<Cluster>;
  readonly look: () => Promise<Snapshot>;
}

/** One job on the cluster. */
class ClusterRun {
  readonly #deps: ClusterRunDeps;
  readonly #told = Promise.withResolvers<JobOutcome>();
  #name = "";
  #isStopped = false;
  #said: JobOutcome | null = null;
  #logEnd = "";

  constructor(deps: ClusterRunDeps) {
    this.#deps = deps;
  }

  get outcome(): Promise<JobOutcome> {
    return this.#told.promise;
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    if (this.#name !== "") void this.#delete();
  }

  async *events(): AsyncGenerator<TrainingEvent> {
    let how = "was left alone";
    try {
      how = yield* this.#followed();
    } catch (error) {
      how = `cannot be followed: ${(error as Error).message}`;
    } finally {
      const crashed: JobOutcome = { type: "crashed", how, logEnd: this.#logEnd };
      this.#told.resolve(this.#said ?? (this.#isStopped ? { type: "stopped" } : crashed));
    }
  }

  /** Creates the Job and follows it to its end. @returns How its process ended. */
  async *#followed(): AsyncGenerator<TrainingEvent, string> {
    const { look } = this.#deps;
    await this.#create();
    if (this.#isStopped) await this.#delete();
    const read = new Map<string, PodLog>();
    let warned = "", failures = 0;
    for (;;) {
      let snapshot: Snapshot;
      try {
        snapshot = await look();
        failures = 0;
      } catch (error) {
        if (++failures >= MOST_FAILED_LOOKS) throw error;
        continue;
      }
      const job = snapshot.jobs.find(({ metadata }) => metadata?.name === this.#name);
      const pod = newestPod(snapshot.pods, this.#name);
      const state = pod && stateOf(pod);
      if (pod && state !== "waiting") {
        const uid = pod.metadata!.uid ?? pod.metadata!.name!;
        const log = read.get(uid) ?? { lines: 0, movedAt: 0, isWhole: false };
        read.set(uid, log);
        if (!log.isWhole) yield* this.#read(pod, log, state === "ended");
        if (!log.isWhole && job) continue;
      }
      const waits = pod ? whyItWaits(pod) : null;
      if (waits !== null && waits !== warned) yield { type: "warning", message: warned = waits };
      if (job ? !isFinished(job) : await this.#isThere()) continue;
      if (job) await this.#delete();
      return pod ? howItEnded(pod) : job ? reasonOf(job) : "was removed from the cluster";
    }
  }

  /** A look that was begun before the Job was created does not show it. */
  async #isThere(): Promise<boolean> {
    return await (await this.#deps.cluster()).readJob(this.#name) !== null;
  }

  /** Creates the Job, or takes over one of a server before this that is still at work. */
  async #create(): Promise<void> {
    const { order, options: { template, command } } = this.#deps;
    const cluster = await this.#deps.cluster();
    this.#name = await jobName(order.jobId);
    const orderFile = writeOrder(order);
    const manifest = manifestOf({ template, name: this.#name, command: [...command, orderFile], order });
    for (;;) {
      try {
        return await cluster.createJob(manifest);
      } catch (error) {
        if (!(error instanceof ClusterError && error.code === 409)) throw error;
      }
      const other = await cluster.readJob(this.#name);
      if (other && !isFinished(other) && !other.metadata?.deletionTimestamp) return;
      await cluster.deleteJob(this.#name);
      await this.#deps.look().catch(() => {}); // gives it time to go
    }
  }

  /** Reads on in the log of a pod; lines that were read before are passed over. */
  async *#read(pod: V1Pod, log: PodLog, hasEnded: boolean): AsyncGenerator<TrainingEvent> {
    const end = new AbortController();
    let line = 0;
    try {
      const cluster = await this.#deps.cluster(), name = pod.metadata!.name!;
      void this.#untilSilent(name, log, end.signal).then(() => end.abort());
      for await (const text of linesOf(await cluster.log(name, CONTAINER, end.signal))) {
        if (++line <= log.lines) continue;
        log.lines = line;
        log.movedAt = performance.now();
        const word = wordOf(text);
        if (word?.type === "event") yield word.event;
        else if (word) this.#said = outcomeOf(word);
        else this.#logEnd = `${this.#logEnd}${text}\n`.slice(-LOG_END);
      }
      log.isWhole = hasEnded || this.#said !== null;
    } catch (error) {
      // the connection broke, or the pod has gone; what is missing is read after the next look
      log.isWhole = hasEnded || (error instanceof ClusterError && error.code === 404);
    } finally {
      end.abort();
    }
  }

  /**
   * Resolves when a pod has ended for a while, since the log of one whose node is lost does not end by itself; and where
   * nothing has come for long, to ask again.
   */
  async #untilSilent(pod: string, log: PodLog, signal: AbortSignal): Promise<void> {
    log.movedAt = performance.now();
    const isQuiet = () => performance.now() - log.movedAt > QUIET_MS;
    for (let gone = 0; gone < LOOKS_AFTER_END && !signal.aborted && !isQuiet();) {
      const snapshot = await this.#deps.look().catch(() => null);
      const found = snapshot?.pods.find(({ metadata }) => metadata?.name === pod);
      if (snapshot) gone = found && stateOf(found) !== "ended" ? 0 : gone + 1;
    }
  }

  async #delete(): Promise<void> {
    try {
      await (await this.#deps.cluster()).deleteJob(this.#name);
    } catch {
      // it is looked at again, and removed by the cluster itself an hour after its end
    }
  }
}

interface PodLog {
  lines: number;
  /** When the last of them came, ms. */
  movedAt: number;
  /** Whether its process has ended and all of it was read. */
  isWhole: boolean;
}

/** By which pods name their Job: since Kubernetes 1.27, and before. */
const JOB_LABELS = ["batch.kubernetes.io/job-name", "job-name"];

function newestPod(pods: readonly V1Pod[], job: string): V1Pod | null {
  const own = pods.filter(({ metadata }) => JOB_LABELS.some((label) => metadata?.labels?.[label] === job));
  const made = ({ metadata }: V1Pod) => new Date(metadata?.creationTimestamp ?? 0).getTime();
  return own.reduce<V1Pod | null>((newest, pod) => newest && made(newest) >= made(pod) ? newest : pod, null);
}

function containerOf({ status }: V1Pod) {
  return status?.containerStatuses?.find(({ name }) => name === CONTAINER)?.state;
}

function stateOf(pod: V1Pod): "waiting" | "running" | "ended" {
  const state = containerOf(pod);
  if (state?.terminated) return "ended";
  if (state?.running) return "running";
  return pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded" ? "ended" : "waiting";
}

/** Why a pod has not begun, where the cluster says. */
function whyItWaits(pod: V1Pod): string | null {
  if (stateOf(pod) !== "waiting") return null;
  const waiting = containerOf(pod)?.waiting;
  if (waiting?.reason && waiting.reason !== "ContainerCreating" && waiting.reason !== "PodInitializing") {
    return `the pod waits: ${waiting.reason}${waiting.message ? `: ${waiting.message}` : ""}`;
  }
  const place = pod.status?.conditions?.find(({ type, status }) =>
    type === "PodScheduled" && status === "False"
  );
  return place ? `the pod waits for a place: ${place.message ?? place.reason ?? "no reason is given"}` : null;
}

function howItEnded(pod: V1Pod): string {
  const ended = containerOf(pod)?.terminated, { reason, message } = pod.status ?? {};
  const why = [ended?.reason, reason, message].filter((one) => one && one !== "Error" && one !== "Completed");
  const said = why.length > 0 ? ` (${why.join(": ")})` : "";
  return ended ? `ended with code ${ended.exitCode}${said}` : `was ended by the cluster${said}`;
}

function isFinished(job: V1Job): boolean {
  return job.status?.conditions?.some(({ type, status }) =>
    status === "True" && (type === "Complete" || type === "Failed")
  ) ?? false;
}

function reasonOf(job: V1Job): string {
  const failed = job.status?.conditions?.find(({ type }) => type === "Failed");
  return `was ended by the cluster (${failed?.reason ?? "no reason is given"}: ${failed?.message ?? ""})`;
}
