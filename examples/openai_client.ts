/**
 * OpenAI's own client for JavaScript with a server of Lowrank: data goes up, a job is paused, resumed and followed to its
 * model, the model answers, and each way to be refused is met once.
 *
 *     mkdir -p models/unfinished && echo '{}' > models/unfinished/config.json      # a model without weights
 *     ./lowrank serve --models-dir models --max-file-mb 1 --max-queued-jobs 1
 *
 *     export OPENAI_BASE_URL=http://127.0.0.1:8000/v1
 *     export OPENAI_API_KEY=$(./lowrank token create --name ada)
 *     export READER_KEY=$(./lowrank token create --name reader --scopes jobs:read)
 *     deno run -A examples/openai_client.ts
 *
 * @module
 */
import OpenAI from "openai";

type Job = OpenAI.FineTuning.FineTuningJob;

/** The client knows all states but this one. */
type Status = Job["status"] | "paused";

const BASE = "lowrank-tiny", ROWS = new URL("tiny/signals.jsonl", import.meta.url);

const client = new OpenAI(); // address and key from OPENAI_BASE_URL and OPENAI_API_KEY

/** Fails the walk where a server answers otherwise than it should. */
function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(`Expected: ${what}`);
}

/** Asks until a job is in a state, and fails if it ends in another one. */
async function until(id: string, wanted: Status): Promise<Job> {
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id), status: Status = job.status;
    if (status === wanted) return job;
    const isOver = ["succeeded", "failed", "cancelled"].includes(status);
    if (isOver) throw new Error(`The job is ${status} and not ${wanted}: ${JSON.stringify(job.error)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Tells a refusal, which must be of this class. */
async function refused<E extends Error>(
  kind: new (...args: never[]) => E,
  request: () => PromiseLike<unknown>,
): Promise<E> {
  const error = await Promise.resolve(request()).then(() => null, (thrown: unknown) => thrown);
  if (!(error instanceof kind)) throw new Error(`Expected ${kind.name} and not ${error}`);
  console.log(`refused: ${kind.name}: ${error.message.split("\n")[0]}`);
  return error;
}

async function upload(): Promise<OpenAI.FileObject> {
  const data = (await Deno.readTextFile(ROWS)).split("\n").slice(0, 24).join("\n");
  const { id } = await client.files.create({
    purpose: "fine-tune",
    file: new File([data], "signals.jsonl"),
  });
  const file = await client.files.waitForProcessing(id);
  const listed: string[] = [];
  for await (const each of client.files.list({ purpose: "fine-tune", limit: 1 })) listed.push(each.id);
  expect("the file is listed", listed.includes(id));
  expect("its content is what was sent", await (await client.files.content(id)).text() === data);
  console.log(`uploaded: ${file.filename}, ${file.bytes} bytes`);
  return file;
}

/** A job. Options of LoRA and of training go along as texts in `metadata`: the client's types know three others. */
function create(
  file: string,
  { model = BASE, seed = 7 } = {},
  options: OpenAI.RequestOptions = {},
): Promise<Job> {
  return client.fineTuning.jobs.create({
    model,
    training_file: file,
    suffix: "signals",
    seed,
    method: {
      type: "supervised",
      supervised: { hyperparameters: { n_epochs: "auto", batch_size: 2, learning_rate_multiplier: 2 } },
    },
    metadata: {
      example: "openai_client.ts",
      "lowrank.lora_r": "4",
      "lowrank.max_steps": "24",
      "lowrank.max_length": "32",
      "lowrank.save_steps": "8",
      "lowrank.save": "both",
    },
  }, options);
}

/** While one job has the GPU, the next waits, and no more than one may. */
async function waitInLine(file: string): Promise<void> {
  const key = { headers: { "Idempotency-Key": crypto.randomUUID() }, maxRetries: 0 };
  const waiting = await create(file, {}, key);
  expect("the job waits", waiting.status === "queued");
  expect("the same request makes no other job", (await create(file, {}, key)).id === waiting.id);
  await refused(OpenAI.UnprocessableEntityError, () => create(file, { seed: 8 }, key));
  await refused(OpenAI.RateLimitError, () => create(file, {}, { maxRetries: 0 }));
  const { status } = await client.fineTuning.jobs.cancel(waiting.id);
  expect("it is cancelled", status === "cancelled");
  const { code } = await refused(OpenAI.BadRequestError, () => client.fineTuning.jobs.cancel(waiting.id));
  expect("the state is what is wrong", code === "invalid_status");
  console.log("cancelled: a job that waited");
}

async function train(file: string): Promise<Job> {
  const { id } = await create(file);
  await waitInLine(file);
  await until(id, "running");
  const paused = await client.fineTuning.jobs.pause(id);
  expect("it is paused", (paused.status as Status) === "paused");
  const resumed = await client.fineTuning.jobs.resume(id);
  expect("it is in line again", resumed.status === "queued");
  const done = await until(id, "succeeded");
  console.log(`trained: ${done.fine_tuned_model}, ${done.trained_tokens} tokens`);
  const mine: string[] = [];
  for await (
    const job of client.fineTuning.jobs.list({ limit: 1, metadata: { example: "openai_client.ts" } })
  ) {
    mine.push(job.id);
  }
  expect("metadata find the jobs of this example", mine.includes(id));
  return done;
}

async function follow({ id }: Job): Promise<void> {
  const messages: string[] = [];
  let page = await client.fineTuning.jobs.listEvents(id, { limit: 5 }), pages = 1;
  for (;; pages++) {
    messages.push(...page.data.map(({ message }) => message));
    if (!page.hasNextPage()) break;
    page = await page.getNextPage();
  }
  const steps = messages.filter((message) => /^Step \d+\/24: training loss=/.test(message));
  expect("each step is told once", new Set(steps).size === 24 && steps.length === 24);
  expect("the first event is the last of the list", messages.at(-1) === `Created fine-tuning job: ${id}`);
  console.log(`events: ${messages.length} on ${pages} pages; ${messages[0]}`);
  const checkpoints: number[] = [];
  for await (
    const { step_number: step, metrics } of client.fineTuning.jobs.checkpoints.list(id, { limit: 1 })
  ) {
    expect("a checkpoint tells the loss", (metrics.train_loss ?? 0) > 0);
    checkpoints.push(step);
  }
  console.log(`checkpoints: ${checkpoints}`);
}

/** What a job leaves: metrics as a table and as lines, the adapter, the merged model. */
async function results(job: Job): Promise<void> {
  const names: string[] = [];
  for (const id of job.result_files) {
    const { filename, bytes } = await client.files.retrieve(id);
    const content = new Uint8Array(await (await client.files.content(id)).arrayBuffer());
    expect(`${filename} has the bytes that are told`, content.length === bytes);
    if (filename === "step_metrics.csv") {
      const [header, ...rows] = new TextDecoder().decode(content).trim().split("\n");
      expect("the table has OpenAI's columns", header!.startsWith("step,train_loss,train_accuracy,"));
      expect("and a row for each step", rows.filter((row) => /^\d+,\d/.test(row)).length === 24);
    } else if (filename.endsWith(".zip")) {
      expect(`${filename} is an archive`, content[0] === 0x50 && content[1] === 0x4b);
    }
    names.push(filename);
  }
  console.log(`results: ${names.join(", ")}`);
}

async function chat(model: string): Promise<void> {
  const { id } = await client.models.retrieve(model);
  const listed: string[] = [];
  for await (const each of client.models.list()) listed.push(each.id);
  expect("base and model are listed", listed.includes(BASE) && listed.includes(id));
  const request = {
    model,
    messages: [{ role: "user" as const, content: "Signal bow." }],
    temperature: 0,
    max_completion_tokens: 12,
  };
  const { choices: [choice], usage } = await client.chat.completions.create(request);
  let streamed = "";
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
    streamed += chunk.choices[0]?.delta.content ?? "";
  }
  expect("the stream says the same", streamed === choice!.message.content);
  expect("tokens are counted", usage!.total_tokens === usage!.prompt_tokens + usage!.completion_tokens);
  console.log(`answered: ${JSON.stringify(streamed)}, ${usage!.completion_tokens} tokens`);
  const continued = await client.completions.create({
    model,
    prompt: "Signal",
    max_tokens: 4,
    temperature: 0,
  });
  expect("texts are continued", continued.choices[0]!.text.length > 0);
  await refused(OpenAI.BadRequestError, () => client.chat.completions.create({ ...request, logprobs: true }));
  await refused(
    OpenAI.InternalServerError,
    () => client.chat.completions.create({ ...request, model: "unfinished" }),
  );
}

/** Each class of error that the client has for what a server answers, and for what keeps it from answering. */
async function refusals(file: string, model: string): Promise<void> {
  await refused(OpenAI.AuthenticationError, () => client.withOptions({ apiKey: "wrong" }).models.list());
  const reader = client.withOptions({ apiKey: Deno.env.get("READER_KEY") ?? "" });
  await refused(OpenAI.PermissionDeniedError, () => reader.files.delete(file));
  await refused(OpenAI.PermissionDeniedError, () => client.models.delete(BASE)); // the operator's
  const unknown = await refused(OpenAI.NotFoundError, () => client.fineTuning.jobs.retrieve("ftjob-none"));
  expect("the request can be found in the server's log", /^req_/.test(unknown.requestID ?? ""));
  const wrong = new File(["no JSON"], "wrong.jsonl");
  const invalid = await refused(
    OpenAI.BadRequestError,
    () => client.files.create({ purpose: "fine-tune", file: wrong }),
  );
  expect("the line is named", invalid.code === "invalid_file_format" && /line 1/i.test(invalid.message));
  const large = new File(["x".repeat(1_500_000)], "large.jsonl");
  const tooLarge = await refused(
    OpenAI.APIError,
    () => client.files.create({ purpose: "fine-tune", file: large }),
  );
  expect("too large is 413", tooLarge.status === 413);
  const user = await create(file, { model });
  await refused(OpenAI.ConflictError, () => client.models.delete(model));
  await client.fineTuning.jobs.cancel(user.id);
  const nobody = client.withOptions({ baseURL: "http://127.0.0.1:9/v1", maxRetries: 0 });
  await refused(OpenAI.APIConnectionError, () => nobody.models.list());
  const question = { model, messages: [{ role: "user" as const, content: "Signal bow." }] };
  const hurry = { timeout: 1, maxRetries: 0 }; // milliseconds
  await refused(OpenAI.APIConnectionTimeoutError, () => client.chat.completions.create(question, hurry));
  await refused(OpenAI.APIUserAbortError, () => client.models.list({ signal: AbortSignal.abort() }));
}

const file = await upload();
const job = await train(file.id);
await follow(job);
await results(job);
const model = job.fine_tuned_model!;
await chat(model);
await refusals(file.id, model);
const deleted = [await client.models.delete(model), await client.files.delete(file.id)];
expect("model and file are gone", deleted.every((each) => each.deleted));
console.log("deleted: model and file");
