/**
 * As much of the Hugging Face Hub as is read: models at one commit, one that asks for consent, and a search by name.
 *
 * @module
 */
import { createHash } from "node:crypto";

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** What the server is asked to do wrong. */
export interface HubFaults {
  /** Answer so many requests for bytes with half of them. */
  halves?: number;
  /** Serve other bytes than the checksum is of. */
  damaged?: boolean;
  /** Answer no request. */
  down?: boolean;
  /** Refuse every request once the halves are spent. */
  thenDenied?: boolean;
}

/** Files of a repository by their paths. */
export type HubFiles = Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>;

/** What the server has; tests change it. */
export interface HubContent {
  commit: string;
  /** By `owner/name`. */
  models: Record<string, HubFiles>;
  /** New names by old ones. */
  renamed: Record<string, string>;
}

export interface HubServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly faults: HubFaults;
  readonly content: HubContent;
  /** First bytes of the ranges that were asked for. */
  readonly ranges: number[];
  /** Method, path and whether there was a token, of every request. */
  readonly asked: string[];
}

const FILES: HubFiles = {
  "config.json": '{"model_type":"llama"}',
  "model.safetensors": "weights ".repeat(40_000),
  "onnx/a b.bin": "grüße",
  "onnx/model.onnx": "onnx",
  "README.md": "# Ember",
};

/** Large files are kept apart, under their SHA-256. */
const isLarge = (path: string) => /\.(safetensors|gguf)$/.test(path);

export function startHub(models: Record<string, HubFiles> = { "owner/ember": FILES }): HubServer {
  const faults: HubFaults = {};
  const content: HubContent = { commit: COMMIT, models, renamed: {} };
  const asked: string[] = [], ranges: number[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const url = new URL(request.url);
    const token = request.headers.get("authorization");
    asked.push(`${request.method} ${decodeURIComponent(url.pathname)}${token ? " +token" : ""}`);
    const [, first] = /^bytes=(\d+)-/.exec(request.headers.get("range") ?? "") ?? [];
    if (first !== undefined) ranges.push(Number(first));
    if (faults.thenDenied && faults.halves === 0) return refused(403, "Forbidden");
    return faults.down ? new Response(null, { status: 503 }) : answer(request, url, token, faults, content);
  });
  return {
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    faults,
    content,
    asked,
    ranges,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function answer(
  request: Request,
  url: URL,
  token: string | null,
  faults: HubFaults,
  { commit, models, renamed }: HubContent,
): Response {
  const path = decodeURIComponent(url.pathname);
  if (path === "/api/models") return Response.json(found(url, Object.keys(models)));
  const [, before, repository = "", rest = ""] =
    /^(\/cdn\/|\/api\/(?:models|datasets)\/|\/datasets\/|\/)([^/]+\/[^/]+)\/(.*)$/.exec(path) ?? [];
  const newName = renamed[repository];
  if (newName !== undefined) {
    return new Response(null, { status: 307, headers: { location: `${before}${newName}/${rest}` } });
  }
  if (repository === "owner/gated") return refused(token ? 403 : 401, "GatedRepo");
  const files = models[repository];
  if (!files) return refused(token ? 404 : 401, "RepoNotFound");
  if (before === "/cdn/") return bytesOf(request, bytesIn(files, rest)!, faults);
  const [, revision] = /^revision\/(.+)$/.exec(rest) ?? [];
  if (revision !== undefined) {
    return ["main", "v1/x", commit].includes(revision)
      ? Response.json({ id: repository, sha: commit })
      : refused(404, "RevisionNotFound");
  }
  const [, folder] = new RegExp(`^tree/${commit}(?:/(.*))?$`).exec(rest) ?? [];
  if (rest.startsWith("tree/")) return treeOf(url, files, folder ?? "");
  const [, name = ""] = new RegExp(`^resolve/${commit}/(.*)$`).exec(rest) ?? [];
  const bytes = bytesIn(files, name);
  if (bytes === null) return refused(404, "EntryNotFound");
  if (!isLarge(name)) return bytesOf(request, bytes, faults, `"${gitName(bytes)}"`);
  const headers = {
    location: `/cdn/${repository}/${encodeURIComponent(name)}`,
    "x-linked-size": String(bytes.length),
    "x-linked-etag": `"${sha256(bytes)}"`,
  };
  return new Response(null, { status: 302, headers });
}

/** Those of an owner, or with a word in their names. */
function found(url: URL, names: readonly string[]): { id: string }[] {
  const author = url.searchParams.get("author"), word = url.searchParams.get("search") ?? "";
  return names.filter((id) => author === null ? id.includes(word) : id.startsWith(`${author}/`))
    .map((id) => ({ id }));
}

function bytesIn(files: HubFiles, name: string): Uint8Array<ArrayBuffer> | null {
  const content = Object.hasOwn(files, name) ? files[name]! : null;
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

function treeOf(url: URL, files: HubFiles, folder: string): Response {
  const below = folder === "" ? "" : `${folder}/`;
  const all = Object.keys(files).filter((path) => path.startsWith(below)).sort();
  if (all.length === 0) return refused(404, "EntryNotFound");
  const from = Number(url.searchParams.get("cursor") ?? 0);
  const limit = Number(url.searchParams.get("limit") ?? 2);
  const entries = all.slice(from, from + limit).map((path) => {
    const bytes = bytesIn(files, path)!;
    const lfs = { oid: sha256(bytes), size: bytes.length, pointerSize: 130 };
    return { type: "file", path, size: bytes.length, oid: gitName(bytes), ...(isLarge(path) ? { lfs } : {}) };
  });
  const next = new URL(url);
  next.searchParams.set("cursor", String(from + limit));
  const link = from + limit < all.length ? { link: `<${next.href}>; rel="next"` } : undefined;
  return Response.json([{ type: "directory", path: `${below}deep`, size: 0, oid: COMMIT }, ...entries], {
    headers: { ...link },
  });
}

function bytesOf(
  request: Request,
  content: Uint8Array<ArrayBuffer>,
  faults: HubFaults,
  etag?: string,
): Response {
  const all = content.slice();
  if (faults.damaged) all[all.length - 1]! ^= 1;
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
  const headers: Record<string, string> = { "content-length": String(all.length), ...(etag ? { etag } : {}) };
  if (request.method === "HEAD") return new Response(null, { headers });
  if (first === undefined) return new Response(all, { headers });
  const part = all.slice(Number(first), Number(last) + 1);
  const isHalf = (faults.halves ?? 0) > 0;
  if (isHalf) faults.halves!--;
  const sent = isHalf ? part.slice(0, part.length >> 1) : part;
  return new Response(sent, { status: 206, headers: { ...headers, "content-length": String(sent.length) } });
}

function refused(status: number, code: string): Response {
  return new Response(null, { status, headers: { "x-error-code": code } });
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function gitName(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
