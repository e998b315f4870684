/**
 * Picks the verb and turns what it throws into lines and an exit code.
 *
 * @module
 */

import { benchHelp } from "./bench_flags.ts";
import { didYouMean } from "../config/nearest.ts";
import { launchedRank } from "../distributed/launched.ts";
import { ConfigError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { chat } from "./chat.ts";
import { checkHelp } from "./check_flags.ts";
import { convertHelp } from "./convert_flags.ts";
import { completion, completionHelp } from "./completion.ts";
import { configHelp, configVerb } from "./config_verb.ts";
import { doctorHelp } from "./doctor_flags.ts";
import { evalHelp } from "./eval_flags.ts";
import { type ExitCode, exitCodeOf } from "./exit_codes.ts";
import { explainHelp } from "./explain_flags.ts";
import { EXPORT_FORMATS, exportHelp } from "./export_flags.ts";
import { models, modelsHelp } from "./models.ts";
import { TRAIN_FLAGS } from "./flags.ts";
import { generate } from "./generate.ts";
import { chatHelp, generateHelp, mainHelp, resumeHelp, trainHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { type LogOutput, logSetting, startLogging } from "./log_output.ts";
import { colorChoice, wantsColor } from "./paint.ts";
import { letLeadTell, nameOf, silent } from "./ranks.ts";
import { describeError } from "./report_error.ts";
import { serveHelp, tokenHelp } from "./server_flags.ts";
import { CLEAR_LINE } from "./live_line.ts";
import { train } from "./train.ts";
import { cacheHelp, inspectHelp, mergeHelp, pullHelp, runsHelp } from "./verb_flags.ts";
import { withoutSecrets } from "./without_secrets.ts";

type Verb = (args: readonly string[], io: CliIo) => void | Promise<void>;

const HELP_TEXTS: Readonly<Record<string, () => string>> = {
  train: () => trainHelp(TRAIN_FLAGS),
  generate: generateHelp,
  chat: chatHelp,
  doctor: doctorHelp,
  explain: explainHelp,
  export: () => exportHelp(),
  eval: evalHelp,
  check: checkHelp,
  convert: convertHelp,
  models: modelsHelp,
  resume: resumeHelp,
  inspect: inspectHelp,
  merge: mergeHelp,
  runs: runsHelp,
  pull: pullHelp,
  cache: cacheHelp,
  serve: serveHelp,
  token: tokenHelp,
  bench: benchHelp,
  config: configHelp,
  completion: completionHelp,
};

function help([verb = "", word]: readonly string[], io: CliIo): void {
  if (verb === "export" && word !== undefined && Object.hasOwn(EXPORT_FORMATS, word)) {
    return io.stdout.write(exportHelp(word));
  }
  const text = Object.hasOwn(HELP_TEXTS, verb) ? HELP_TEXTS[verb]! : mainHelp;
  io.stdout.write(text());
}

const VERBS: Readonly<Record<string, Verb>> = {
  train,
  generate,
  chat,
  doctor: async (args, io) => (await import("./doctor.ts")).doctor(args, io), // the engine, only where it is wanted
  models,
  explain: async (args, io) => (await import("./explain.ts")).explain(args, io),
  export: async (args, io) => (await import("./export.ts")).exportModel(args, io),
  eval: async (args, io) => (await import("./eval.ts")).evaluate(args, io),
  check: async (args, io) => (await import("./check.ts")).check(args, io),
  convert: async (args, io) => (await import("./convert.ts")).convert(args, io),
  resume: async (args, io) => (await import("./resume.ts")).resume(args, io),
  runs: async (args, io) => (await import("./runs.ts")).runs(args, io),
  inspect: async (args, io) => (await import("./inspect.ts")).inspect(args, io),
  merge: async (args, io) => (await import("./merge.ts")).merge(args, io),
  pull: async (args, io) => (await import("./pull.ts")).pull(args, io),
  cache: async (args, io) => (await import("./cache.ts")).cache(args, io),
  serve: ofProgram("serve", serveHelp),
  token: ofProgram("token", tokenHelp),
  bench: ofProgram("bench", benchHelp),
  config: configVerb,
  completion,
  help,
  "--help": help,
  "-h": help,
  version: (_, io) => io.stdout.write(`lowrank ${VERSION}\n`),
  "--version": (_, io) => io.stdout.write(`lowrank ${VERSION}\n`),
};

/** Verbs whose standard output is the words of a model or of data, which stay as they are. */
const WRITES_TEXT: ReadonlySet<string> = new Set(["generate", "chat", "convert"]);

/** Verbs that several processes may run together; each of the others works for itself. */
const SHARED_VERBS: ReadonlySet<string> = new Set(["train", "resume"]);

/** A verb that the launcher starts by itself: the library does without the server and the benchmark. */
function ofProgram(name: string, help: () => string): Verb {
  return (args, io) => {
    if (args.includes("--help") || args.includes("-h")) return io.stdout.write(help());
    const message = `is no command of the library: run ./lowrank ${name} in the program's folder`;
    throw new ConfigError([{ path: `"${name}"`, message }]);
  };
}

function verbFor(name: string): Verb {
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb) return verb;
  const message = `is not a command${didYouMean(name, Object.keys(VERBS))}`;
  throw new ConfigError([{ path: `"${name}"`, message }]);
}

/** Log lines go to standard error; on a terminal a live line gives way to them. */
function logOutput(args: readonly string[], { env, stdout, stderr }: CliIo): LogOutput | null {
  const setting = logSetting(args, env);
  const lead = stdout.isTerminal && stderr.isTerminal ? CLEAR_LINE : "";
  return setting && { ...setting, write: (lines) => stderr.write(lead + lines) };
}

/** Runs one command line. Without a verb it shows the help and counts as wrong usage. */
export async function runCommand(args: readonly string[], outside: CliIo): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined) {
    outside.stderr.write(mainHelp());
    return 2;
  }
  const io = withoutSecrets(outside, WRITES_TEXT.has(name));
  const place = launchedRank(SHARED_VERBS.has(name) ? io.env : {}), leads = place.rank === 0;
  try {
    const logs = leads ? logOutput(rest, io) : null;
    if (logs) await startLogging(logs);
    const own = leads ? io : silent(io);
    await verbFor(name)(rest, logs ? { ...own, logs } : own);
    return 0;
  } catch (error) {
    const code = exitCodeOf(error);
    if (code === 141) return code; // nobody wants to read more
    const color = wantsColor(colorChoice(rest), io.env, io.stderr);
    const verb = Object.hasOwn(HELP_TEXTS, name) ? name : "train";
    if (!leads) await letLeadTell(error);
    const who = leads ? "" : nameOf(place);
    io.stderr.write(who + describeError(error, { debug: io.env.LOWRANK_DEBUG === "1", color, verb }));
    return code;
  }
}
