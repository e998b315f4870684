/**
 * Builds the page into a folder that any static server can serve from any path. Deno only.
 *
 *     deno task build:web [FOLDER]
 *
 * @module
 */
import { packFiles } from "./build/packed_files.ts";
import { writePageImports } from "./build/page_imports.ts";

/** A path of the checkout. */
const inRoot = (path: string) => new URL(`../${path}`, import.meta.url).pathname;

/** Where the page is built. */
export const DIST = inRoot("dist/web");

/** What goes beside the scripts. */
export interface PageContent {
  /** Folder of the base model. */
  readonly model: string;
  /** Data files by the names that `defaults.json` uses. */
  readonly data: Readonly<Record<string, string>>;
}

const BUNDLED: PageContent = {
  model: inRoot("examples/tiny/model"),
  data: {
    "signals.jsonl": inRoot("examples/tiny/signals.jsonl"),
    "signals.eval.jsonl": inRoot("examples/tiny/signals.eval.jsonl"),
  },
};

/** Page and worker; what both hold, and what either may never need, lies in scripts of its own beside them. */
const SCRIPTS = ["main.tsx", "worker.ts"];
/** Keeps all others for visits without a network, and so cannot be one of theirs. */
const SERVICE_WORKER = "service_worker";
const PLAIN_FILES = ["index.html", "style.css", "defaults.json", "server.json"];

/**
 * Bundles the scripts and copies page, model and data beside them. Says how large the parts are.
 *
 * @param out The folder is emptied first.
 * @throws {Error} If a script does not bundle, with the bundler's words.
 */
export async function buildWeb(out: string = DIST, { model, data }: PageContent = BUNDLED): Promise<void> {
  await Deno.remove(out, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const aside = `${out}/.imports`;
  await Deno.mkdir(aside, { recursive: true });
  const imports = `--import-map=${await writePageImports(aside)}`;
  await bundle(SCRIPTS.map((name) => inRoot(`web/${name}`)), out, ["--code-splitting", imports]);
  await Deno.remove(aside, { recursive: true });
  for (const name of PLAIN_FILES) await Deno.copyFile(inRoot(`web/${name}`), `${out}/${name}`);
  await tellScripts(out);
  const files = await Array.fromAsync(Deno.readDir(model));
  const modelFiles = files.filter(({ isFile }) => isFile).map(({ name }) => [name, `${model}/${name}`]);
  await copyListed(`${out}/models/lowrank-tiny`, Object.fromEntries(modelFiles));
  await copyListed(`${out}/data`, data);
  await bundle([inRoot(`web/${SERVICE_WORKER}.ts`)], out);
  await tellFiles(`${out}/${SERVICE_WORKER}.js`, await digests(out));
}

/** Packages of the chat without WebGPU, and where their scripts go: loaded by whoever needs them, and by nobody else. */
const ONNX = inRoot("web/onnx/"), ONNX_OUT = "onnx";
/** Of the runtime, the build that has no more than WebAssembly. */
const RUNTIME = "ort-wasm-simd-threaded";

/**
 * Adds to a built page what the chat needs in browsers without WebGPU: transformers.js and onnxruntime-web.
 *
 * @throws {Error} If the packages cannot be had.
 */
export async function buildOnnxChat(out: string = DIST): Promise<void> {
  const config = `${ONNX}deno.json`, folder = `${out}/${ONNX_OUT}`;
  await bundle([`${ONNX}writer.ts`], folder, [`--config=${config}`], ONNX);
  const runtime = await packageFolder("onnxruntime-web", config);
  for (const ending of ["mjs", "wasm"]) {
    await Deno.writeFile(
      `${folder}/${RUNTIME}.${ending}`,
      await Deno.readFile(`${runtime}${RUNTIME}.${ending}`),
    );
  }
}

/** Where a package's own script lies, in Deno's cache. */
export async function packageFolder(name: string, config: string): Promise<string> {
  const args = ["eval", "--quiet", "--config", config, `console.log(import.meta.resolve("${name}"))`];
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: config.slice(0, config.lastIndexOf("/")),
  }).output();
  return new URL(".", new TextDecoder().decode(stdout).trim()).pathname;
}

/** Both, packed too; says so where the second cannot be had, which a page does without. */
export async function buildAll(out: string = DIST): Promise<void> {
  await buildWeb(out);
  try {
    await buildOnnxChat(out);
  } catch (error) {
    console.warn(`without the chat for browsers that lack WebGPU: ${(error as Error).message}`);
  }
  await packFiles(out);
}

/** Names in the page what its script imports, so that all of it is fetched at once. */
async function tellScripts(out: string): Promise<void> {
  const path = `${out}/index.html`, page = await Deno.readTextFile(path);
  const [, ...imported] = await loadedWith(out, "main.js");
  const links = imported.map((name) => `<link rel="modulepreload" href="${name}">\n    `);
  await Deno.writeTextFile(path, page.replace("<script ", `${links.join("")}<script `));
}

/** Puts before the service worker what it keeps. Its own text changes with each file, so that browsers take it anew. */
async function tellFiles(script: string, files: ReadonlyMap<string, string>): Promise<void> {
  const { [script.slice(script.lastIndexOf("/") + 1)]: _, ...others } = Object.fromEntries(files);
  const version = (await sha256(new TextEncoder().encode(JSON.stringify(others)))).slice(0, 16);
  const build = JSON.stringify({ version, files: Object.keys(others) });
  await Deno.writeTextFile(script, `self.PAGE_BUILD=${build};\n${await Deno.readTextFile(script)}`);
}

/** Digests of all files below a folder, by path and in its order. */
async function digests(folder: string, prefix = ""): Promise<Map<string, string>> {
  const found = new Map<string, string>(), entries = await Array.fromAsync(Deno.readDir(folder));
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const path = `${folder}/${name}`;
    if (!isDirectory) found.set(prefix + name, await sha256(await Deno.readFile(path)));
    else for (const [below, digest] of await digests(path, `${prefix}${name}/`)) found.set(below, digest);
  }
  return found;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Bundles scripts for browsers, each with all that it imports. @throws {Error} With the bundler's words. */
export async function bundle(
  entries: readonly string[],
  out: string,
  options: readonly string[] = [],
  cwd: string = inRoot("."),
): Promise<void> {
  const args = [
    "bundle",
    "--quiet",
    "--platform=browser",
    "--minify",
    ...options,
    `--outdir=${out}`,
    ...entries,
  ];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
  if (!success) throw new Error(`Cannot bundle ${entries.join(", ")}:\n${new TextDecoder().decode(stderr)}`);
}

/** Copies files into a new folder, with the listing that HttpFolder reads. */
async function copyListed(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, path] of Object.entries(files)) {
    await Deno.writeFile(`${folder}/${name}`, await Deno.readFile(path)); // copyFile would keep them read-only
  }
  await Deno.writeTextFile(`${folder}/files.json`, `${JSON.stringify(Object.keys(files).sort())}\n`);
}

/** Gzipped bytes of a built page. */
export interface PageSizes {
  /** What is loaded before the page shows: the page, its style, its script and what that imports at once. */
  readonly initial: number;
  /** That, and the worker with what it imports at once: the engine. */
  readonly whole: number;
  /**
   * What else the page may load: exports, chat, YAML and Parquet readers. The chat without WebGPU lies apart and is not
   * counted: transformers.js and onnxruntime-web are many times as large as all the rest.
   */
  readonly later: number;
  /** What only Parquet packed by Brotli needs, which is nearly all the dictionary of that; not counted in the others. */
  readonly brotli: number;
  /** Each script, the style and the page. */
  readonly files: ReadonlyMap<string, number>;
}

/** Measures a built page. */
export async function pageSizes(out: string): Promise<PageSizes> {
  const files = new Map<string, number>();
  for await (const { name } of Deno.readDir(out)) {
    if (/\.(js|css|html)$/.test(name)) {
      files.set(name, await gzippedBytes(await Deno.readFile(`${out}/${name}`)));
    }
  }
  const sum = (names: Iterable<string>) => [...names].reduce((bytes, name) => bytes + files.get(name)!, 0);
  const page = new Set(["index.html", "style.css", ...await loadedWith(out, "main.js")]);
  const whole = new Set([...page, ...await loadedWith(out, "worker.js")]);
  const brotli = sum([...files.keys()].filter((name) => name.startsWith("brotli-")));
  const later = sum(files.keys()) - sum(whole) - brotli;
  return { initial: sum(page), whole: sum(whole), later, brotli, files };
}

/** A script and all that it imports at once. */
async function loadedWith(out: string, name: string, found = new Set<string>()): Promise<Set<string>> {
  if (found.has(name)) return found;
  found.add(name);
  const source = await Deno.readTextFile(`${out}/${name}`);
  for (const [, other] of source.matchAll(/(?:from|import)\s*"\.\/([\w-]+\.js)"/g)) {
    await loadedWith(out, other!, found);
  }
  return found;
}

async function gzippedBytes(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(packed).arrayBuffer()).byteLength;
}

async function report(out: string): Promise<void> {
  const { initial, whole, later, brotli, files } = await pageSizes(out);
  for (const [name, bytes] of [...files].sort()) {
    console.log(`${name.padEnd(24)} ${kilobytes(bytes)} gzipped`);
  }
  console.log(`before the page shows ${kilobytes(initial)}, with the engine ${kilobytes(whole)}`);
  console.log(`on demand ${kilobytes(later)}, and for Parquet packed by Brotli ${kilobytes(brotli)}`);
  console.log(`built in ${out}`);
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1).padStart(6)} kB`;
}

if (import.meta.main) {
  const out = Deno.args[0] ?? DIST;
  await buildAll(out);
  await report(out);
}
