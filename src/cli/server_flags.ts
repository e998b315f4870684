/**
 * Flags and help of `serve` and `token`, which are run by `server/main.ts`.
 *
 * @module
 */
import { type FlagSpec, general, GENERAL_FLAGS } from "./flags.ts";
import { exitCodeTable, flagTable, PLAIN_CODES } from "./help.ts";
import { SCOPES } from "../scopes.ts";

const DATA_DIR = general("data-dir", "Folder of jobs, files and tokens, for one server at a time", {
  placeholder: "DIR",
  defaultText: "lowrank-server",
});

/** Headings of `serve --help`, in order. */
const SERVE_SECTIONS = [
  "Address and folders",
  "Jobs",
  "Text",
  "Limits",
  "Proxy for pages",
  "General",
] as const;

/** A flag of `serve` under one of its headings. */
const serve = (section: typeof SERVE_SECTIONS[number], ...flag: Parameters<typeof general>): FlagSpec => ({
  ...general(...flag),
  section,
});

/** Flags of `serve`. */
export const SERVE_FLAGS: readonly FlagSpec[] = [
  serve("Address and folders", "host", "Address to listen at; any but a loopback one needs tokens", {
    placeholder: "ADDRESS",
    defaultText: "127.0.0.1",
  }),
  serve("Address and folders", "port", "Port to listen at; 0 takes a free one", {
    placeholder: "N",
    defaultText: "8000",
  }),
  { ...DATA_DIR, section: "Address and folders" },
  serve(
    "Address and folders",
    "models-dir",
    "Folder of base models: NAME/config.json, OWNER/NAME/config.json, NAME.gguf",
    {
      placeholder: "DIR",
      defaultText: "DATA-DIR/models",
    },
  ),
  serve("Jobs", "slots", "Jobs that run at a time", { placeholder: "N", defaultText: "1" }),
  serve(
    "Jobs",
    "slot-env",
    "Variables of each slot that show its jobs one GPU: NAME=VALUE,...;NAME=VALUE,...",
    {
      placeholder: "TEXT",
    },
  ),
  serve("Jobs", "launcher", "Where jobs run: in a process, in several ranks of Open MPI, in a cluster", {
    placeholder: "local|mpi|kubernetes",
    defaultText: "local",
  }),
  serve("Jobs", "ranks", "Most ranks of a job with --launcher mpi; LOWRANK_RANK_ENV shows each its GPU", {
    placeholder: "N",
    defaultText: "2",
  }),
  serve("Jobs", "job-template", "Manifest of the Jobs of --launcher kubernetes, YAML or JSON", {
    placeholder: "FILE",
  }),
  serve("Jobs", "namespace", "Where Jobs are created", {
    placeholder: "NAME",
    defaultText: "that of kubectl's context, or the server's own",
  }),
  serve(
    "Proxy for pages",
    "allow-origin",
    "Origins of pages on other hosts that may use the server, by commas",
    {
      placeholder: "ORIGINS",
    },
  ),
  serve("Limits", "max-file-mb", "Largest file that is taken, MB (10^6 bytes)", {
    placeholder: "N",
    defaultText: "4294",
  }),
  serve("Limits", "max-requests", "Requests a second of one caller; twice at once", {
    placeholder: "N",
    defaultText: "100",
  }),
  serve("Limits", "max-streams", "Streams of events open at a time, of all callers", {
    placeholder: "N",
    defaultText: "1000",
  }),
  serve("Limits", "max-caller-streams", "Those of one caller, known by token or else by address", {
    placeholder: "N",
    defaultText: "250",
  }),
  serve("Jobs", "max-queued-jobs", "Jobs that may wait", { placeholder: "N", defaultText: "1000" }),
  serve(
    "Jobs",
    "max-crashes",
    "Crashes of a job, with no checkpoint between them, after which it has failed",
    {
      placeholder: "N",
      defaultText: "3",
    },
  ),
  serve("Text", "max-chats", "Requests for text at a time; one is answered", {
    placeholder: "N",
    defaultText: "32",
  }),
  serve("Text", "chat-idle-seconds", "Seconds after which an idle model is unloaded", {
    placeholder: "N",
    defaultText: "300",
  }),
  serve(
    "Proxy for pages",
    "storage",
    "What pages may use of buckets: gs://BUCKET/PREFIX[:rw],NAME=/FOLDER[:rw],...",
    {
      placeholder: "PLACES",
    },
  ),
  serve(
    "Proxy for pages",
    "firestore-project",
    "Firestore project of the job records, those of the server's jobs among them",
    {
      placeholder: "ID",
      defaultText: "DATA-DIR/records.db",
    },
  ),
  serve("Proxy for pages", "firestore-collection", "Its collection", {
    placeholder: "NAME",
    defaultText: "jobs",
  }),
  general("quiet", "No line for each request", { short: "q" }),
  ...GENERAL_FLAGS,
];

/** Flags of `token`. */
export const TOKEN_FLAGS: readonly FlagSpec[] = [
  general("name", "What it is for, as token list shows it", { placeholder: "TEXT" }),
  general("scopes", "What it allows, by commas; all without it", { placeholder: "NAMES" }),
  general("expires-days", "Days after which it ends; without it, it does not", { placeholder: "N" }),
  DATA_DIR,
  general("json", "The same as JSON"),
  ...GENERAL_FLAGS,
];

/** What `lowrank serve --help` prints. */
export function serveHelp(): string {
  return `lowrank serve: answer OpenAI's fine-tuning and chat API on this machine's GPU

Usage: lowrank serve [options]

${flagTable(SERVE_FLAGS, SERVE_SECTIONS)}

On a loopback address and without tokens, every program of this machine may use the server. Once
"lowrank token create" has made one, each request needs one after the next start; any other address
needs one to start with. SIGTERM and Ctrl-C have running jobs save a checkpoint; the next start goes
on with them.

Exit codes
${exitCodeTable([...PLAIN_CODES, 130, 143])}

Examples
  lowrank serve --models-dir models
  lowrank token create --name laptop && lowrank serve --host 0.0.0.0
`;
}

/** What `lowrank token --help` prints. */
export function tokenHelp(): string {
  const width = Math.max(...Object.keys(SCOPES).map((scope) => scope.length));
  return `lowrank token: who may use the server

Usage: lowrank token create --name TEXT [--scopes NAMES] [options]
       lowrank token list
       lowrank token revoke ID

${flagTable(TOKEN_FLAGS, ["General"])}

A storage scope may name the only place where it holds: storage:read:gs/my-bucket/data.
A token is shown once, when it is made; the server keeps a hash of it. Changes hold from the next
request on; a server that was started without any token has to be started again.

Scopes
${Object.entries(SCOPES).map(([scope, what]) => `  ${scope.padEnd(width)}  ${what}`).join("\n")}

Exit codes
${exitCodeTable(PLAIN_CODES)}

Example
  lowrank token create --name dashboard --scopes jobs:read,files:read
`;
}
