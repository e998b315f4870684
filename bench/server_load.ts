/**
 * The server under load, as processes of its own: what requests, followers of events and a large upload take of it.
 *
 *     deno task load:server                                    everything: about four minutes
 *     deno task load:server --only training --seconds 10       a part, or a shorter one
 *
 * Times of the wall tell of this machine too, which also does the asking and the training; processor time and memory are
 * those of the server's process alone, as Linux counts them.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ROWS, uploadForm } from "../test/helpers/server_app.ts";
import { type ServerProcess, startServer } from "../test/helpers/server_process.ts";
import { LAUNCHER_MEMORY } from "./launcher_memory.ts";
import { cpuSecondsOf, peakResidentOf, residentOf } from "./process_memory.ts";

/** Followers of one job's events, and requests a second beside them. */
const READERS = 200, REQUESTS_PER_SECOND = 50;

/** What may not be gone beyond. */
const MOST_GROWTH = 0.1, MOST_CPU_MS = 2, MOST_P99_MS = 100, MOST_UPLOAD_BYTES = 200e6;

/** Bytes of the upload. */
const UPLOAD_BYTES = 2e9;

interface Finding {
  readonly what: string;
  readonly value: string;
  readonly isRight: boolean;
}

const JSON_TYPE = { "content-type": "application/json" };
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, Math.max(0, ms)));

async function ask<T>(url: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(url, init), text = await response.text();
  if (!response.ok) throw new Error(`${init.method ?? "GET"} ${url}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Sends `path` after path, so many a second, for so long. @returns Milliseconds of each, and what went wrong. */
async function pace(
  origin: string,
  paths: readonly string[],
  seconds: number,
): Promise<{ readonly ms: readonly number[]; readonly failures: readonly string[] }> {
  const ms: number[] = [], failures: string[] = [], under: Promise<void>[] = [];
  const from = performance.now(), count = seconds * REQUESTS_PER_SECOND;
  for (let i = 0; i < count; i++) {
    await pause(from + i * 1000 / REQUESTS_PER_SECOND - performance.now());
    const path = paths[i % paths.length]!, sent = performance.now();
    under.push(
      fetch(origin + path).then(async (response) => {
        await response.arrayBuffer();
        ms.push(performance.now() - sent);
        if (!response.ok) failures.push(`${path}: ${response.status}`);
      }).catch((error) => void failures.push(`${path}: ${error}`)),
    );
  }
  await Promise.all(under);
  return { ms: ms.sort((a, b) => a - b), failures };
}

function share(sorted: readonly number[], of: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * of))]!;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
const milliseconds = (ms: number) => `${ms.toFixed(2)} ms`;

const eventNumber = (id: string) => Number(id.split("-").at(-1));

/** A job of the bundled model. */
async function createJob(origin: string, hyperparameters: object): Promise<string> {
  const { id: file } = await ask<{ id: string }>(`${origin}/v1/files`, {
    method: "POST",
    body: uploadForm(ROWS.repeat(50)),
  });
  const body = JSON.stringify({ model: "lowrank-tiny", training_file: file, hyperparameters });
  const { id } = await ask<{ id: string }>(`${origin}/v1/fine_tuning/jobs`, {
    method: "POST",
    headers: JSON_TYPE,
    body,
  });
  return id;
}

/** Reads a job's events to their end. @returns Their numbers. */
async function follow(origin: string, job: string): Promise<number[]> {
  const response = await fetch(`${origin}/v1/fine_tuning/jobs/${job}/events`, {
    headers: { accept: "text/event-stream" },
  });
  const numbers: number[] = [];
  let rest = "";
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const frames = (rest + text).split("\n\n");
    rest = frames.pop()!;
    for (const frame of frames) {
      const [, number] = /^id: (\d+)\nevent: (?:message|metrics)$/m.exec(frame) ?? [];
      if (number !== undefined) numbers.push(Number(number));
    }
  }
  return numbers;
}

/** Nothing runs: how long one request takes. */
async function idle({ origin }: ServerProcess, seconds: number): Promise<Finding[]> {
  const job = await createJob(origin, { max_steps: 1, batch_size: 1, max_length: 32, save: "adapter" });
  await follow(origin, job);
  await pace(origin, [`/v1/fine_tuning/jobs/${job}`], 2);
  const { ms, failures } = await pace(origin, [`/v1/fine_tuning/jobs/${job}`], seconds);
  const p99 = share(ms, 0.99);
  return [
    {
      what: `errors of ${ms.length} times GET job, no job running`,
      value: String(failures.length),
      isRight: failures.length === 0,
    },
    { what: "median time of GET job", value: milliseconds(share(ms, 0.5)), isRight: true },
    { what: "99th percentile of GET job", value: milliseconds(p99), isRight: p99 < MOST_P99_MS },
  ];
}

/** A job trains, many follow it, and many ask. */
async function training({ origin, pid }: ServerProcess, seconds: number): Promise<Finding[]> {
  const job = await createJob(origin, {
    ...{ max_steps: 20_000, batch_size: 4, max_length: 32, logging_steps: 1 },
    ...{ save: "adapter", save_steps: 100 },
  });
  const readers = Array.from({ length: READERS }, () => follow(origin, job));
  const paths = [
    ...[`/v1/fine_tuning/jobs/${job}`, `/v1/fine_tuning/jobs/${job}/events?limit=20`, "/v1/fine_tuning/jobs"],
    ...[`/v1/fine_tuning/jobs/${job}/checkpoints`, "/v1/files", "/v1/models", "/healthz", "/metrics"],
  ];
  const events = async () =>
    eventNumber(
      (await ask<{ data: { id: string }[] }>(`${origin}/v1/fine_tuning/jobs/${job}/events?limit=1`)).data[0]!
        .id,
    );
  while (await events() < 20) await pause(200); // it trains
  await pace(origin, paths, Math.max(5, seconds / 2)); // warm
  const before = { cpu: await cpuSecondsOf(pid), bytes: await residentOf(pid) };
  const first = await events();
  const { ms, failures } = await pace(origin, paths, seconds);
  const after = { cpu: await cpuSecondsOf(pid), bytes: await residentOf(pid) };
  const told = await events() - first;
  await ask(`${origin}/v1/fine_tuning/jobs/${job}/cancel`, { method: "POST" });
  const seen = await Promise.all(readers), all = await events();
  const lost = seen.filter((numbers) =>
    numbers.length !== all || numbers.some((number, i) => number !== i + 1)
  );
  const cpuMs = 1000 * (after.cpu - before.cpu), growth = after.bytes / before.bytes - 1;
  return [
    {
      what: `errors of ${ms.length} requests while a job trains and ${READERS} follow it`,
      value: String(failures.length),
      isRight: failures.length === 0,
    },
    ...[...new Set(failures)].slice(0, 5).map((value) => ({ what: "such as", value, isRight: false })),
    {
      what: `followers that lack one of ${all} events`,
      value: String(lost.length),
      isRight: lost.length === 0,
    },
    {
      what: "events a second meanwhile, to each of them",
      value: (told / seconds).toFixed(1),
      isRight: told > 0,
    },
    {
      what: "processor time of the server a request, events included",
      value: milliseconds(cpuMs / ms.length),
      isRight: cpuMs / ms.length <= MOST_CPU_MS,
    },
    {
      what: "the same, a request or an event told",
      value: milliseconds(cpuMs / (ms.length + told * READERS)),
      isRight: true,
    },
    { what: "median time of a request", value: milliseconds(share(ms, 0.5)), isRight: true },
    { what: "resident memory after warm-up", value: megabytes(before.bytes), isRight: true },
    {
      what: `its growth in ${seconds} s`,
      value: `${(100 * growth).toFixed(1)} %`,
      isRight: growth < MOST_GROWTH,
    },
  ];
}

/** Rows to train on, each another one, of about two kilobytes. */
function rowsFrom(number: number, count: number): string {
  const text = "The lamp is lit at dusk. ".repeat(80);
  return Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: `${number + i}: ${text}` })}\n`)
    .join("");
}

const encoder = new TextEncoder();

/** Writes all of it. */
async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length;) from += await connection.write(bytes.subarray(from));
}

/**
 * Sends a form whose file has so many bytes, with its length, as clients send files; `fetch` tells no length of what is made
 * meanwhile.
 */
async function sendForm(origin: string, bytes: number): Promise<{ id: string; bytes: number }> {
  const { hostname, port } = new URL(origin);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const part = (name: string) => `--b\r\nContent-Disposition: form-data; name="${name}"`;
  const open = `${part("purpose")}\r\n\r\nfine-tune\r\n${part("file")}; filename="large.jsonl"\r\n\r\n`;
  const close = "\r\n--b--\r\n", length = open.length + bytes + close.length;
  const fields = [`Host: ${hostname}:${port}`, `Content-Length: ${length}`, "Connection: close"];
  const head = ["POST /v1/files HTTP/1.1", "Content-Type: multipart/form-data; boundary=b", ...fields].join(
    "\r\n",
  );
  await write(connection, encoder.encode(`${head}\r\n\r\n${open}`));
  let left = bytes;
  for (let number = 0; left > 100_000; number += 40) {
    const rows = encoder.encode(rowsFrom(number, 40));
    await write(connection, rows);
    left -= rows.length;
  }
  const last = JSON.stringify({ text: "" }).length; // one long row makes the length what was told
  await write(connection, encoder.encode(`${JSON.stringify({ text: "x".repeat(left - last) })}${close}`));
  const answer = await new Response(connection.readable).text();
  if (!answer.startsWith("HTTP/1.1 200")) throw new Error(answer);
  return JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1));
}

/** One large file, which is checked row by row as it must be before a job may train on it. */
async function upload({ origin, pid }: ServerProcess): Promise<Finding[]> {
  const from = performance.now(), cpu = await cpuSecondsOf(pid);
  const file = await sendForm(origin, UPLOAD_BYTES);
  const peak = await peakResidentOf(pid) ?? NaN, seconds = (performance.now() - from) / 1000;
  const download = await fetch(`${origin}/v1/files/${file.id}/content`);
  let bytes = 0;
  for await (const piece of download.body!) bytes += piece.length;
  return [
    {
      what: "bytes that were taken, and given back",
      value: `${file.bytes}, ${bytes}`,
      isRight: file.bytes === bytes && bytes === UPLOAD_BYTES,
    },
    { what: "time of the upload and its check", value: `${seconds.toFixed(0)} s`, isRight: true },
    { what: "processor time of it", value: `${(await cpuSecondsOf(pid) - cpu).toFixed(0)} s`, isRight: true },
    { what: "resident memory at most", value: megabytes(peak), isRight: peak < MOST_UPLOAD_BYTES },
    {
      what: "the same, after the download",
      value: megabytes(await peakResidentOf(pid) ?? NaN),
      isRight: true,
    },
  ];
}

const PARTS = { idle, training, upload };

if (import.meta.main) {
  const { values: { only, seconds } } = parseArgs({
    options: { only: { type: "string" }, seconds: { type: "string", default: "60" } },
  });
  let wrong = 0;
  for (const [name, part] of Object.entries(PARTS)) {
    if (only !== undefined && only !== name) continue;
    const folder = await Deno.makeTempDir({ prefix: "lowrank-load-" });
    const server = await startServer(folder, ["--max-requests", "1000", "--quiet"], { env: LAUNCHER_MEMORY });
    try {
      for (const { what, value, isRight } of await part(server, Number(seconds))) {
        console.log(`${isRight ? "ok    " : "WRONG "} ${what}: ${value}`);
        if (!isRight) wrong++;
      }
    } finally {
      const { err } = await server.stop();
      if (/error/i.test(err)) console.log(err.slice(-2000));
      await Deno.remove(folder, { recursive: true });
    }
  }
  Deno.exit(wrong > 0 ? 1 : 0);
}
