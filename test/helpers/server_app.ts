/**
 * The server's app over SQLite in memory and a temporary data folder, without a port.
 */
import type { AccessEntry, App, AppDeps } from "../../server/app.ts";
import { assemble, type Server, type ServerParts } from "../../server/assemble.ts";
import { checkData } from "../../server/data_check.ts";
import { Database } from "../../server/database.ts";
import type { GenerationEvent, GenerationOrder, TextGenerator } from "../../server/generation.ts";
import type { JobLauncher, JobOrder, JobOutcome, JobProcess } from "../../server/launchers/launcher.ts";
import type { GrantedScope } from "../../server/scopes.ts";
import { DEFAULT_SETTINGS, type ServerSettings } from "../../server/settings.ts";
import type { TrainingEvent } from "../../src/job.ts";

/** An app under test. */
export interface TestServer {
  readonly app: App;
  readonly deps: AppDeps;
  readonly server: Server;
  readonly database: Database;
  readonly launcher: FakeLauncher;
  readonly generator: FakeGenerator;
  readonly folder: string;
  readonly log: readonly AccessEntry[];
  /** What the server could not do by itself. */
  readonly failures: readonly unknown[];
  /** Milliseconds since 1970, as the server sees it. */
  readonly clock: { now: number };
  /** The header of a new token. */
  bearer(...scopes: GrantedScope[]): { authorization: string };
  /** Another server over the same database and folder, as after a restart. */
  again(): Promise<Server>;
}

/** A process that tells what the test has it tell. */
export class FakeProcess implements JobProcess {
  readonly events: ReadableStream<TrainingEvent>;
  readonly outcome: Promise<JobOutcome>;
  readonly order: JobOrder;
  isStopped = false;
  #hasEnded = false;
  #controller!: ReadableStreamDefaultController<TrainingEvent>;
  #end!: (outcome: JobOutcome) => void;

  constructor(order: JobOrder) {
    this.order = order;
    this.events = new ReadableStream({ start: (controller) => void (this.#controller = controller) });
    this.outcome = new Promise((resolve) => this.#end = resolve);
  }

  stop(): void {
    this.isStopped = true;
  }

  tell(...events: TrainingEvent[]): this {
    for (const event of events) this.#controller.enqueue(event);
    return this;
  }

  /** Does nothing after the first time. */
  end(outcome: JobOutcome): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#controller.close();
    this.#end(outcome);
  }
}

/** Starts processes of the test. */
export class FakeLauncher implements JobLauncher {
  readonly processes: FakeProcess[] = [];
  #isClosed = false;

  launch(order: JobOrder): FakeProcess {
    const process = new FakeProcess(order);
    this.processes.push(process);
    if (this.#isClosed) process.end({ type: "stopped" });
    return process;
  }

  /** Ends every process, those that are still to be started too. */
  close(): void {
    this.#isClosed = true;
    for (const process of this.processes) process.end({ type: "stopped" });
  }

  /** Waits for a process to be started. @param index The how-manieth, from 0. */
  async started(index: number): Promise<FakeProcess> {
    await until(() => this.processes.length > index);
    return this.processes[index]!;
  }
}

/** Says what the test has it say, or `Hello wor`, `ld` for each row. */
export class FakeGenerator implements TextGenerator {
  readonly orders: GenerationOrder[] = [];
  closed = 0;
  /** Orders that are being answered. */
  active = 0;
  /** What is said in place of the greeting. */
  script: ((order: GenerationOrder) => AsyncIterable<GenerationEvent>) | null = null;

  async *generate(order: GenerationOrder, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
    this.orders.push(order);
    this.active++;
    try {
      for await (const event of this.script?.(order) ?? this.#greeting(order)) {
        signal.throwIfAborted();
        yield event;
      }
    } finally {
      this.active--;
    }
  }

  close(): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }

  async *#greeting({ input, count }: GenerationOrder): AsyncGenerator<GenerationEvent> {
    const prompts = input.kind === "texts"
      ? input.texts.length
      : input.kind === "tokens"
      ? input.prompts.length
      : 1;
    yield { type: "begun", promptTokens: 7 * prompts };
    for (let row = 0; row < prompts * count; row++) {
      yield { type: "piece", row, text: "Hello wor", end: null };
    }
    for (let row = 0; row < prompts * count; row++) yield { type: "piece", row, text: "ld", end: "stop" };
    await Promise.resolve();
  }
}

/** Waits for what other tasks bring about. @throws {Error} If it takes long. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!await isSo()) {
    if (performance.now() > end) throw new Error(`Waited too long for ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Makes an app, hands it to `work`, and removes what it left. Without tokens unless `settings` says otherwise. */
export async function withServer(
  settings: Partial<ServerSettings>,
  work: (server: TestServer) => Promise<void>,
  proxied: Pick<ServerParts, "areas" | "records" | "page"> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-server-" });
  const database = new Database(), launcher = new FakeLauncher(), generator = new FakeGenerator();
  const log: AccessEntry[] = [], failures: unknown[] = [], clock = { now: 1_790_000_000_000 };
  await Deno.mkdir(`${folder}/models/tiny`, { recursive: true });
  await Deno.writeTextFile(`${folder}/models/tiny/config.json`, "{}");
  const parts: ServerParts = {
    database,
    folder,
    modelsFolder: `${folder}/models`,
    bundledModels: new Map(),
    launcher,
    generator,
    slots: [{ name: "slot 0", env: { GPU: "0" } }],
    settings: { ...DEFAULT_SETTINGS, anonymous: true, ...settings },
    checkData,
    log: (entry) => log.push(entry),
    logFailure: (_, error) => failures.push(error),
    mostCrashes: 2,
    pauseMs: 1000,
    recordIntervalMs: 5,
    now: () => clock.now,
    ...proxied,
  };
  const server = await assemble(parts), servers = [server];
  const again = async () => {
    servers.push(await assemble(parts));
    return servers.at(-1)!;
  };
  const { app, deps } = server;
  const bearer = (...scopes: GrantedScope[]) => ({
    authorization: `Bearer ${deps.tokens.create("test", scopes).token}`,
  });
  try {
    await work({
      ...{ app, deps, server, database, launcher, generator, folder, log, failures, clock, bearer, again },
    });
  } finally {
    const stopped = servers.map((each) => each.stop());
    launcher.close();
    await Promise.all(stopped);
    database.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A form as OpenAI's clients send it. */
export function uploadForm(content: BlobPart, filename = "train.jsonl", purpose = "fine-tune"): FormData {
  const form = new FormData();
  form.append("file", new Blob([content], { type: "application/octet-stream" }), filename);
  form.append("purpose", purpose);
  return form;
}

/** Three rows to train on. */
export const ROWS = ["a lamp", "a bell", "a gull"].map((text) => `${JSON.stringify({ text })}\n`).join("");
