/**
 * A static file server for the built page, as simple as any host's: right types, byte ranges, packed copies, nothing sent
 * twice, nothing outside its folder. Deno only.
 *
 *     deno task web        builds the page, then serves it at http://127.0.0.1:8080
 *
 * @module
 */
import { buildAll, DIST } from "./build.ts";

const PORT = 8080;

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  wasm: "application/wasm",
  json: "application/json",
  jsonl: "application/jsonl",
};

/** Endings of packed copies by what browsers call the packing, the smaller first. */
const PACKINGS = { br: "br", gzip: "gz" } as const;
/** Scripts whose names change with what they hold: a browser that has one never asks again. */
const NAMED_BY_CONTENT = /-[0-9A-Z]{8}\.js$/;

/** Answers GET and HEAD requests from the files of a folder. */
export function serveFolder(root: string): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method !== "GET" && request.method !== "HEAD") return refused(405);
    const path = filePath(new URL(request.url).pathname);
    if (path === null) return refused(404);
    let file: Deno.FsFile;
    try {
      file = await Deno.open(`${root}/${path}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory)) throw error;
      return refused(404);
    }
    const found = { path, packing: null, file, info: await file.stat() };
    if (found.info.isFile) return await respond(request, await packedCopy(request, root, found) ?? found);
    file.close();
    return refused(404);
  };
}

/** A file that is open. */
interface OpenFile {
  readonly path: string;
  readonly packing: keyof typeof PACKINGS | null;
  readonly file: Deno.FsFile;
  readonly info: Deno.FileInfo;
}

/** The copy of a file that a browser takes, unless it is older or only a part is wanted; null where there is none. */
async function packedCopy(request: Request, root: string, whole: OpenFile): Promise<OpenFile | null> {
  if (request.headers.has("range")) return null;
  const taken = (request.headers.get("accept-encoding") ?? "").split(",").map((name) => name.trim());
  for (const [packing, ending] of Object.entries(PACKINGS) as [keyof typeof PACKINGS, string][]) {
    if (!taken.includes(packing)) continue;
    const file = await Deno.open(`${root}/${whole.path}.${ending}`).catch(() => null);
    if (!file) continue;
    const info = await file.stat();
    if (info.mtime! >= whole.info.mtime!) {
      whole.file.close();
      return { ...whole, packing, file, info };
    }
    file.close();
  }
  return null;
}

/** A file below the root for the path of an address; null for one that would leave it. */
function filePath(pathname: string): string | null {
  let path: string;
  try {
    path = decodeURIComponent(pathname).slice(1);
  } catch {
    return null; // broken escapes
  }
  if (path === "" || path.endsWith("/")) path += "index.html";
  const leaves = path.includes("\0") || path.includes("\\") ||
    path.split("/").some((part) => part.startsWith("."));
  return leaves ? null : path;
}

async function respond(request: Request, { path, packing, file, info }: OpenFile): Promise<Response> {
  const { size, mtime } = info, etag = `"${size}-${mtime?.getTime()}"`;
  const range = byteRange(request.headers.get("range"), size);
  const headers = new Headers({
    "accept-ranges": "bytes",
    "cache-control": NAMED_BY_CONTENT.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
    "content-type": TYPES[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream",
    etag,
    vary: "accept-encoding",
    ...(packing ? { "content-encoding": packing } : {}),
  });
  if (request.headers.get("if-none-match") === etag) {
    file.close();
    return new Response(null, { status: 304, headers });
  }
  if (range === "none left") {
    file.close();
    headers.set("content-range", `bytes */${size}`);
    return new Response(null, { status: 416, headers });
  }
  const { first, length } = range ?? { first: 0, length: size };
  headers.set("content-length", String(length));
  if (range) headers.set("content-range", `bytes ${first}-${first + length - 1}/${size}`);
  const status = range ? 206 : 200;
  if (request.method === "HEAD") {
    file.close();
    return new Response(null, { status, headers });
  }
  await file.seek(first, Deno.SeekMode.Start);
  return new Response(file.readable.pipeThrough(onlyFirst(length)), { status, headers });
}

/** The one range that a header asks for; null for the whole file, as for headers that are not understood. */
function byteRange(
  header: string | null,
  size: number,
): { first: number; length: number } | "none left" | null {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (from === undefined || to === undefined || (from === "" && to === "")) return null;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (first >= size) return "none left";
  return last < first ? null : { first, length: last - first + 1 };
}

/** Passes so many bytes and ends. */
function onlyFirst(length: number): TransformStream<Uint8Array, Uint8Array<ArrayBuffer>> {
  let left = length;
  return new TransformStream({
    transform(chunk, controller) {
      const part = chunk.slice(0, left);
      left -= part.length;
      if (part.length > 0) controller.enqueue(part);
      if (left === 0) controller.terminate();
    },
  });
}

function refused(status: 404 | 405): Response {
  const text = status === 404 ? "not found" : "only GET and HEAD";
  return new Response(`${text}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

if (import.meta.main) {
  await buildAll();
  Deno.serve({ hostname: "127.0.0.1", port: PORT }, serveFolder(DIST));
}
