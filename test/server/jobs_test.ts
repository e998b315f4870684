import assert from "node:assert/strict";
import { FakeProcess, ROWS, type TestServer, until, uploadForm, withServer } from "../helpers/server_app.ts";
import { checkpointed, started, step } from "../helpers/training_events.ts";

const JSON_TYPE = { "content-type": "application/json" };

async function get({ app }: Pick<TestServer, "app">, path: string) {
  return await (await app.request(path)).json();
}

async function post(
  { app }: Pick<TestServer, "app">,
  path: string,
  body?: unknown,
  headers: Record<string, string> = JSON_TYPE,
) {
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers };
  const response = await app.request(path, { method: "POST", ...init });
  return { status: response.status, body: await response.json() };
}

async function uploaded({ app }: Pick<TestServer, "app">): Promise<string> {
  return (await (await app.request("/v1/files", { method: "POST", body: uploadForm(ROWS) })).json()).id;
}

const JOBS = "/v1/fine_tuning/jobs";

async function created(server: TestServer, more: Record<string, unknown> = {}): Promise<string> {
  const { status, body } = await post(server, JOBS, {
    model: "tiny",
    training_file: await uploaded(server),
    ...more,
  });
  assert.equal(status, 200, JSON.stringify(body));
  return body.id;
}

/** What a completed run leaves. */
async function leaveRun({ order }: FakeProcess): Promise<void> {
  const run = `${order.folder}/run`;
  await Deno.mkdir(`${run}/adapter`, { recursive: true });
  await Deno.writeTextFile(`${run}/adapter/adapter_config.json`, "{}");
  const rows = [1, 2].map((n) => ({
    step: n,
    epoch: n / 2,
    loss: 2 / n,
    eval_loss: n === 2 ? 1.5 : null,
    token_accuracy: 0.5,
    eval_token_accuracy: n === 2 ? 0.25 : null,
    learning_rate: 1e-4,
    grad_norm: 1,
    tokens: 3 * n,
    tokens_per_second: 1,
  }));
  await Deno.writeTextFile(`${run}/metrics.jsonl`, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

Deno.test("a job goes from the line to a model, and tells it in OpenAI's shapes", () =>
  withServer({}, async (server) => {
    const { launcher, app, clock } = server;
    const training_file = await uploaded(server);
    const { body: job } = await post(server, JOBS, {
      model: "tiny",
      training_file,
      suffix: "lamps",
      seed: 7,
      metadata: { team: "light", "lowrank.lora_r": "4" },
      method: {
        type: "supervised",
        supervised: {
          hyperparameters: { n_epochs: 2, batch_size: "auto", learning_rate_multiplier: 0.5, lora_alpha: 8 },
        },
      },
      integrations: [],
      a_field_of_tomorrow: true,
    });
    const hyperparameters = { n_epochs: 2, batch_size: "auto", learning_rate_multiplier: 0.5, lora_alpha: 8 };
    assert.deepEqual(job, {
      id: job.id,
      object: "fine_tuning.job",
      model: "tiny",
      created_at: clock.now / 1000,
      finished_at: null,
      fine_tuned_model: null,
      organization_id: "lowrank",
      result_files: [],
      status: "queued",
      validation_file: null,
      training_file,
      trained_tokens: null,
      seed: 7,
      estimated_finish: null,
      integrations: [],
      hyperparameters,
      method: { type: "supervised", supervised: { hyperparameters } },
      metadata: { team: "light", "lowrank.lora_r": "4" },
      error: null,
      user_provided_suffix: "lamps",
      usage_metrics: null,
      shared_with_openai: false,
    });
    const process = await launcher.started(0);
    const { config, slot } = process.order;
    assert.deepEqual(slot.env, { GPU: "0" });
    assert.equal(config.num_train_epochs, 2);
    assert.equal(config.learning_rate, 1e-4);
    assert.equal(config.lora_r, 4);
    assert.equal(config.lora_alpha, 8);
    assert.equal(config.seed, 7);
    assert.equal(config.resume, "auto");
    assert.equal(config.training_data_path, `${server.folder}/files/${training_file}.jsonl`);
    assert.equal((await get(server, `${JOBS}/${job.id}`)).status, "validating_files");

    process.tell(started(4), step(1), step(2), checkpointed(2));
    await until(async () =>
      (await get(server, `${JOBS}/${job.id}/checkpoints`)).data.length > 0 ||
      (await get(server, `${JOBS}/${job.id}/events`)).data.length >= 6
    );
    const running = await get(server, `${JOBS}/${job.id}`);
    assert.deepEqual([running.status, running.estimated_finish], ["running", clock.now / 1000 + 2]);
    assert.equal(running.hyperparameters.batch_size, 4, "auto gives way to what was chosen");

    await leaveRun(process);
    process.end({ type: "completed" });
    await until(async () => (await get(server, `${JOBS}/${job.id}`)).status === "succeeded");
    const done = await get(server, `${JOBS}/${job.id}`);
    assert.equal(done.fine_tuned_model, `ft:tiny:lowrank:lamps:${job.id.slice(-8)}`);
    assert.equal(done.trained_tokens, 6);
    assert.equal(done.finished_at, clock.now / 1000);

    const [csv, jsonl, adapter] = await Promise.all(
      done.result_files.map((id: string) => get(server, `/v1/files/${id}`)),
    );
    assert.deepEqual([csv.filename, jsonl.filename, adapter.filename], [
      "step_metrics.csv",
      "metrics.jsonl",
      "adapter.zip",
    ]);
    assert.equal(csv.purpose, "fine-tune-results");
    const table = await (await app.request(`/v1/files/${csv.id}/content`)).text();
    assert.equal(
      table,
      "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2,0.5,,\n2,1,0.5,1.5,0.25\n",
    );
    const zip = new Uint8Array(await (await app.request(`/v1/files/${adapter.id}/content`)).arrayBuffer());
    assert.equal(zip.length, adapter.bytes);
    assert.deepEqual([...zip.subarray(0, 4)], [0x50, 0x4b, 3, 4]);

    const { data } = await get(server, `${JOBS}/${job.id}/events`);
    assert.deepEqual(data.map(({ message }: { message: string }) => message).reverse(), [
      `Created fine-tuning job: ${job.id}`,
      `Validating training file: ${training_file}`,
      "Fine-tuning job started",
      "Step 1/4: training loss=2.0000",
      "Step 2/4: training loss=1.0000",
      "Checkpoint created at step 2",
      "Step 2: full validation loss=1.5000", // on the disk, and not told
      `New fine-tuned model created: ${done.fine_tuned_model}`,
      "The job has successfully completed",
    ]);
    const metric = data.find(({ message }: { message: string }) => message.startsWith("Step 2/4"));
    assert.equal(metric.object, "fine_tuning.job.event");
    assert.deepEqual([
      metric.type,
      metric.level,
      metric.data.step,
      metric.data.train_loss,
      metric.data.total_steps,
    ], [
      "metrics",
      "info",
      2,
      1,
      4,
    ]);
    assert.ok(!JSON.stringify(data).includes("/srv/"), "no path is told");

    const models = await get(server, "/v1/models");
    assert.deepEqual(models.data.map(({ id }: { id: string }) => id), ["tiny", done.fine_tuned_model]);
    const again = await created(server, { model: done.fine_tuned_model });
    const next = await launcher.started(1);
    assert.equal(next.order.config.base_model, `${server.folder}/models/tiny`);
    assert.equal(next.order.config.adapter_path, `${server.folder}/jobs/${job.id}/run/adapter`);
    assert.ok(again);
    assert.deepEqual(server.failures, []);
  }));

Deno.test("events and jobs are walked in pages, as OpenAI's clients do", () =>
  withServer({}, async (server) => {
    const id = await created(server, { metadata: { team: "a" } });
    const process = await server.launcher.started(0);
    process.tell(started(4), step(1), step(2), step(3), step(4));
    await until(async () => (await get(server, `${JOBS}/${id}/events`)).data.length === 7);
    const messages: string[] = [];
    for (let after = "", more = true; more;) {
      const page = await get(server, `${JOBS}/${id}/events?limit=3${after}`);
      messages.push(...page.data.map(({ message }: { message: string }) => message));
      more = page.has_more;
      after = `&after=${page.data.at(-1).id}`;
    }
    assert.equal(messages.length, 7);
    assert.equal(messages.at(-1), `Created fine-tuning job: ${id}`);
    assert.equal((await server.app.request(`${JOBS}/${id}/events?after=ftevent-other-1`)).status, 400);

    const [second, third] = [
      await created(server),
      await created(server, { metadata: { team: "b", size: "2" } }),
    ];
    const ids = async (query: string) =>
      (await get(server, `${JOBS}?${query}`)).data.map((job: { id: string }) => job.id);
    assert.deepEqual(await ids(""), [third, second, id]);
    assert.deepEqual(await ids("limit=1"), [third]);
    assert.deepEqual(await ids(`limit=5&after=${third}`), [second, id]);
    assert.deepEqual(await ids("metadata%5Bteam%5D=b&metadata%5Bsize%5D=2"), [third]);
    assert.deepEqual(await ids("metadata[team]=b' OR 1=1 --"), []);
    assert.deepEqual(await ids("metadata=null"), [second]);
    assert.equal((await server.app.request(`${JOBS}?metadata=x`)).status, 400);
  }));

Deno.test("a request that cannot be fulfilled is refused before anything is queued, with every wrong option", () =>
  withServer({ maxQueuedJobs: 1 }, async (server) => {
    const training_file = await uploaded(server);
    const other = await (await server.app.request("/v1/files", {
      method: "POST",
      body: uploadForm(ROWS, "a.jsonl", "batch"),
    })).json();
    const good = { model: "tiny", training_file };
    const options = (hyperparameters: unknown) => ({
      ...good,
      method: { type: "supervised", supervised: { hyperparameters } },
    });
    const cases: [unknown, string, number?][] = [
      [{ training_file }, "model"],
      [{ ...good, model: 5 }, "model"],
      [{ ...good, model: "../../etc" }, "model", 404],
      [{ ...good, training_file: "file-none" }, "training_file", 404],
      [{ ...good, training_file: other.id }, "training_file"],
      [{ ...good, validation_file: "file-none" }, "validation_file", 404],
      [{ ...good, seed: -1 }, "seed"],
      [{ ...good, suffix: "x".repeat(65) }, "suffix"],
      [{ ...good, suffix: "a:b" }, "suffix"],
      [{ ...good, metadata: { a: 1 } }, "metadata.a"],
      [
        { ...good, metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, ""])) },
        "metadata",
      ],
      [{ ...good, method: { type: "dpo" } }, "method.type"],
      [{ ...good, integrations: [{ type: "wandb" }] }, "integrations"],
      [{ ...good, hyperparameters: { n_epochs: 0 } }, "num_train_epochs"],
      [options({ lora_rank: 0 }), "lora_r"],
      [options({ learning_rate_multiplier: -1 }), "learning_rate_multiplier"],
      [options({ output_dir: "/etc" }), "output_dir"],
      [options({ base_model: "/etc" }), "base_model"],
      [options({ chat_template_path: "/etc/passwd" }), "chat_template_path"],
      [options({ plugins: ["/tmp/x.ts"] }), "plugins"],
      [{ ...good, metadata: { "lowrank.lora_r": "many" } }, "lora_r"],
    ];
    for (const [body, param, wanted = 400] of cases) {
      const { status, body: { error } } = await post(server, JOBS, body);
      assert.deepEqual([status, error?.param], [wanted, param], JSON.stringify([body, error]));
    }
    const { body: { error } } = await post(server, JOBS, options({ lora_rnak: 4, batch_size: "few" }));
    assert.match(error.message, /'lora_rnak' is not an option[^\n]*lora_rank/);
    assert.match(error.message, /'batch_size' must be a number/);
    const raw = await server.app.request(JOBS, { method: "POST", headers: JSON_TYPE, body: "{" });
    assert.deepEqual([raw.status, (await raw.json()).error.message], [400, "The body is not valid JSON."]);
    const huge = await post(server, JOBS, { ...good, junk: "x".repeat(2 ** 20) });
    assert.equal(huge.status, 413);
    assert.deepEqual((await get(server, JOBS)).data, []);
    assert.equal((await post(server, JOBS, good)).status, 200);
    await server.launcher.started(0);
    assert.equal((await post(server, JOBS, good)).status, 200);
    assert.equal((await post(server, JOBS, good)).status, 429);
  }));

Deno.test("Idempotency-Key makes one job of one request sent twice, and refuses another body", () =>
  withServer({}, async (server) => {
    const body = { model: "tiny", training_file: await uploaded(server) };
    const keyed = { ...JSON_TYPE, "idempotency-key": "abc" };
    const [first, second] = await Promise.all([
      post(server, JOBS, body, keyed),
      post(server, JOBS, body, keyed),
    ]);
    assert.equal(first.body.id, second.body.id);
    assert.equal((await get(server, JOBS)).data.length, 1);
    assert.equal((await post(server, JOBS, { ...body, seed: 1 }, keyed)).status, 422);
    assert.equal((await post(server, JOBS, body, { ...JSON_TYPE, "idempotency-key": "a b" })).status, 400);
    server.clock.now += 24 * 3_600_000;
    assert.notEqual((await post(server, JOBS, body, keyed)).body.id, first.body.id);
  }));

Deno.test("jobs run one at a time, first come, first served; pause frees the slot, resume goes to the end of the line", () =>
  withServer({}, async (server) => {
    const { launcher } = server;
    const [a, b, c] = [await created(server), await created(server), await created(server)];
    const first = (await launcher.started(0)).tell(started(4), step(1));
    assert.equal(first.order.jobId, a);
    assert.equal(launcher.processes.length, 1);
    assert.equal((await post(server, `${JOBS}/${a}/pause`)).body.status, "paused");
    await until(() => first.isStopped);
    assert.equal(launcher.processes.length, 1, "the slot is taken until the process has ended");
    assert.equal((await post(server, `${JOBS}/${a}/pause`)).status, 400);
    server.clock.now++;
    const { status, body } = await post(server, `${JOBS}/${a}/resume`);
    assert.deepEqual([status, body.status], [200, "queued"]);
    first.tell(step(2), checkpointed(2)).end({ type: "stopped" });
    const second = await launcher.started(1);
    assert.equal(second.order.jobId, b);
    assert.equal((await post(server, `${JOBS}/${c}/cancel`)).body.status, "cancelled");
    assert.equal((await post(server, `${JOBS}/${b}/cancel`)).body.status, "cancelled");
    await until(() => second.isStopped);
    second.end({ type: "stopped" });
    const third = await launcher.started(2);
    assert.equal(third.order.jobId, a, "c was cancelled in line");
    for (const verb of ["cancel", "pause", "resume"]) {
      const refused = await post(server, `${JOBS}/${b}/${verb}`);
      assert.deepEqual([refused.status, refused.body.error.code], [400, "invalid_status"]);
    }
    assert.equal((await post(server, `${JOBS}/ftjob-none/cancel`)).body.error.code, "fine_tune_not_found");
    // Python's client sends a content type and no body
    assert.equal(
      (await server.app.request(`${JOBS}/${a}/pause`, { method: "POST", headers: JSON_TYPE, body: "" }))
        .status,
      200,
    );
  }));

Deno.test("a process that crashes is started again after a while, and fails the job with the end of its log", () =>
  withServer({}, async (server) => {
    const { launcher, clock } = server, id = await created(server);
    const crash = {
      type: "crashed",
      how: "ended by SIGSEGV",
      logEnd: "driver at /usr/lib/x.so broke",
    } as const;
    (await launcher.started(0)).tell(started(4), step(1)).end(crash);
    await until(async () => (await get(server, `${JOBS}/${id}`)).status === "queued");
    clock.now += 1000;
    server.server.runner.nudge();
    (await launcher.started(1)).tell(started(4), step(1), step(2), checkpointed(2)).end(crash);
    await until(async () => (await get(server, `${JOBS}/${id}`)).status === "queued");
    for (const index of [2, 3]) {
      clock.now += 60_000;
      server.server.runner.nudge();
      (await launcher.started(index)).end(crash);
      await until(async () => (await get(server, `${JOBS}/${id}`)).status !== "validating_files");
    }
    const failed = await get(server, `${JOBS}/${id}`);
    assert.equal(failed.status, "failed");
    assert.equal(failed.error.code, "crashed");
    assert.match(failed.error.message, /crashed 3 times in a row \(its process ended by SIGSEGV\)/);
    assert.match(failed.error.message, /driver at x\.so broke$/);
    const { data } = await get(server, `${JOBS}/${id}/events?limit=100`);
    const steps = data.filter(({ type }: { type: string }) => type === "metrics");
    assert.deepEqual(
      steps.map((event: { data: { step: number } }) => event.data.step),
      [2, 1],
      "each step once",
    );
  }));

Deno.test("what is wrong with data, options or model fails a job at once, in words for its owner", () =>
  withServer({}, async (server) => {
    const outcomes = [
      [
        { name: "DatasetFormatError", message: "x", issues: [{ line: 3, message: "no answer" }] },
        "invalid_training_file",
        "Line 3: no answer",
      ],
      [{ name: "GpuMemoryError", message: "Cannot allocate 3 GB" }, "out_of_memory", "Cannot allocate 3 GB"],
      [{ name: "DivergedError", message: "loss is NaN" }, "diverged", "loss is NaN"],
      [{ name: "Error", message: "Cannot read /srv/a/b.json" }, "run_failed", "Cannot read b.json"],
    ] as const;
    for (const [i, [error, code, message]] of outcomes.entries()) {
      const id = await created(server);
      (await server.launcher.started(i)).end({ type: "failed", error });
      await until(async () => (await get(server, `${JOBS}/${id}`)).status === "failed");
      const job = await get(server, `${JOBS}/${id}`);
      assert.deepEqual([job.error.code, job.error.message], [code, message]);
    }
  }));

Deno.test("after a server was killed the next one goes on with its job, and no step is lost or told twice", () =>
  withServer({}, async (server) => {
    const { launcher } = server, id = await created(server), later = await created(server);
    const first = await launcher.started(0);
    first.tell(started(4), step(1));
    await until(async () => (await get(server, `${JOBS}/${id}`)).status === "running");
    await until(() => server.deps.jobs.get(id)!.step === 1);
    // the run got as far as step 2 before its words found nobody
    await leaveRun(first);
    const next = await server.again();
    const second = await launcher.started(1);
    assert.equal(second.order.jobId, id, "its place is before those that came after it");
    second.tell(started(4), { type: "resumed", step: 2, path: "/x/checkpoint-2" }, step(3), step(4));
    await until(() => server.deps.jobs.get(id)!.step === 4);
    const { data } = await get(next, `${JOBS}/${id}/events?limit=100`);
    const seen = data.filter(({ type }: { type: string }) => type === "metrics").map((
      event: { message: string },
    ) => event.message);
    assert.deepEqual(seen.reverse(), [
      "Step 1/4: training loss=2.0000",
      "Step 2/4: training loss=1.0000",
      "Step 2: full validation loss=1.5000",
      "Step 3/4: training loss=0.6667",
      "Step 4/4: training loss=0.5000",
    ]);
    assert.equal(server.deps.jobs.get(later)!.status, "queued");
  }));

Deno.test("a run that came to its end while no server was there is told whole by the next one, without a process", () =>
  withServer({}, async (server) => {
    const { launcher } = server, id = await created(server), first = await launcher.started(0);
    first.tell(started(2), step(1, 2));
    await until(() => server.deps.jobs.get(id)!.step === 1);
    await leaveRun(first);
    const run = `${first.order.folder}/run`;
    await Deno.mkdir(`${run}/checkpoint-2`);
    await Deno.writeTextFile(`${run}/run.json`, '{"status": "completed"}');
    const next = await server.again();
    await until(async () => (await get(next, `${JOBS}/${id}`)).status === "succeeded");
    const { data } = await get(next, `${JOBS}/${id}/events?limit=100`);
    const messages = data.map(({ message }: { message: string }) => message).reverse();
    assert.deepEqual(messages.slice(messages.indexOf("Step 1/2: training loss=2.0000")), [
      "Step 1/2: training loss=2.0000",
      "The server was restarted: the job is queued to go on",
      "Step 2/2: training loss=1.0000",
      "Step 2: full validation loss=1.5000",
      "Checkpoint created at step 2",
      `New fine-tuned model created: ${server.deps.jobs.get(id)!.fineTunedModel}`,
      "The job has successfully completed",
    ]);
    const { data: [checkpoint] } = await get(next, `${JOBS}/${id}/checkpoints`);
    assert.deepEqual([checkpoint.step_number, checkpoint.metrics.train_loss], [2, 1]);
    assert.equal(launcher.processes.length, 1);
  }));

Deno.test("a server that stops has its jobs save and puts them back in line", () =>
  withServer({}, async (server) => {
    const id = await created(server), process = await server.launcher.started(0);
    process.tell(started(4), step(1));
    await until(async () => (await get(server, `${JOBS}/${id}`)).status === "running");
    const stopped = server.server.stop();
    assert.ok(process.isStopped);
    assert.equal((await server.app.request("/readyz")).status, 503);
    process.tell(checkpointed(1)).end({ type: "stopped" });
    await stopped;
    assert.equal((await get(server, `${JOBS}/${id}`)).status, "queued");
    await server.again();
    assert.equal((await server.launcher.started(1)).order.jobId, id);
  }));

Deno.test("metrics count requests and jobs", () =>
  withServer({}, async (server) => {
    await created(server);
    const text = await (await server.app.request("/metrics")).text();
    assert.match(text, /^lowrank_http_requests_total\{method="POST",status="200"\} 2$/m);
    assert.match(text, /^lowrank_jobs\{status="(queued|validating)"\} 1$/m);
    assert.match(text, /^lowrank_jobs\{status="failed"\} 0$/m);
  }));
