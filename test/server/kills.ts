/**
 * Kills the server, and the process of its job, with SIGKILL at seeded moments, starts the server again, and compares what
 * its jobs leave and tell with what an undisturbed server's do.
 *
 *     deno task kills:server [RUNS] [SEED]        20 runs, in each of which both are killed once
 *
 * Linux only: it finds the processes of jobs in /proc.
 *
 * @module
 */
import assert from "node:assert/strict";
import { threefry2x32 } from "../../src/random.ts";
import { ROWS, uploadForm } from "../helpers/server_app.ts";
import { type ServerProcess, startServer } from "../helpers/server_process.ts";

/** What is run. */
export interface Work {
  readonly jobs: number;
  /** Of each job, with a checkpoint after every sixth part of them. */
  readonly steps: number;
}

const WORK: Work = { jobs: 2, steps: 60 };

/** Milliseconds after the first job was sent. */
export interface Kills {
  readonly serverAtMs: number;
  readonly childAtMs: number;
}

/** What a run's jobs leave and tell, without what depends on the clock. */
export interface Outcome {
  readonly ms: number;
  readonly jobs: readonly {
    readonly adapter: Uint8Array;
    /** Each step once, in order: its number and loss. */
    readonly steps: readonly (readonly [number, number])[];
    readonly results: readonly string[];
  }[];
  /** How many processes were there to be killed. */
  readonly killed: number;
  /** Checkpoints that jobs went on from. */
  readonly resumed: readonly string[];
}

interface WireEvent {
  readonly id: string;
  readonly type: "message" | "metrics";
  readonly message: string;
  readonly data: { readonly step: number; readonly train_loss?: number } | null;
}

interface WireJob {
  readonly id: string;
  readonly status: string;
  readonly seed: number;
  readonly result_files: readonly string[];
  readonly error: unknown;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A server that is started again whenever it was killed, and a client that asks until it is answered. */
class Revived {
  readonly #folder: string;
  #server: Promise<ServerProcess>;
  readonly #over = new AbortController();

  constructor(folder: string) {
    this.#folder = folder;
    this.#server = startServer(folder);
  }

  /** Kills it, and starts another one. */
  async kill(): Promise<void> {
    const server = await this.#server;
    server.kill("SIGKILL");
    this.#server = server.stop().then(() => startServer(this.#folder));
    await this.#server;
  }

  /** Kills the process of the job that runs. @returns Whether there was one. */
  async killChild(): Promise<boolean> {
    const { pid } = await this.#server, children = await childrenOf(pid);
    for (const child of children) Deno.kill(child, "SIGKILL");
    return children.length > 0;
  }

  /** Asks again for as long as nobody answers. */
  async ask(path: string, init: () => RequestInit = () => ({})): Promise<Response> {
    for (;;) {
      try {
        const { origin } = await this.#server;
        const response = await fetch(`${origin}/v1${path}`, { ...init(), signal: this.#over.signal });
        const body = await response.arrayBuffer();
        return new Response(body, response);
      } catch (error) {
        if (this.#over.signal.aborted) throw error;
        await pause(50);
      }
    }
  }

  async json<T>(path: string, init?: () => RequestInit): Promise<T> {
    const response = await this.ask(path, init), text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text);
  }

  /** Follows a job's events to their end; goes on behind the last one that came after each break. */
  async follow(id: string): Promise<WireEvent[]> {
    const events: WireEvent[] = [];
    for (let isOver = false, last = 0; !isOver;) {
      try {
        const { origin } = await this.#server;
        const headers = { accept: "text/event-stream", "last-event-id": String(last) };
        const { body } = await fetch(`${origin}/v1/fine_tuning/jobs/${id}/events`, {
          headers,
          signal: this.#over.signal,
        });
        let rest = "";
        for await (const text of body!.pipeThrough(new TextDecoderStream())) {
          const frames = (rest + text).split("\n\n");
          rest = frames.pop()!;
          for (const frame of frames) {
            if (/^event: done$/m.test(frame)) isOver = true;
            const [, data] = /^data: (\{.*)$/m.exec(frame) ?? [];
            if (data === undefined) continue;
            last = Number(/^id: (\d+)$/m.exec(frame)![1]);
            events.push(JSON.parse(data));
          }
        }
      } catch (error) {
        if (this.#over.signal.aborted) throw error;
        await pause(50);
      }
    }
    return events;
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await (await this.#server).stop();
  }
}

/** Processes that a process started. Deno itself may read /proc with all rights only. */
async function childrenOf(pid: number): Promise<number[]> {
  const script = `grep -ls "^PPid:[[:space:]]*${pid}$" /proc/[0-9]*/status`;
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script], stderr: "null" }).output();
  return [...new TextDecoder().decode(stdout).matchAll(/^\/proc\/(\d+)\//gm)].map(([, child]) =>
    Number(child)
  );
}

/** Runs jobs to their end, whatever is killed meanwhile. @throws {AssertionError} If a job or an event is lost or told twice. */
export async function run(kills: Kills | null, { jobs: count, steps }: Work = WORK): Promise<Outcome> {
  const saveSteps = steps / 6;
  const hyperparameters = {
    ...{ max_steps: steps, batch_size: 8, max_length: 32, save: "adapter", logging_steps: 1 },
    ...{ save_steps: saveSteps, save_total_limit: 100 },
  };
  const folder = await Deno.makeTempDir({ prefix: "lowrank-server-kill-" });
  const server = new Revived(folder);
  try {
    const { id: file } = await server.json<WireJob>(
      "/files",
      () => ({ method: "POST", body: uploadForm(ROWS.repeat(8)) }),
    );
    const create = (seed: number) =>
      server.json<WireJob>("/fine_tuning/jobs", () => ({
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": `job-${seed}` },
        body: JSON.stringify({ model: "lowrank-tiny", training_file: file, seed, hyperparameters }),
      }));
    const from = performance.now();
    let killed = 0;
    const at = async (ms: number | undefined, kill: () => Promise<boolean | void>) => {
      if (ms === undefined) return;
      await pause(Math.max(0, ms - (performance.now() - from)));
      if (await kill() !== false) killed++;
    };
    const doomed = Promise.all([
      at(kills?.serverAtMs, () => server.kill()),
      at(kills?.childAtMs, () => server.killChild()),
    ]);
    const made: WireJob[] = [];
    for (let seed = 1; seed <= count; seed++) made.push(await create(seed));
    const told = await Promise.all(made.map(({ id }) => server.follow(id)));
    const ms = performance.now() - from;
    await doomed;
    const { data: listed } = await server.json<{ data: WireJob[] }>("/fine_tuning/jobs");
    assert.deepEqual(
      listed.map(({ id }) => id),
      made.map(({ id }) => id).reverse(),
      "no job is lost or made twice",
    );
    const jobs = await Promise.all(made.map(async ({ id }, i) => {
      const events = told[i]!, job = await server.json<WireJob>(`/fine_tuning/jobs/${id}`);
      assert.equal(job.status, "succeeded", JSON.stringify(job.error));
      assert.deepEqual(
        events.map((event) => Number(event.id.split("-").at(-1))),
        events.map((_, n) => n + 1),
      );
      const { data: kept } = await server.json<{ data: WireEvent[] }>(
        `/fine_tuning/jobs/${id}/events?limit=1000`,
      );
      assert.deepEqual(kept.reverse(), events, "what was followed is what is kept");
      const saved = new Set(
        events.filter(({ message }) => /^Checkpoint created/.test(message)).map(({ data }) => data!.step),
      );
      for (let step = saveSteps; step <= steps; step += saveSteps) {
        assert.ok(saved.has(step), `the checkpoint of step ${step} is told`);
      }
      assert.equal(events.filter(({ message }) => /^New fine-tuned model/.test(message)).length, 1);
      const losses = events.filter(({ data }) => data?.train_loss !== undefined)
        .map(({ data }) => [data!.step, data!.train_loss!] as const);
      const files = await Promise.all(
        job.result_files.map((result) => server.json<{ filename: string }>(`/files/${result}`)),
      );
      return {
        adapter: await Deno.readFile(`${folder}/jobs/${id}/run/adapter/adapter_model.safetensors`),
        steps: losses,
        results: files.map(({ filename }) => filename),
      };
    }));
    const resumed = told.flat().map(({ message }) =>
      /^Going on from the checkpoint of (.*)$/.exec(message)?.[1]
    );
    return { ms, jobs, killed, resumed: resumed.filter((step) => step !== undefined) };
  } finally {
    await server.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Draws when the server and its child are killed, within the time of an undisturbed run. */
export function drawKills(seed: number, index: number, ms: number): Kills {
  const [a, b] = threefry2x32(seed, 0, index, 0);
  return { serverAtMs: Math.floor(a / 2 ** 32 * ms), childAtMs: Math.floor(b / 2 ** 32 * ms) };
}

/** Holds that kills changed nothing of what came of the jobs. */
export function assertSame(got: Outcome, want: Outcome): void {
  for (const [i, { adapter, steps, results }] of got.jobs.entries()) {
    const { adapter: wantedAdapter, steps: wantedSteps, results: wantedResults } = want.jobs[i]!;
    assert.deepEqual(steps, wantedSteps, "each step is told once, with its loss");
    assert.deepEqual(results, wantedResults);
    assert.ok(
      adapter.length === wantedAdapter.length && adapter.every((byte, n) => byte === wantedAdapter[n]),
      "the adapters' bytes",
    );
  }
}

if (import.meta.main) {
  const [runs = 20, seed = 1] = Deno.args.map(Number);
  const want = await run(null);
  console.log(`seed ${seed}; undisturbed: ${Math.round(want.ms)} ms`);
  let failed = 0;
  for (let i = 0; i < runs; i++) {
    const kills = drawKills(seed, i, want.ms),
      what = `server at ${kills.serverAtMs} ms, child at ${kills.childAtMs} ms`;
    try {
      const got = await run(kills);
      assertSame(got, want);
      console.log(
        `ok     ${what}: ${got.killed} killed, ${Math.round(got.ms)} ms, went on from ${
          got.resumed.join(", ") || "the start"
        }`,
      );
    } catch (error) {
      failed++;
      console.log(`FAILED ${what}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  Deno.exit(failed > 0 ? 1 : 0);
}
