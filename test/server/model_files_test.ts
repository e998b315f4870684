import assert from "node:assert/strict";
import { ROWS, uploadForm, withServer } from "../helpers/server_app.ts";

const FILES = "/api/models/tiny/files";

Deno.test("a page reads what a base model is, whole and in ranges, by names that are there and no others", () =>
  withServer({}, async ({ app, folder }) => {
    await Deno.mkdir(`${folder}/models/ada/one/inner`, { recursive: true });
    await Deno.writeTextFile(`${folder}/models/ada/one/config.json`, "{}");
    await Deno.writeTextFile(`${folder}/models/ada/one/.hidden`, "x");
    await Deno.writeTextFile(`${folder}/models/tiny/tokenizer.json`, "0123456789");
    await Deno.writeTextFile(`${folder}/models/small.gguf`, "GGUF");
    const list = async (id: string) => (await (await app.request(`/api/models/${id}/files`)).json()).data;
    assert.deepEqual(await list("tiny"), [
      { path: "config.json", bytes: 2 },
      { path: "tokenizer.json", bytes: 10 },
    ]);
    assert.deepEqual(await list("ada%2Fone"), [{ path: "config.json", bytes: 2 }]);
    assert.deepEqual(await list("small"), [{ path: "small.gguf", bytes: 4 }]);
    const whole = await app.request(`${FILES}/tokenizer.json`), tag = whole.headers.get("etag")!;
    assert.deepEqual([whole.status, await whole.text()], [200, "0123456789"]);
    const part = await app.request(`${FILES}/tokenizer.json`, {
      headers: { range: "bytes=3-5", "if-range": tag },
    });
    assert.deepEqual(
      [part.status, part.headers.get("content-range"), part.headers.get("etag"), await part.text()],
      [206, "bytes 3-5/10", tag, "345"],
    );
    const after = await app.request(`${FILES}/tokenizer.json`, { headers: { range: "bytes=10-" } });
    assert.equal(after.status, 416);
    await after.body?.cancel();
    const head = await app.request(`${FILES}/tokenizer.json`, { method: "HEAD" });
    assert.deepEqual([head.headers.get("content-length"), await head.text()], ["10", ""]);
    const absent = ["other/files", "tiny/files/none", "tiny/files/..%2F..%2Flowrank.db", "ada/one/files"];
    for (const path of absent) {
      const answer = await app.request(`/api/models/${path}`);
      assert.equal(answer.status, 404, path);
      assert.ok(!(await answer.text()).includes(folder));
    }
  }));

Deno.test("files of models are for those who may see models", () =>
  withServer({ anonymous: false }, async ({ app, bearer }) => {
    const status = async (headers: Record<string, string>) => {
      const answer = await app.request(`${FILES}/config.json`, { headers });
      await answer.body?.cancel();
      return answer.status;
    };
    assert.deepEqual([
      await status({}),
      await status(bearer("jobs:read")),
      await status(bearer("models:read")),
    ], [
      401,
      403,
      200,
    ]);
  }));

Deno.test("a run tells its options, and its record without the places of this machine", () =>
  withServer({}, async ({ app, folder }) => {
    const sent = await app.request("/v1/files", { method: "POST", body: uploadForm(ROWS) });
    const { id: training_file } = await sent.json();
    const hyperparameters = { n_epochs: 2, lora_r: 4, learning_rate_multiplier: 2 };
    const made = await app.request("/v1/fine_tuning/jobs", {
      method: "POST",
      body: JSON.stringify({
        ...{ model: "tiny", training_file, paused: true, seed: 7 },
        method: { type: "supervised", supervised: { hyperparameters } },
      }),
      headers: { "content-type": "application/json" },
    });
    const { id } = await made.json();
    const look = async () => await (await app.request(`/api/runs/${id}`)).json();
    const options = { num_train_epochs: 2, lora_r: 4, learning_rate: 4e-4, seed: 7 };
    assert.deepEqual(await look(), { object: "run", id, options, record: null });
    await Deno.mkdir(`${folder}/jobs/${id}/run`, { recursive: true });
    const record = {
      ...{ version: 1, status: "cancelled", steps: 3, total_steps: 6, error: "no /srv/secret/x.json there" },
      config: { base_model: `${folder}/models/tiny`, output_dir: `${folder}/jobs/${id}/run` },
      base_model: { path: `${folder}/models/tiny`, model_type: "llama" },
      data: [{ file: `${folder}/files/file-1.jsonl`, rows: 3 }],
    };
    await Deno.writeTextFile(`${folder}/jobs/${id}/run/run.json`, JSON.stringify(record));
    const found = await look();
    assert.deepEqual(found.record, {
      ...record,
      error: "no x.json there",
      config: options,
      base_model: { path: "tiny", model_type: "llama" },
      data: [{ file: "file-1.jsonl", rows: 3 }],
    });
    assert.ok(!JSON.stringify(found).includes(folder));
    assert.equal((await app.request("/api/runs/ftjob-none")).status, 404);
  }));
