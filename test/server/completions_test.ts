import assert from "node:assert/strict";
import { GenerationCrash, type GenerationEvent } from "../../server/generation.ts";
import type { App } from "../../server/app.ts";
import { ConfigError, GpuMemoryError } from "../../src/errors.ts";
import { until, withServer } from "../helpers/server_app.ts";

const CHAT = "/v1/chat/completions", TEXT = "/v1/completions";
const MESSAGES = [{ role: "user", content: "Who?" }];

function post(app: App, path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return Promise.resolve(app.request(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...init,
  }));
}

/** The data of a stream, the last one as text. */
async function chunksOf(response: Response) {
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  assert.equal(response.headers.get("x-accel-buffering"), "no");
  const parts = (await response.text()).split("\n\n");
  assert.equal(parts.pop(), "");
  const data = parts.map((part) => {
    assert.match(part, /^data: [^\n]+$/);
    return part.slice("data: ".length);
  });
  return { chunks: data.slice(0, -1).map((text) => JSON.parse(text)), last: data.at(-1) };
}

/** Events that go on until `release` is called. */
function heldAnswer() {
  const { promise, resolve: release } = Promise.withResolvers<void>();
  async function* script(): AsyncGenerator<GenerationEvent> {
    yield { type: "begun", promptTokens: 1 };
    yield { type: "piece", row: 0, text: "a", end: null };
    await promise;
    yield { type: "piece", row: 0, text: "b", end: "length" };
  }
  return { script, release };
}

/** Events, then an error. */
async function* failing(events: readonly GenerationEvent[], error: Error): AsyncGenerator<GenerationEvent> {
  yield* events;
  await Promise.reject(error);
}

Deno.test("a conversation is answered in OpenAI's shape, drawn as the request says", () =>
  withServer({}, async ({ app, generator, folder, clock }) => {
    const response = await post(app, CHAT, {
      model: "tiny",
      messages: [
        { role: "developer", content: "Be brief." },
        { role: "user", content: [{ type: "text", text: "Wh" }, { type: "text", text: "o?" }] },
      ],
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      seed: -1,
      stop: "END",
      n: 2,
      max_completion_tokens: 12,
      max_tokens: 99,
      user: "somebody",
      store: false,
      metadata: { a: "b" },
      response_format: { type: "text" },
      logprobs: false,
    });
    const answer = await response.json();
    assert.equal(response.status, 200, JSON.stringify(answer));
    assert.match(answer.id, /^chatcmpl-[A-Za-z0-9]{24}$/);
    const choice = (index: number) => ({
      index,
      message: { role: "assistant", content: "Hello world", refusal: null },
      logprobs: null,
      finish_reason: "stop",
    });
    assert.deepEqual({ ...answer, id: "", system_fingerprint: "" }, {
      id: "",
      object: "chat.completion",
      created: clock.now / 1000,
      model: "tiny",
      system_fingerprint: "",
      choices: [choice(0), choice(1)],
      usage: { prompt_tokens: 7, completion_tokens: 4, total_tokens: 11 },
    });
    assert.deepEqual(generator.orders, [{
      model: {
        basePath: `${folder}/models/tiny`,
        adapterPath: null,
        quantization: "none",
        doubleQuant: true,
      },
      input: {
        kind: "chat",
        messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "Who?" }],
      },
      count: 2,
      options: {
        maxNewTokens: 12,
        temperature: 0.5,
        topP: 0.9,
        topK: 40,
        repetitionPenalty: 1,
        seed: 2 ** 32 - 1,
        stopStrings: ["END"],
      },
    }]);
  }));

Deno.test("a streamed answer begins with the role and ends with the reason, the usage and [DONE]", () =>
  withServer({}, async ({ app, generator }) => {
    const body = { model: "tiny", messages: MESSAGES, stream: true };
    const { chunks, last } = await chunksOf(await post(app, CHAT, body));
    assert.equal(last, "[DONE]");
    assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
    assert.ok(chunks.every((chunk) => chunk.object === "chat.completion.chunk" && !("usage" in chunk)));
    assert.deepEqual(
      chunks.map(({ choices: [choice] }) => [choice.index, choice.delta, choice.finish_reason]),
      [
        [0, { role: "assistant", content: "" }, null],
        [0, { content: "Hello wor" }, null],
        [0, { content: "ld" }, null],
        [0, {}, "stop"],
      ],
    );
    assert.equal(generator.orders[0]!.options.temperature, 1);
    const told = await chunksOf(
      await post(app, CHAT, { ...body, n: 2, stream_options: { include_usage: true } }),
    );
    assert.deepEqual(told.chunks.map(({ choices: [choice] }) => choice?.index), [
      0,
      1,
      0,
      1,
      0,
      0,
      1,
      1,
      undefined,
    ]);
    assert.ok(told.chunks.slice(0, -1).every(({ usage }) => usage === null));
    assert.deepEqual(told.chunks.at(-1).usage, { prompt_tokens: 7, completion_tokens: 4, total_tokens: 11 });
  }));

Deno.test("texts and tokens are continued, each prompt n times", () =>
  withServer({}, async ({ app, generator }) => {
    const answer = await (await post(app, TEXT, { model: "tiny", prompt: ["a", "b"], n: 2 })).json();
    assert.match(answer.id, /^cmpl-/);
    assert.equal(answer.object, "text_completion");
    assert.deepEqual(answer.choices[3], {
      index: 3,
      text: "Hello world",
      logprobs: null,
      finish_reason: "stop",
    });
    assert.equal(answer.usage.prompt_tokens, 14);
    assert.equal(generator.orders[0]!.options.maxNewTokens, 16);
    const { chunks, last } = await chunksOf(
      await post(app, TEXT, { model: "tiny", prompt: [1, 2], stream: true }),
    );
    assert.deepEqual(generator.orders[1]!.input, { kind: "tokens", prompts: [[1, 2]] });
    assert.deepEqual(
      chunks.map(({ object, choices: [{ text, finish_reason }] }) => [object, text, finish_reason]),
      [
        ["text_completion", "Hello wor", null],
        ["text_completion", "ld", null],
        ["text_completion", "", "stop"],
      ],
    );
    assert.equal(last, "[DONE]");
    await post(app, TEXT, { model: "tiny", prompt: [[1], [2, 3]] });
    assert.deepEqual(generator.orders[2]!.input, { kind: "tokens", prompts: [[1], [2, 3]] });
  }));

Deno.test("what cannot be done is refused by the name of its field, before anything is generated", () =>
  withServer({}, async ({ app, generator }) => {
    const chat = { model: "tiny", messages: MESSAGES }, text = { model: "tiny", prompt: "a" };
    const cases: [path: string, body: object, status: number, param: string | null, code: string | null][] = [
      [CHAT, { messages: MESSAGES }, 400, "model", "invalid_value"],
      [CHAT, { ...chat, model: "none" }, 404, "model", "model_not_found"],
      [CHAT, { ...chat, model: "../tiny" }, 404, "model", "model_not_found"],
      [CHAT, { model: "tiny" }, 400, "messages", "invalid_value"],
      [CHAT, { ...chat, messages: [] }, 400, "messages", "invalid_value"],
      [CHAT, { ...chat, messages: [{ role: "robot", content: "a" }] }, 400, "messages.0", "invalid_value"],
      [CHAT, { ...chat, messages: [{ role: "user" }] }, 400, "messages.0", "invalid_value"],
      [
        CHAT,
        { ...chat, messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] },
        400,
        "messages.0.content",
        "invalid_value",
      ],
      [CHAT, { ...chat, temperature: 3 }, 400, "temperature", "invalid_value"],
      [CHAT, { ...chat, top_p: "1" }, 400, "top_p", "invalid_value"],
      [CHAT, { ...chat, n: 9 }, 400, "n", "invalid_value"],
      [CHAT, { ...chat, max_tokens: 0 }, 400, "max_tokens", "invalid_value"],
      [CHAT, { ...chat, stop: ["a", "b", "c", "d", "e"] }, 400, "stop", "invalid_value"],
      [CHAT, { ...chat, temprature: 1 }, 400, "temprature", "unknown_parameter"],
      [CHAT, { ...chat, logprobs: true }, 400, "logprobs", "unsupported_parameter"],
      [CHAT, { ...chat, tools: [{ type: "function" }] }, 400, "tools", "unsupported_parameter"],
      [CHAT, { ...chat, presence_penalty: 1 }, 400, "presence_penalty", "unsupported_parameter"],
      [CHAT, { ...chat, logit_bias: { "5": 1 } }, 400, "logit_bias", "unsupported_parameter"],
      [
        CHAT,
        { ...chat, response_format: { type: "json_object" } },
        400,
        "response_format",
        "unsupported_value",
      ],
      [CHAT, { ...chat, modalities: ["audio"] }, 400, "modalities", "unsupported_value"],
      [CHAT, { ...chat, stream_options: { include_usage: true } }, 400, "stream_options", "invalid_value"],
      [TEXT, { ...text, logprobs: 1 }, 400, "logprobs", "unsupported_parameter"],
      [TEXT, { ...text, echo: true }, 400, "echo", "unsupported_parameter"],
      [TEXT, { ...text, best_of: 3 }, 400, "best_of", "unsupported_parameter"],
      [TEXT, { ...text, prompt: Array(9).fill("a"), n: 8 }, 400, "prompt", null],
      [TEXT, { ...text, prompt: [1.5] }, 400, "prompt", "invalid_value"],
      [TEXT, { ...text, messages: MESSAGES }, 400, "messages", "unknown_parameter"],
    ];
    for (const [path, body, status, param, code] of cases) {
      const response = await post(app, path, body), { error } = await response.json();
      const [field] = String(error.param).split(".");
      const wanted = param?.includes(".") ? error.param : field;
      assert.deepEqual(
        [response.status, wanted, error.code],
        [status, param, code],
        JSON.stringify({ body, error }),
      );
      assert.equal(error.type, "invalid_request_error");
    }
    assert.equal((await post(app, CHAT, null, { body: "{" })).status, 400);
    assert.equal(generator.orders.length, 0);
  }));

Deno.test("chat needs its scope", () =>
  withServer({ anonymous: false }, async ({ app, bearer }) => {
    const ask = async (headers: Record<string, string>) =>
      (await post(app, CHAT, { model: "tiny", messages: MESSAGES }, {
        headers: { "content-type": "application/json", ...headers },
      })).status;
    assert.equal(await ask({}), 401);
    assert.equal(await ask(bearer("jobs:write")), 403);
    assert.equal(await ask(bearer("chat")), 200);
  }));

Deno.test("requests wait in line up to a bound; one beyond is told when to come again; those who leave free a place", () =>
  withServer({ maxGenerations: 2 }, async ({ app, deps, generator }) => {
    const held = heldAnswer(), body = { model: "tiny", messages: MESSAGES };
    generator.script = held.script;
    const first = await post(app, CHAT, { ...body, stream: true });
    const leaving = new AbortController();
    const second = post(app, CHAT, body, { signal: leaving.signal });
    await until(() => deps.generations.requests === 2);
    const beyond = await post(app, CHAT, body);
    assert.equal(beyond.status, 429);
    assert.match(beyond.headers.get("retry-after")!, /^[1-9]\d*$/);
    assert.equal((await beyond.json()).error.code, "rate_limit_exceeded");
    leaving.abort();
    await second.catch(() => {});
    const third = post(app, CHAT, body);
    assert.equal(generator.active, 1, "one at a time");
    const reader = first.body!.getReader();
    await reader.read();
    await reader.cancel(); // the client has gone
    held.release();
    assert.equal((await (await third).json()).choices[0].message.content, "ab");
    assert.equal(generator.active, 0);
    assert.equal(generator.orders.length, 2, "the one that left was not generated");
  }));

Deno.test("errors of the engine are told by what a client can do, without its words of the inside", () =>
  withServer({}, async ({ app, generator, failures }) => {
    const issue = (path: string) => new ConfigError([{ path, message: "number 1 has 900 tokens" }]);
    const template = Object.assign(new Error("roles must alternate"), { name: "ChatTemplateError" });
    const cases: [error: Error, status: number, code: string, isLogged: boolean][] = [
      [issue("prompt"), 400, "context_length_exceeded", false],
      [issue("chat_template"), 400, "no_chat_template", false],
      [template, 400, "invalid_value", false],
      [new GpuMemoryError("Cannot place /secret/model"), 503, "out_of_memory", true],
      [new GenerationCrash("ended by SIGSEGV at /secret/driver"), 503, "generation_crashed", true],
      [new Error("/secret/model is damaged"), 500, "model_failed", true],
    ];
    for (const [error, status, code, isLogged] of cases) {
      const before = failures.length;
      generator.script = () => failing([], error);
      for (const stream of [false, true]) {
        const response = await post(app, CHAT, { model: "tiny", messages: MESSAGES, stream });
        const text = await response.text();
        assert.deepEqual([response.status, JSON.parse(text).error.code], [status, code]);
        assert.ok(!text.includes("/secret"));
      }
      assert.equal(failures.length, before + (isLogged ? 2 : 0), error.name);
      generator.script = () => failing([{ type: "begun", promptTokens: 1 }], error);
      const { chunks, last } = await chunksOf(
        await post(app, CHAT, { model: "tiny", messages: MESSAGES, stream: true }),
      );
      assert.deepEqual([chunks.at(-1).error.code, last], [code, "[DONE]"]);
    }
  }));

Deno.test("a model that nobody asks for is unloaded after a while, and one that stops refuses", () =>
  withServer({ generationIdleMs: 20 }, async ({ app, generator, server }) => {
    const ask = () => post(app, CHAT, { model: "tiny", messages: MESSAGES });
    assert.equal((await ask()).status, 200);
    await until(() => generator.closed === 1);
    const held = heldAnswer();
    generator.script = held.script;
    const cut = ask();
    await until(() => generator.active === 1);
    const stopped = server.stop();
    held.release();
    assert.equal((await cut).status, 503);
    await stopped;
    assert.equal(generator.closed, 2);
    assert.equal((await ask()).status, 503);
  }));

Deno.test("a fine-tuned model answers with its adapter on its base, and is deleted with its archives", () =>
  withServer({}, async ({ app, deps, generator, folder }) => {
    const job = (id: string, model: string, options: Record<string, unknown> = {}) =>
      deps.jobs.create({
        ...{ id, model, options, trainingFile: "file-a", validationFile: null, suffix: null, seed: 1 },
        ...{ metadata: null, method: { type: "supervised", hyperparameters: {} }, createdBy: null },
      });
    const tuned = "ft:tiny:lowrank:a:12345678", second = "ft:tiny:lowrank:b:12345678";
    const adapter = `${folder}/jobs/ftjob-a/run/adapter`;
    await Deno.mkdir(adapter, { recursive: true });
    await Deno.writeTextFile(`${adapter}/adapter_config.json`, "{}");
    job("ftjob-a", "tiny", { load_in_4bit: true });
    const archive = deps.files.addResult("adapter.zip", 2, {
      kind: "archive",
      path: "jobs/ftjob-a/run/adapter",
    });
    const metrics = deps.files.addResult("metrics.jsonl", 2, { kind: "file", path: "jobs/ftjob-a/run/m" });
    deps.jobs.move("ftjob-a", ["queued", "validating", "running"], "completed", {
      fineTunedModel: tuned,
      resultFiles: [archive.id, metrics.id],
    });
    assert.equal((await post(app, CHAT, { model: tuned, messages: MESSAGES })).status, 200);
    assert.deepEqual(generator.orders[0]!.model, {
      basePath: `${folder}/models/tiny`,
      adapterPath: adapter,
      quantization: "4bit",
      doubleQuant: true,
    });
    const remove = async (id: string) => {
      const response = await app.request(`/v1/models/${encodeURIComponent(id)}`, { method: "DELETE" });
      return [response.status, await response.json()];
    };
    assert.equal((await remove("tiny"))[0], 403);
    job("ftjob-b", tuned);
    const [status, { error }] = await remove(tuned);
    assert.deepEqual([status, error.code], [409, "model_in_use"]);
    deps.jobs.move("ftjob-b", ["queued", "validating", "running"], "completed", { fineTunedModel: second });
    assert.deepEqual(await remove(tuned), [200, { id: tuned, object: "model", deleted: true }]);
    assert.equal((await remove(tuned))[0], 404);
    assert.equal((await post(app, CHAT, { model: tuned, messages: MESSAGES })).status, 404);
    assert.equal(
      (await post(app, CHAT, { model: second, messages: MESSAGES })).status,
      200,
      "it stands alone",
    );
    await assert.rejects(Deno.stat(adapter), Deno.errors.NotFound);
    const { fineTunedModel, resultFiles } = deps.jobs.get("ftjob-a")!;
    assert.deepEqual([fineTunedModel, resultFiles, deps.files.get(archive.id)], [tuned, [metrics.id], null]);
  }));
