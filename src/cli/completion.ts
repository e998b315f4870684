/**
 * `lowrank completion bash|zsh|fish`: scripts that complete verbs, flags and closed sets of words.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { BENCH_FLAGS } from "./bench_flags.ts";
import { CHECK_FLAGS } from "./check_flags.ts";
import { CONVERT_FLAGS } from "./convert_flags.ts";
import { DOCTOR_FLAGS } from "./doctor_flags.ts";
import { EVAL_FLAGS } from "./eval_flags.ts";
import { EXPLAIN_FLAGS } from "./explain_flags.ts";
import { EXPORT_FORMATS, exportFlags } from "./export_flags.ts";
import { type FlagSpec, GENERAL_FLAGS, parseFlags, TRAIN_FLAGS } from "./flags.ts";
import { CHAT_FLAGS, GENERATE_FLAGS } from "./generate_flags.ts";
import { exitCodeTable, flagTable, mainHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { MODELS_FLAGS } from "./models.ts";
import { SERVE_FLAGS, TOKEN_FLAGS } from "./server_flags.ts";
import { CACHE_FLAGS, INSPECT_FLAGS, MERGE_FLAGS, oneWord, PULL_FLAGS, RUNS_FLAGS } from "./verb_flags.ts";

/** Flags by verb; a verb without flags of its own has the general ones. */
const FLAGS_OF: Readonly<Record<string, readonly FlagSpec[]>> = {
  train: TRAIN_FLAGS,
  resume: TRAIN_FLAGS,
  generate: GENERATE_FLAGS,
  chat: CHAT_FLAGS,
  doctor: DOCTOR_FLAGS,
  check: CHECK_FLAGS,
  convert: CONVERT_FLAGS,
  eval: EVAL_FLAGS,
  explain: EXPLAIN_FLAGS,
  export: flagsOfFormats(),
  inspect: INSPECT_FLAGS,
  merge: MERGE_FLAGS,
  models: MODELS_FLAGS,
  runs: RUNS_FLAGS,
  pull: PULL_FLAGS,
  cache: CACHE_FLAGS,
  serve: SERVE_FLAGS,
  token: TOKEN_FLAGS,
  bench: BENCH_FLAGS,
};

/** Words after verbs that take one of a few. */
const WORDS_OF: Readonly<Record<string, readonly string[]>> = {
  cache: ["rm"],
  token: ["create", "list", "revoke"],
  config: ["init", "schema", "validate"],
  completion: ["bash", "zsh", "fish"],
  export: Object.keys(EXPORT_FORMATS),
};

/** The flags that any format of `export` has, each once. */
function flagsOfFormats(): readonly FlagSpec[] {
  const all = Object.values(EXPORT_FORMATS).flatMap(exportFlags);
  return [...new Map(all.map((flag) => [flag.name, flag])).values()];
}

const SCRIPTS: Readonly<Record<string, (verbs: readonly string[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** What `lowrank completion --help` prints. */
export function completionHelp(): string {
  return `lowrank completion: a script that completes commands, flags and their words

Usage: lowrank completion bash|zsh|fish

${flagTable(GENERAL_FLAGS, ["General"])}

Exit codes
${exitCodeTable([0, 2])}

Examples
  lowrank completion bash > /etc/bash_completion.d/lowrank
  lowrank completion zsh > ~/.zfunc/_lowrank
  lowrank completion fish > ~/.config/fish/completions/lowrank.fish
`;
}

/** Prints the script of a shell. @throws {ConfigError} For wrong usage. */
export function completion(args: readonly string[], io: Pick<CliIo, "stdout">): void {
  const flags = parseFlags(args, GENERAL_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(completionHelp());
  const shell = oneWord(flags, "SHELL");
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (!script) {
    const message = `is not a shell that is known: name one of ${Object.keys(SCRIPTS).join(", ")}`;
    throw new ConfigError([{ path: `"${shell}"`, message }]);
  }
  io.stdout.write(script(verbsOfHelp()));
}

/** The verbs as the main help lists them: the first word of each line. */
function verbsOfHelp(): string[] {
  const words = [...mainHelp().matchAll(/^ {2}([a-z]+)\b/gm)].map(([, word]) => word!);
  return [...new Set(words)];
}

function flagsOf(verb: string): readonly FlagSpec[] {
  return FLAGS_OF[verb] ?? GENERAL_FLAGS;
}

/** `a|b|c` as words; a placeholder such as `PATH` or `N` is no set of words. */
function wordsOf({ placeholder }: FlagSpec): string[] {
  return placeholder?.includes("|")
    ? placeholder.split("|").filter((word) => /^[a-z0-9_-]+$/.test(word))
    : [];
}

function bashScript(verbs: readonly string[]): string {
  const cases = verbs.map((verb) => {
    const words = [...WORDS_OF[verb] ?? [], ...flagsOf(verb).map(({ name }) => `--${name}`)];
    return `    ${verb}) words="${words.join(" ")}" ;;`;
  });
  const values = valueCases((name, words) =>
    `    --${name}) COMPREPLY=($(compgen -W "${words}" -- "$now")); return ;;`
  );
  return `# bash completion of lowrank: source it, or put it into /etc/bash_completion.d
_lowrank() {
  local now=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${verbs.join(" ")}" -- "$now"))
    return
  fi
  case $before in
${values.join("\n")}
  esac
  case \${COMP_WORDS[1]} in
${cases.join("\n")}
  esac
  case $now in
    -*) COMPREPLY=($(compgen -W "$words" -- "$now")) ;;
    *) COMPREPLY=($(compgen -f -- "$now") $(compgen -W "\${words%%--*}" -- "$now")) ;;
  esac
}
complete -o filenames -F _lowrank lowrank ./lowrank
`;
}

function zshScript(verbs: readonly string[]): string {
  const cases = verbs.map((verb) => {
    const flags = flagsOf(verb).map((flag) => {
      const words = wordsOf(flag);
      const value = flag.placeholder === null
        ? ""
        : `:value:${words.length > 0 ? `(${words.join(" ")})` : "_files"}`;
      return `'--${flag.name}[${zshText(flag.help)}]${value}'`;
    });
    const word = WORDS_OF[verb] ? `'1:word:(${WORDS_OF[verb]!.join(" ")})'` : "'*:file:_files'";
    return `    ${verb}) _arguments ${[...flags, word].join(" ")} ;;`;
  });
  return `#compdef lowrank
# zsh completion of lowrank: put it as _lowrank into a folder of $fpath
_lowrank() {
  if (( CURRENT == 2 )); then
    compadd -- ${verbs.join(" ")}
    return
  fi
  local verb=$words[2]
  shift words
  (( CURRENT-- ))
  case $verb in
${cases.join("\n")}
  esac
}
if [ "$funcstack[1]" = _lowrank ]; then _lowrank "$@"; else compdef _lowrank lowrank; fi
`;
}

function zshText(text: string): string {
  return text.replaceAll("'", "’").replace(/[[\]:\\]/g, "\\$&");
}

function fishScript(verbs: readonly string[]): string {
  const quoted = (text: string) => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const lines = verbs.flatMap((verb) => {
    const seen = `__fish_seen_subcommand_from ${verb}`;
    const flags = flagsOf(verb).map((flag) => {
      const words = wordsOf(flag);
      const value = flag.placeholder === null
        ? ""
        : words.length > 0
        ? ` -xa ${quoted(words.join(" "))}`
        : " -rF";
      return `complete -c lowrank -n ${quoted(seen)} -l ${flag.name}${value} -d ${quoted(flag.help)}`;
    });
    const words = WORDS_OF[verb]
      ? [`complete -c lowrank -n ${quoted(seen)} -fa ${quoted(WORDS_OF[verb]!.join(" "))}`]
      : [];
    return [`complete -c lowrank -n __fish_use_subcommand -fa ${verb}`, ...words, ...flags];
  });
  return `# fish completion of lowrank: put it into ~/.config/fish/completions/lowrank.fish\n${
    lines.join("\n")
  }\n`;
}

/** One case for each flag that takes one of a few words; flags of one name have the same words. */
function valueCases(format: (name: string, words: string) => string): string[] {
  const words = new Map<string, string>();
  for (const flag of Object.values(FLAGS_OF).flat()) {
    if (wordsOf(flag).length > 0) words.set(flag.name, wordsOf(flag).join(" "));
  }
  return [...words].map(([name, list]) => format(name, list));
}
