/**
 * `lowrank train`.
 *
 * @module
 */

import { CONFIG_FIELDS, toWire } from "../config.ts";
import { RankStoppedError } from "../distributed/communicator.ts";
import { launchedRank } from "../distributed/launched.ts";
import { ConfigError } from "../errors.ts";
import type { TrainingEvent } from "../job.ts";
import { loggedEvents } from "../logged_run.ts";
import type { TrackerBackend } from "../job_tracker.ts";
import { trackedEvents } from "../tracked_run.ts";
import { readConfigFile } from "./config_file.ts";
import { InterruptedError } from "./exit_codes.ts";
import { type ParsedFlags, parseFlags, TRAIN_FLAGS } from "./flags.ts";
import { trainHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { withTraces } from "./open_telemetry.ts";
import { TRACKER_BACKENDS } from "./open_tracker.ts";
import { painter, wantsColor } from "./paint.ts";
import { checkRanks } from "./ranks.ts";
import { type ResolvedConfig, resolveWithPlugins, suspectVariables } from "./sources.ts";
import { TerminalReport } from "./terminal.ts";

const EXAMPLE =
  "no model, data or name is given: training the bundled example (lowrank train --help tells how to train yours)";
const STOPPING = "stopping after this batch and saving a checkpoint; a second signal stops at once";
/** Of a trainer that others brought, nobody but itself knows what it keeps. */
const STOPPING_OTHER = "stopping; a second signal stops at once";
const UPLOAD_STOPPED =
  "stopped while the results were uploaded: the same command with --resume auto uploads what is missing";

/** Lowrank itself, which keeps checkpoints. */
const OWN_TRAINER = "lowrank";

type CheckpointEvent = Extract<TrainingEvent, { type: "checkpointed" | "resumed" }>;

/** Flags that are about this command and not about the job. */
const OWN_FLAGS = new Set([
  "config",
  "dry_run",
  "print_config",
  "ranks",
  "json",
  "quiet",
  "verbose",
  "log_level",
  "log_format",
  "color",
  "help",
]);

/**
 * Runs a job to its end, showing its events.
 *
 * @throws {ConfigError} For unknown flags and options that do not validate.
 * @throws What the job throws; `InterruptedError` after a signal.
 */
export async function train(args: readonly string[], io: CliIo): Promise<void> {
  const flags = parseFlags(args, TRAIN_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(trainHelp(TRAIN_FLAGS));
  const resolved = await resolve(flags, io);
  for (const warning of suspectVariables(io.env)) io.stderr.write(`warning: ${warning}\n`);
  await runResolved(resolved, flags, io);
}

/**
 * Runs the job of a configuration, or prints it where `--print-config` is given.
 *
 * @throws What the job throws; `InterruptedError` after a signal.
 */
export async function runResolved(resolved: ResolvedConfig, flags: ParsedFlags, io: CliIo): Promise<void> {
  checkRanks(flags.values.get("ranks"), io.env);
  const leads = launchedRank(io.env).rank === 0;
  if (flags.values.get("print_config")) return io.stdout.write(printedConfig(resolved, flags));
  const dryRun = flags.values.get("dry_run") === true;
  await io.untilInterrupted(async (signal) => {
    const show = presenter(flags, io);
    if (resolved.isExample) show.note(EXAMPLE);
    let checkpoint: CheckpointEvent | null = null, steps = 0, isUploading = false;
    const { trainer } = resolved.config.job, isOwn = trainer === OWN_TRAINER;
    const stopping = () => show.note(isOwn ? STOPPING : STOPPING_OTHER);
    if (!dryRun) signal.addEventListener("abort", stopping, { once: true });
    try {
      const { logs } = io,
        job = await io.createJob(resolved.config, { dryRun, signal, ...(logs ? { logs } : {}) });
      const warn = (message: string) => io.stderr.write(`warning: ${message}\n`);
      const tracker = dryRun || !leads
        ? null
        : await io.openTracker?.(resolved.config.job, warn, trackersOf(resolved)) ?? null;
      const tracked = tracker ? trackedEvents(job.run(), tracker, signal) : job.run();
      const logged = loggedEvents(tracked);
      const events = leads ? await withTraces(logged, io.env, resolved.config.job, signal) : logged;
      await consume(events, signal, dryRun || !leads, (event) => {
        show.event(event);
        if (event.type === "checkpointed" || event.type === "resumed") checkpoint = event;
        if (event.type === "step") steps = event.step;
        isUploading ||= event.type === "phase" && event.stage === "upload";
      });
    } catch (error) {
      show.end();
      const isOfOther = leads && error instanceof RankStoppedError;
      if (!isOfOther && !isStop(error, signal)) throw error;
      if (!dryRun) show.note(isUploading ? UPLOAD_STOPPED : howToGoOn({ checkpoint, steps, trainer }));
      throw isOfOther ? new InterruptedError("SIGUSR2") : signal.reason;
    } finally {
      show.end();
    }
    if (dryRun) show.note("dry run: nothing was trained or written");
  });
}

/** The stores of records that may be named. */
function trackersOf({ plugins }: ResolvedConfig): readonly TrackerBackend[] {
  return [...TRACKER_BACKENDS, ...plugins.flatMap(({ trackers = [] }) => trackers)];
}

/** A run that is told to stop says so by the signal's reason, or as fetch and others do. */
function isStop(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted &&
    (error === signal.reason || (error instanceof Error && error.name === "AbortError"));
}

function howToGoOn(
  { checkpoint, steps, trainer }: {
    readonly checkpoint: CheckpointEvent | null;
    readonly steps: number;
    readonly trainer: string;
  },
): string {
  if (checkpoint) {
    return `stopped after step ${checkpoint.step}: the same command with --resume auto goes on from there`;
  }
  if (trainer === OWN_TRAINER || steps === 0) {
    return "stopped before the first step was done: nothing is kept";
  }
  return `stopped after step ${steps}: the trainer ${trainer} kept no checkpoint, so that the same command with ` +
    "--resume auto begins anew";
}

async function resolve(flags: ParsedFlags, io: CliIo): Promise<ResolvedConfig> {
  // After an unknown flag its value looks like a stray word: the flag alone is worth a line.
  const issues = flags.issues.length > 0 ? flags.issues : flags.positionals.map((word) => ({
    path: `"${word}"`,
    message: "is not expected: options start with --",
  }));
  const jobFlags = jobFlagsOf(flags);
  const path = flags.values.get("config");
  if (issues.length > 0) throw new ConfigError(issues);
  const sources = { flags: jobFlags, env: io.env, example: io.example };
  if (typeof path !== "string") return await resolveWithPlugins(sources, io.loadPlugins);
  const options = await readConfigFile(path, io.readTextFile);
  return await resolveWithPlugins({ ...sources, file: { path, options } }, io.loadPlugins);
}

/** Flags that are options of the job, by their names in snake_case. */
export function jobFlagsOf({ values }: ParsedFlags): Record<string, string | boolean> {
  return Object.fromEntries([...values].filter(([name]) => !OWN_FLAGS.has(name)));
}

/** YAML that `--config` reads back, each line with the origin of its value; or JSON without origins. */
function printedConfig({ config, origins }: ResolvedConfig, flags: ParsedFlags): string {
  const wire = toWire(config);
  if (flags.values.get("json")) return `${JSON.stringify(wire, null, 2)}\n`;
  const lines = CONFIG_FIELDS.map(({ wireName }) =>
    [`${wireName}: ${JSON.stringify(wire[wireName])}`, origins.get(wireName) ?? "default"] as const
  );
  const width = Math.max(...lines.map(([entry]) => entry.length));
  return lines.map(([entry, origin]) => `${entry.padEnd(width)}  # ${origin}\n`).join("");
}

/** A run that stops early without an error did so because of the signal, unless nothing else is expected of it. */
async function consume(
  events: AsyncIterable<TrainingEvent>,
  signal: AbortSignal,
  mayStopEarly: boolean,
  show: (event: TrainingEvent) => void,
): Promise<void> {
  let finished = false;
  for await (const event of events) {
    show(event);
    finished ||= event.type === "finished";
  }
  if (finished || mayStopEarly) return;
  signal.throwIfAborted();
  throw new Error("The run ended without finishing and without an error");
}

/** Where events and notes go for the flags given. */
function presenter(flags: ParsedFlags, io: CliIo) {
  const json = flags.values.get("json") === true;
  const quiet = flags.values.get("quiet") === true;
  const sink = json || quiet ? io.stderr : io.stdout;
  const color = wantsColor(colorChoice(flags), io.env, sink);
  const report = new TerminalReport({
    write: (text) => sink.write(text),
    live: sink.isTerminal && io.env.TERM !== "dumb",
    color,
    columns: sink.columns,
  });
  return {
    event(event: TrainingEvent): void {
      if (json) io.stdout.write(`${JSON.stringify(event)}\n`);
      if (!quiet || event.type === "warning" || event.type === "device_lost") report.show(event);
    },
    note(text: string): void {
      report.close();
      if (!quiet) sink.write(`${painter(color)("bold", text)}\n`);
    },
    end: () => report.close(),
  };
}

function colorChoice(flags: ParsedFlags): string {
  return String(flags.values.get("color") ?? "auto");
}
