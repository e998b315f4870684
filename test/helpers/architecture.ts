/**
 * Who may import whom, as a table and a scan of import statements.
 *
 * @module
 */

/** Layers from the top: a unit may import units of lower layers and itself, nothing above or beside it. */
export const LAYERS: readonly (readonly string[])[] = [
  ["roots"],
  ["server", "web"],
  ["evaluation", "model_source"],
  ["fine_tune_job", "language_model", "explain", "export", "storage backends", "job_tracker backends"],
  ["plugin"],
  ["run_checkpoints"],
  ["run_output"],
  ["prepared_run", "output_folder", "tracked_run", "logged_run", "traced_run"],
  ["logs", "run_progress", "run_stages", "training_session"],
  ["model_manager", "data_manager", "trainer", "job_tracker", "memory_plan", "run_files", "samples"],
  ["generate", "tuning"],
  ["models", "checkpoint", "data", "optim", "distributed"],
  ["nn", "quant"],
  ["kernels"],
  ["gpu"],
  ["tensor", "storage_manager"],
  ["config", "storage", "storage_uri", "random", "transfer_events"],
  ["job", "errors", "version", "html", "protobuf", "crc32c", "scopes", "redact", "logger", "text_lines"],
];

/** Backends see the interface they fulfil and the errors, so that each is one file to add or remove. */
const BACKEND_IMPORTS = [
  "storage",
  "storage_manager",
  "storage_uri",
  "job_tracker",
  "errors",
  "job",
  "crc32c",
  "redact",
  "logger",
];

/** Everything else of the library and the page runs in the browser too. */
export const DENO_ONLY =
  /^(src\/(main\.ts|cli\/|storage\/(local|local_copy|local_errors|local_files|local_lock|local_scratch|local_store|gcs|azure|azure_client|azure_requests|azure_upload|hub|hub_token|hub_tools_cache|node_digests|open)\.ts|job_tracker\/(sqlite|firestore)\.ts|distributed\/mpi\.ts)|web\/(build|serve)\.ts|web\/build\/(packed_files|page_imports)\.ts|server\/)/;

/** Sides of the page: the thread that shows, the worker that trains, and what either builds on. */
const PAGE_SIDES: readonly [side: RegExp, knowsNothingOf: RegExp, why: string][] = [
  [
    /^web\/(page|views)\/|^web\/app\.tsx/,
    /^web\/worker(\/|\.ts)/,
    "the page asks the worker, by its protocol",
  ],
  [/^web\/worker(\/|\.ts)/, /^web\/(page|views)\/|^web\/app\.tsx/, "the worker knows nothing that shows"],
  [/^web\/(storage|protocol)\//, /^web\/(page|views|worker)\//, "both sides build on it"],
];

/** What names concrete parts. */
const ROOTS =
  /^(src\/(main\.ts|mod\.ts|cli\/|entries\/)|web\/(main\.tsx|worker\.ts)|server\/(main\.ts|job_process\.ts|generation_process\.ts|data_check_worker\.ts|cli\/))/;

const BAD_NAME = /(^|\/|_)(utils?|helpers?|common|misc)(\.|\/|_)/;

/** The part of the program that a source file belongs to. */
export function unitOf(path: string): string {
  if (ROOTS.test(path)) return "roots";
  if (path.startsWith("kernels/")) return "kernels";
  const [, first, rest] = /^src\/([^/.]+)(.*)$/.exec(path) ?? [];
  if (!first) return path.split("/")[0]!;
  return (first === "storage" || first === "job_tracker") && rest!.startsWith("/")
    ? `${first} backends`
    : first;
}

/** What a file imports: static, re-exported and dynamic, as written. Comments do not count. */
export function importsOf(source: string): string[] {
  const code = source.replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const statement = /(?:^|[;\n])\s*(?:import|export)\s(?:[^;"']*?\sfrom\s*)?["']([^"']+)["']/g;
  const dynamic = /\bimport\(\s*["']([^"']+)["']/g;
  return [...code.matchAll(statement), ...code.matchAll(dynamic)].map((match) => match[1]!);
}

function resolvePath(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** Why `from` may not import `to`, or null. */
function forbidden(from: string, to: string): string | null {
  const [source, target] = [unitOf(from), unitOf(to)];
  const rank = (unit: string) => LAYERS.findIndex((layer) => layer.includes(unit));
  if (rank(target) < 0) return `"${target}" is in no layer`;
  const crossing = PAGE_SIDES.find(([side, other]) => side.test(from) && other.test(to));
  if (crossing) return crossing[2];
  if (source === target) {
    const [own, other] = [from, to].map((path) => path.split("/")[1]);
    return source === "kernels" && own !== other && other !== "lib"
      ? "an op imports no other op, only lib"
      : null;
  }
  if (rank(target) === rank(source)) return "they stand side by side";
  if (rank(target) < rank(source)) return "arrows point down";
  if (source.endsWith("backends") && !BACKEND_IMPORTS.includes(target)) {
    return "a backend knows its interface only";
  }
  if (target === "kernels" && !to.endsWith("/kernel.ts")) return "an op is entered through its kernel.ts";
  return null;
}

/** Every broken rule of a set of source files, each with the file and the edge. */
export function violations(files: ReadonlyMap<string, string>, packages: readonly string[]): string[] {
  const found: string[] = [];
  for (const [path, source] of files) {
    if (LAYERS.every((layer) => !layer.includes(unitOf(path)))) {
      found.push(`${path}: "${unitOf(path)}" is in no layer`);
    }
    const code = source.replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
    if (!DENO_ONLY.test(path) && /\bDeno\./.test(code)) {
      found.push(`${path} uses Deno, but must run in the browser`);
    }
    for (const specifier of importsOf(source)) {
      const reason = specifier.startsWith(".")
        ? forbidden(path, resolvePath(path, specifier))
        : forbiddenPackage(path, specifier, packages);
      if (reason) found.push(`${path} imports ${specifier}: ${reason}`);
    }
  }
  return found;
}

function forbiddenPackage(path: string, specifier: string, packages: readonly string[]): string | null {
  if (specifier.startsWith("node:")) return DENO_ONLY.test(path) ? null : "it must run in the browser";
  if (/^[a-z]+:/.test(specifier)) return "packages are named in deno.json";
  return packages.some((name) => specifier === name || specifier.startsWith(`${name}/`))
    ? null
    : "deno.json does not name it";
}

/** Paths whose names say nothing; `test/helpers` is the one exception. */
export function namelessFiles(paths: readonly string[]): string[] {
  return paths.filter((path) => BAD_NAME.test(path.replace(/^test\/helpers\//, "")));
}
