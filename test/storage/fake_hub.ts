/**
 * The Hub of Hugging Face as far as data sets go, for tests: as a function of requests, and as a server in a process of
 * its own that refers to a second one for the files, as the real one does.
 *
 *     deno run --allow-net=127.0.0.1 test/storage/fake_hub.ts
 *
 * @module
 */
import { createHash } from "node:crypto";

/** What the fake holds, and how it behaves. */
export interface FakeHubOptions {
  /** Files of the data set `fen/tide` by path. */
  readonly files: Readonly<Record<string, string>>;
  /** Required of every request where given. */
  readonly token?: string;
  /** Asked before a request is answered: an answer or error in its place. */
  readonly before?: (path: string, count: number) => Response | null;
  /** Where files are really, if not here. */
  readonly redirect?: string;
}

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** A Hub with one data set, and the requests that it got. */
export class FakeHub {
  readonly requests: { readonly path: string; readonly authorization: string | null }[] = [];
  readonly #options: FakeHubOptions;

  constructor(options: FakeHubOptions) {
    this.#options = options;
  }

  /** In place of `fetch`. */
  readonly fetch: typeof fetch = (input, init) =>
    Promise.resolve(new Request(input, init)).then((request) => this.answer(request));

  answer(request: Request): Response {
    const { pathname, search } = new URL(request.url), path = pathname + search;
    const authorization = request.headers.get("authorization");
    this.requests.push({ path, authorization });
    const { files, token, before, redirect } = this.#options;
    const instead = before?.(path, this.requests.length);
    if (instead) return instead;
    if (token !== undefined && authorization !== `Bearer ${token}`) {
      return new Response("no", { status: 401 });
    }
    const revision = /^\/api\/datasets\/fen\/tide\/revision\/([^/]+)$/.exec(pathname)?.[1];
    if (revision === "main" || revision === "refs%2Fconvert%2Fparquet") {
      return Response.json({ id: "fen/tide", sha: COMMIT });
    }
    if (pathname === `/api/datasets/fen/tide/tree/${COMMIT}`) {
      return Response.json(
        Object.entries(files).map(([path, text]) => {
          return { type: "file", path, size: bytesOf(text).length, oid: gitName(bytesOf(text)) };
        }),
      );
    }
    const named = new RegExp(`^/datasets/fen/tide/resolve/${COMMIT}/(.+)$`).exec(pathname)?.[1];
    const text = named === undefined ? undefined : files[decodeURIComponent(named)];
    if (text === undefined) return new Response("not found", { status: 404 });
    if (redirect !== undefined) return Response.redirect(`${redirect}/${named}`, 302);
    return partOf(request, bytesOf(text));
  }
}

function partOf(request: Request, bytes: Uint8Array<ArrayBuffer>): Response {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
  if (first === undefined) return new Response(bytes);
  return new Response(bytes.slice(Number(first), Number(last) + 1), { status: 206 });
}

function gitName(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Rows as the bundled model's data have them. */
export const ROWS = Array.from(
  { length: 6 },
  (_, i) => `${JSON.stringify({ prompt: `= Signal ${"ab".repeat(i)}.`, completion: " B-E-L-L" })}\n`,
).join("");

/** Prints its address, then serves until it is ended. */
if (import.meta.main) {
  const listen = (answer: (request: Request) => Response) =>
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer).addr.port;
  const files = listen((request) =>
    // a token that reaches another server is a token told
    request.headers.has("authorization")
      ? new Response("token told", { status: 400 })
      : partOf(request, bytesOf(ROWS))
  );
  const hub = new FakeHub({
    files: { "README.md": "a data set", "data/train.jsonl": ROWS, "data/test.jsonl": ROWS },
    token: "hf_secret",
    redirect: `http://127.0.0.1:${files}`,
  });
  console.log(`http://127.0.0.1:${listen((request) => hub.answer(request))}`);
}
