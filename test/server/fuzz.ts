/**
 * Sends the server bodies that are broken at random, and holds that each is answered and none does harm.
 *
 *     deno task fuzz:server [BODIES] [SEED]        20 000 bodies of seed 1
 *
 * Half of them are JSON and half are forms. A promise that nobody waited for ends the process, as it would end the server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { SqliteJobRecords } from "../../src/job_tracker/sqlite.ts";
import { threefry2x32 } from "../../src/random.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { ROWS, type TestServer, uploadForm, withServer } from "../helpers/server_app.ts";

/** Draws that a seed and a number repeat. */
class Draws {
  readonly #seed: number;
  readonly #body: number;
  #count = 0;

  constructor(seed: number, body: number) {
    this.#seed = seed;
    this.#body = body;
  }

  /** A whole number from 0, below `end`. */
  below(end: number): number {
    return threefry2x32(this.#seed, 0, this.#body, this.#count++)[0] % end;
  }

  one<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

/** A request whose body is broken. */
interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Bytes of a piece of the body. */
  readonly pieceBytes: number;
}

const encoder = new TextEncoder();

/** Values that programs stumble over. */
const VALUES: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -0,
    -1,
    0.5,
    1e308,
    -1e308,
    2 ** 31,
    2 ** 53,
    1e-320,
    "",
    " ",
    "auto",
    "null",
    "-1",
  ],
  ...[
    "\u0000",
    "\ud800",
    "\u202e",
    "a\r\nb",
    "%s%n",
    "../../etc/passwd",
    "${7*7}",
    "' OR 1=1 --",
    "💥",
    "x".repeat(5000),
  ],
  ...[[], [[]], [null], {}, { a: {} }, { toString: 1 }, { length: -1 }, { then: "x" }, [1, "a", null, {}]],
  ...["__proto__", "constructor", "/", "hf://a/b", "ft:tiny:lowrank::x", "ftjob-x", "9".repeat(400)],
];

const NAMES = [
  "__proto__",
  "constructor",
  "toString",
  "",
  "a.b",
  "lowrank.lora_r",
  "model",
  "messages",
  "\u0000",
];

/** What each route that takes JSON takes. */
const REQUESTS: readonly { readonly method: string; readonly path: string; readonly body: object }[] = [
  {
    method: "POST",
    path: "/v1/fine_tuning/jobs",
    body: {
      model: "tiny",
      training_file: "FILE",
      validation_file: null,
      suffix: "a",
      seed: 1,
      metadata: { a: "b", "lowrank.lora_r": "8" },
      integrations: [],
      hyperparameters: { n_epochs: 1, batch_size: "auto", lora_r: 4, target_modules: ["q_proj"] },
      method: { type: "supervised", supervised: { hyperparameters: { learning_rate: 1e-4, lora_alpha: 8 } } },
    },
  },
  {
    method: "POST",
    path: "/v1/chat/completions",
    body: {
      model: "tiny",
      messages: [
        { role: "system", content: "a" },
        { role: "user", content: [{ type: "text", text: "b" }], name: "c" },
        { role: "assistant", content: null, tool_calls: [] },
      ],
      temperature: 1,
      top_p: 0.5,
      n: 2,
      stop: ["x"],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 5,
      logit_bias: {},
      response_format: { type: "text" },
      tools: [],
    },
  },
  {
    method: "POST",
    path: "/v1/completions",
    body: { model: "tiny", prompt: ["a", "b"], n: 1, echo: false, best_of: 1, suffix: null, top_k: 3 },
  },
  { method: "POST", path: "/v1/completions", body: { model: "tiny", prompt: [[1, 2], [3]], seed: 1 } },
  {
    method: "PATCH",
    path: "/api/jobs/run-1",
    body: { status: "running", progress: 0.5, error: null, metadata: { a: 1, b: "c", d: true, e: null } },
  },
  { method: "POST", path: "/api/storage/gs/b/out/x", body: { bytes: 10 } },
];

/** A copy of a JSON value with one thing changed somewhere. */
function changed(value: unknown, draws: Draws): unknown {
  const isInner = typeof value === "object" && value !== null && Object.keys(value).length > 0;
  if (!isInner || draws.below(6) === 0) return draws.one(VALUES);
  const entries: [string, unknown][] = Object.entries(value), at = draws.below(entries.length);
  const [name, inner] = entries[at]!;
  const kind = draws.below(8);
  if (kind === 0) entries.splice(at, 1);
  else if (kind === 1) entries.push([draws.one(NAMES), draws.one(VALUES)]);
  else if (kind === 2) entries[at] = [name, Array.from({ length: draws.below(300) }, () => inner)];
  else entries[at] = [name, changed(inner, draws)];
  return Array.isArray(value) ? entries.map(([, each]) => each) : Object.fromEntries(entries);
}

/** Bytes with some overwritten, cut out, doubled or put in. */
function torn(
  bytes: Uint8Array<ArrayBuffer>,
  pieces: readonly string[],
  draws: Draws,
): Uint8Array<ArrayBuffer> {
  let torn = bytes;
  for (let i = 0, count = 1 + draws.below(4); i < count; i++) {
    const at = draws.below(torn.length + 1), end = Math.min(torn.length, at + draws.below(40));
    const middle = [
      () => encoder.encode(draws.one(pieces)),
      () => Uint8Array.from({ length: draws.below(20) }, () => draws.below(256)),
      () => new Uint8Array(),
      () => torn.slice(at, end).map((byte) => byte ^ 1 << draws.below(8)),
      () => encoder.encode(draws.one(pieces).repeat(1 + draws.below(200))),
    ][draws.below(5)]!();
    const rest = torn.slice(draws.below(2) === 0 ? at : end);
    torn = new Uint8Array([...torn.subarray(0, at), ...middle, ...rest]);
  }
  return draws.below(10) === 0 ? torn.slice(0, draws.below(torn.length + 1)) : torn;
}

const JSON_PIECES = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\\",
  "\\u",
  "null",
  "NaN",
  "1e999",
  "-",
  "\ufeff",
  "\n",
  "//",
  "[[",
  '{"a":',
];

function brokenJson(file: string, draws: Draws): Sent {
  const { method, path, body } = draws.one(REQUESTS);
  let value: unknown = body;
  for (let i = draws.below(4); i > 0; i--) value = changed(value, draws);
  const text = JSON.stringify(value).replaceAll("FILE", file);
  const bytes = encoder.encode(text);
  const type = draws.one([
    "application/json",
    "application/json",
    "application/json; charset=utf-8",
    "text/plain",
    "",
  ]);
  return {
    method,
    path,
    headers: {
      ...(type === "" ? {} : { "content-type": type }),
      ...(draws.below(4) === 0 ? { "idempotency-key": draws.one(["a", "b", " ", "x".repeat(300)]) } : {}),
    },
    body: draws.below(2) === 0 ? bytes : torn(bytes, JSON_PIECES, draws),
    pieceBytes: draws.one([1, 7, 4096]),
  };
}

const FORM_PIECES = [
  ...[
    "--b",
    "--b--",
    "\r\n",
    "\r\n\r\n",
    "\r",
    "\n",
    "\r\n--b\r\n",
    "--",
    "\0",
    '"',
    ";",
    "filename*=UTF-8''%ff",
    '; filename="b"',
  ],
  ...[
    '; name="file"',
    '; name="purpose"',
    "Content-Disposition: form-data",
    "Content-Type: multipart/mixed; boundary=c",
  ],
  ...[
    "Content-Transfer-Encoding: base64\r\n",
    "X: 1\r\n",
    '{"text": 5}\n',
    "PAR1",
    "\x1f\x8b",
    "[",
    "\ufeff",
    "a,b\r\n1,2\r\n",
  ],
];

function brokenForm(draws: Draws): Sent {
  const part = (name: string, content: string, more = "") =>
    `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${content}\r\n`;
  const parts = [
    part("purpose", draws.one(["fine-tune", "batch", "x"])),
    part(
      "file",
      draws.one([ROWS, "", "x", ROWS.repeat(50)]),
      `; filename="${draws.one(["a.jsonl", "a.csv", "../a", ""])}"`,
    ),
    ...(draws.below(3) === 0
      ? [part("expires_after[anchor]", "created_at"), part("expires_after[seconds]", "3600")]
      : []),
    ...(draws.below(4) === 0
      ? [part(draws.one(NAMES).replace("\0", ""), "x".repeat(draws.below(6000)))]
      : []),
  ];
  if (draws.below(2) === 0) parts.reverse();
  const bytes = encoder.encode(`${parts.join("")}--b--\r\n`);
  const boundary = draws.one(["b", "b", "b", "b", '"b"', "", "c", "b; boundary=c", "x".repeat(200)]);
  return {
    method: "POST",
    path: "/v1/files",
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    body: draws.below(8) === 0 ? bytes : torn(bytes, FORM_PIECES, draws),
    pieceBytes: draws.one([1, 3, 64, 4096]),
  };
}

function inPieces({ body, pieceBytes }: Sent): ReadableStream<Uint8Array<ArrayBuffer>> {
  const size = Math.max(pieceBytes, Math.ceil(body.length / 200));
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= body.length) return controller.close();
      controller.enqueue(body.slice(at, at += size));
    },
  });
}

/** How many answers there were of each status. */
export type Answers = ReadonlyMap<number, number>;

/**
 * Sends so many bodies.
 *
 * @throws {AssertionError} With the body, if one is answered by an error of the server, or leaves something open or behind.
 */
export async function fuzz(
  bodies: number,
  seed: number,
  tell: (line: string) => void = () => {},
): Promise<Answers> {
  const answers = new Map<number, number>(), records = new SqliteJobRecords(":memory:");
  const storage = new MemoryStorageManager("b");
  const areas = [{ path: "gs/b/out", storage, prefix: "out/", isWritable: true }];
  const settings = { requestsPerSecond: 1e9, maxQueuedJobs: 1e9, maxFileBytes: 5000 };
  await withServer(settings, async (server) => {
    const { id: file } =
      await (await server.app.request("/v1/files", { method: "POST", body: uploadForm(ROWS) })).json();
    const atFirst = openFiles();
    for (let i = 0; i < bodies; i++) {
      const draws = new Draws(seed, i), sent = i % 2 === 0 ? brokenJson(file, draws) : brokenForm(draws);
      const status = await answerTo(server, sent, `body ${i} of seed ${seed}`);
      answers.set(status, (answers.get(status) ?? 0) + 1);
      if ((i + 1) % 1000 === 0) tell(`${i + 1} bodies`);
      if (server.log.length > 1000) (server.log as unknown[]).length = 0;
    }
    assert.equal((await server.app.request("/healthz")).status, 200);
    assert.deepEqual(server.failures, []);
    assert.deepEqual([...Deno.readDirSync(`${server.folder}/incoming`)], [], "no upload that broke is left");
    const { data } = await (await server.app.request("/v1/files?limit=10000")).json();
    const kept = [...Deno.readDirSync(`${server.folder}/files`)];
    assert.equal(kept.length, data.length < 10_000 ? data.length : kept.length, "every file is in the list");
    const open = openFiles();
    assert.ok(open === null || open <= atFirst! + 2, `${open} files are open, ${atFirst} were`);
  }, { areas, records });
  await records.close();
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  return answers;
}

/** Its status. @throws {AssertionError} */
async function answerTo({ app, log, folder }: TestServer, sent: Sent, name: string): Promise<number> {
  const { method, path, headers } = sent;
  const response = await app.request(path, { method, headers, body: inPieces(sent) });
  const text = await response.text(), { status } = response;
  if (status < 500 && !text.includes(folder)) return status;
  const { error } = log.at(-1)!;
  const body = JSON.stringify(new TextDecoder("latin1").decode(sent.body)).slice(0, 2000);
  assert.fail(
    `${name}, ${method} ${path}: ${status} ${text}\n${error instanceof Error ? error.stack : ""}\n${body}`,
  );
}

/** Null where the system does not tell. */
function openFiles(): number | null {
  try {
    return [...Deno.readDirSync("/proc/self/fd")].length;
  } catch {
    return null;
  }
}

if (import.meta.main) {
  const [bodies = 20_000, seed = 1] = Deno.args.map(Number);
  const answers = await fuzz(bodies, seed, console.log);
  const told = [...answers].sort(([a], [b]) => a - b).map(([status, count]) => `${count} times ${status}`);
  console.log(`${bodies} bodies of seed ${seed}: ${told.join(", ")}`);
}
