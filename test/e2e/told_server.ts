/**
 * A server's answers to the page without a server: jobs in each state, one of which runs.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { crc32c } from "../../src/crc32c.ts";
import { crcHex } from "../../src/storage/checksums.ts";

const NOW = Math.floor(Date.now() / 1000);

/** What a job that is over has left. */
const FILES = [
  { id: "file-adapter", filename: "adapter.zip", bytes: 183_000 },
  { id: "file-merged", filename: "merged.zip", bytes: 690_000 },
  { id: "file-metrics", filename: "step_metrics.csv", bytes: 4100 },
];

const CHECKPOINTS = [40, 20].map((step_number) => ({ id: `ftckpt-${step_number}`, step_number }));

const JOBS = [
  { id: "ftjob-running", status: "running", user_provided_suffix: "lighthouse", created_at: NOW - 300 },
  { id: "ftjob-queued", status: "queued", user_provided_suffix: "harbour", created_at: NOW - 240 },
  { id: "ftjob-paused", status: "paused", user_provided_suffix: null, created_at: NOW - 4000 },
  { id: "ftjob-done", status: "succeeded", user_provided_suffix: "signals", created_at: NOW - 90_000 },
  { id: "ftjob-failed", status: "failed", user_provided_suffix: "tides", created_at: NOW - 200_000 },
].map((job) => ({
  ...job,
  model: "lowrank-tiny",
  fine_tuned_model: job.status === "succeeded" ? "ft:lowrank-tiny:lowrank:signals:ab12cd34" : null,
  training_file: "file-1",
  validation_file: null,
  result_files: job.status === "succeeded" ? FILES.map(({ id }) => id) : [],
  error: job.status === "failed" ? { message: "The loss is not finite any more after step 12." } : null,
}));

const SAMPLES = [
  { prompt: "Signal lamp.", expected: "L-A-M-P", answers: ["the the", "L-A-M-P"] },
  { prompt: "Signal tide.", expected: "T-I-D-E", answers: ["of a", "T-I-T-E"] },
];

function samplesAfter(step: number, round: number): object {
  const samples = SAMPLES.map(({ answers, ...rest }) => ({ ...rest, answer: answers[round] }));
  const data = { step, samples, exact_match: null, rows: 2 };
  return { level: "info", type: "message", message: `Samples after step ${step}`, data };
}

/** Events of a job: 40 steps of 100. */
function events(): string {
  const told = [
    { level: "info", type: "message", message: "Fine-tuning job started", data: { totalSteps: 100 } },
    samplesAfter(0, 0),
    ...Array.from(
      { length: 40 },
      (_, i) => ({
        level: "info",
        type: "metrics",
        message: `Step ${i + 1}/100`,
        data: {
          ...{
            step: i + 1,
            total_steps: 100,
            train_loss: 7 / (1 + i / 4),
            learning_rate: 2e-4,
            grad_norm: 3 - i / 20,
          },
          ...{ tokens: 900 * (i + 1), tokens_per_second: 3100 },
        },
      }),
    ),
    samplesAfter(40, 1),
  ] as { type: string }[];
  return told.map((event, i) => `id: ${i + 1}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    .join("");
}

/** Has a page believe that its server trains, before it is loaded. */
export async function tellServer(page: Page): Promise<void> {
  await page.route("**/server.json", (route) => route.fulfill({ json: { api: "./" } }));
  await page.route("**/v1/fine_tuning/jobs**", (route) => {
    const { pathname } = new URL(route.request().url());
    const [, id, rest] = /jobs\/([^/]+)(\/events|\/checkpoints)?$/.exec(pathname) ?? [];
    if (rest === "/checkpoints") return route.fulfill({ json: { data: CHECKPOINTS } });
    if (rest) return route.fulfill({ contentType: "text/event-stream", body: events() });
    return route.fulfill({ json: id ? JOBS.find((job) => job.id === id) : { data: JOBS } });
  });
  await page.route(
    "**/api/runs/*",
    (route) =>
      route.fulfill({ json: { options: { lora_r: 16, learning_rate: 2e-4, max_steps: 100 }, record: null } }),
  );
  await page.route("**/v1/files/*", (route) => {
    const { pathname } = new URL(route.request().url());
    return route.fulfill({ json: FILES.find(({ id }) => pathname.endsWith(id)) });
  });
  await page.route("**/api/storage", (route) => route.fulfill({ json: { object: "list", data: [] } }));
  await page.route(
    "**/v1/models",
    (route) =>
      route.fulfill({
        json: { data: [{ id: "lowrank-tiny" }, { id: "ft:lowrank-tiny:lowrank:signals:ab12cd34" }] },
      }),
  );
}

const MODEL = new URL("../../examples/tiny/model/", import.meta.url);
const PLACE = "gs/harbour/models";

/** What the server lists: one model that can be read, and two that are only named. */
function listing(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>) {
  const file = (path: string, bytes: number, content = new Uint8Array()) => {
    const checksum = { algorithm: "crc32c", hex: crcHex(crc32c(content)) };
    return { object: "storage.file", path: `${PLACE}/${path}`, bytes, etag: '"1"', checksum };
  };
  const data = [
    ...[...files].map(([name, content]) => file(`lighthouse/${name}`, content.length, content)),
    file("SmolLM2-135M-Instruct/config.json", 861),
    file("SmolLM2-135M-Instruct/model.safetensors", 269_060_552),
    file("quantised/SmolLM2-135M-Instruct-Q4_0.gguf", 91_726_304),
  ];
  return { object: "list", data, next_page_token: null };
}

/** Adds a place with models. The weights of the one that can be read never come, but for their beginning. */
export async function tellModels(page: Page): Promise<void> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for await (const { name } of Deno.readDir(MODEL)) {
    files.set(name, await Deno.readFile(new URL(name, MODEL)));
  }
  await page.route("**/api/storage**", (route) => {
    return route.fulfill({ json: { object: "list", data: [{ path: PLACE, writable: false }] } });
  });
  await page.route(`**/api/storage/${PLACE}/**`, (route) => {
    const request = route.request(), path = new URL(request.url()).pathname.split(`/${PLACE}/`)[1]!;
    if (path === "" || path.endsWith("/")) return route.fulfill({ json: listing(files) });
    const bytes = files.get(path.slice(path.lastIndexOf("/") + 1))!;
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers().range ?? "") ?? [];
    const [from, end] = [Number(first ?? 0), Number(last ?? bytes.length - 1) + 1];
    if (path.endsWith(".safetensors") && end === bytes.length) return; // the download of it
    return route.fulfill({
      status: first === undefined ? 200 : 206,
      headers: { etag: '"1"', "content-range": `bytes ${from}-${end - 1}/${bytes.length}` },
      body: Buffer.from(bytes.subarray(from, end)),
    });
  });
}
