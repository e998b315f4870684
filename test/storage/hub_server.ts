/**
 * As much of the Hugging Face Hub as is read, with one model of two commits' worth of files.
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
}

export interface HubServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly faults: HubFaults;
  /** Method, path and whether there was a token, of every request. */
  readonly asked: string[];
}

const FILES: Readonly<Record<string, string>> = {
  "config.json": '{"model_type":"llama"}',
  "model.safetensors": "weights ".repeat(40_000),
  "onnx/a b.bin": "grüße",
  "onnx/model.onnx": "onnx",
  "README.md": "# Ember",
};

/** Large files are kept apart, under their SHA-256. */
const isLarge = (path: string) => path === "model.safetensors";

export function startHub(): HubServer {
  const faults: HubFaults = {};
  const asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const url = new URL(request.url);
    const token = request.headers.get("authorization");
    asked.push(`${request.method} ${decodeURIComponent(url.pathname)}${token ? " +token" : ""}`);
    return answer(request, url, token, faults);
  });
  return {
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    faults,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function answer(request: Request, url: URL, token: string | null, faults: HubFaults): Response {
  const path = decodeURIComponent(url.pathname);
  if (path.startsWith("/cdn/")) return bytesOf(request, path.slice(5), faults);
  const [, gated] = /owner\/(gated|ember)(?=\/)/.exec(path) ?? [];
  if (gated === undefined) return refused(token ? 404 : 401, "RepoNotFound");
  if (gated === "gated") return refused(token ? 403 : 401, "GatedRepo");
  const [, revision] = /\/revision\/(.+)$/.exec(path) ?? [];
  if (revision !== undefined) {
    return revision === "main" || revision === "v1/x"
      ? Response.json({ sha: COMMIT })
      : refused(404, "RevisionNotFound");
  }
  const [, folder] = new RegExp(`/tree/${COMMIT}(?:/(.*))?$`).exec(path) ?? [];
  if (path.includes("/tree/")) return treeOf(url, folder ?? "");
  const [, name = ""] = new RegExp(`/resolve/${COMMIT}/(.*)$`).exec(path) ?? [];
  const content = FILES[name];
  if (content === undefined) return refused(404, "EntryNotFound");
  const bytes = new TextEncoder().encode(content);
  if (!isLarge(name)) return bytesOf(request, name, faults, `"${gitName(bytes)}"`);
  const headers = {
    location: `/cdn/${encodeURIComponent(name)}`,
    "x-linked-size": String(bytes.length),
    "x-linked-etag": `"${sha256(bytes)}"`,
  };
  return new Response(null, { status: 302, headers });
}

function treeOf(url: URL, folder: string): Response {
  const below = folder === "" ? "" : `${folder}/`;
  const all = Object.keys(FILES).filter((path) => path.startsWith(below)).sort();
  if (all.length === 0) return refused(404, "EntryNotFound");
  const from = Number(url.searchParams.get("cursor") ?? 0);
  const limit = Number(url.searchParams.get("limit") ?? 2);
  const entries = all.slice(from, from + limit).map((path) => {
    const bytes = new TextEncoder().encode(FILES[path]);
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

function bytesOf(request: Request, name: string, faults: HubFaults, etag?: string): Response {
  const all = new TextEncoder().encode(FILES[name]);
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

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function gitName(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
