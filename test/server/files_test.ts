import assert from "node:assert/strict";
import { ROWS, type TestServer, uploadForm, withServer } from "../helpers/server_app.ts";

const upload = async ({ app }: TestServer, form: FormData) => {
  const response = await app.request("/v1/files", { method: "POST", body: form });
  return { status: response.status, body: await response.json() };
};

async function leftovers(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(`${folder}/incoming`))).map(({ name }) => name);
}

Deno.test("a file goes in, is listed, read and deleted in OpenAI's shapes", () =>
  withServer({}, async (server) => {
    const { app, clock } = server;
    const { status, body: file } = await upload(server, uploadForm(ROWS));
    assert.equal(status, 200);
    assert.match(file.id, /^file-[A-Za-z0-9]{24}$/);
    assert.deepEqual(file, {
      id: file.id,
      object: "file",
      bytes: ROWS.length,
      created_at: clock.now / 1000,
      filename: "train.jsonl",
      purpose: "fine-tune",
      status: "processed",
      status_details: null,
    });
    assert.deepEqual(await (await app.request(`/v1/files/${file.id}`)).json(), file);
    const content = await app.request(`/v1/files/${file.id}/content`, {
      headers: { accept: "application/binary" },
    });
    assert.equal(await content.text(), ROWS);
    assert.equal(content.headers.get("content-length"), String(ROWS.length));
    assert.match(content.headers.get("content-disposition")!, /^attachment; filename="train.jsonl"/);
    const list = await (await app.request("/v1/files")).json();
    assert.deepEqual(list, {
      object: "list",
      data: [file],
      has_more: false,
      first_id: file.id,
      last_id: file.id,
    });
    const gone = await app.request(`/v1/files/${file.id}`, { method: "DELETE" });
    assert.deepEqual(await gone.json(), { id: file.id, object: "file", deleted: true });
    assert.equal((await app.request(`/v1/files/${file.id}`)).status, 404);
    assert.deepEqual([...Deno.readDirSync(`${server.folder}/files`)], []);
  }));

Deno.test("a file is taken whichever field comes first, and from a body without a length", () =>
  withServer({}, async (server) => {
    const form = (parts: readonly string[]) => `--b\r\n${parts.join("\r\n--b\r\n")}\r\n--b--\r\n`;
    const file = 'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n' +
      `Content-Type: application/octet-stream\r\n\r\n${ROWS}`;
    const purpose = 'Content-Disposition: form-data; name="purpose"\r\n\r\nfine-tune';
    for (const parts of [[file, purpose], [purpose, file]]) {
      const bytes = new TextEncoder().encode(form(parts));
      const response = await server.app.request("/v1/files", {
        method: "POST",
        headers: { "content-type": "multipart/form-data; boundary=b" },
        body: new ReadableStream({
          start(controller) {
            for (let i = 0; i < bytes.length; i += 7) controller.enqueue(bytes.slice(i, i + 7));
            controller.close();
          },
        }),
        // @ts-ignore a stream may be sent while the answer comes
        duplex: "half",
      });
      assert.equal(response.status, 200, await response.clone().text());
      assert.equal((await response.json()).bytes, ROWS.length);
    }
  }));

Deno.test("a file with bad lines is kept for jobs that leave them out, unless no line can be used", () =>
  withServer({}, async (server) => {
    const send = (content: string, onBadLine: string) => {
      const form = uploadForm(content);
      form.set("on_bad_line", onBadLine);
      return upload(server, form);
    };
    assert.equal((await send(`${ROWS}nope\n`, "skip")).body.status, "processed");
    for (
      const [content, choice] of [[`${ROWS}nope\n`, "fail"], ["nope\n", "skip"], [
        `[${ROWS}`,
        "skip",
      ]] as const
    ) {
      const { status, body } = await send(content, choice);
      assert.deepEqual([status, body.error.code], [400, "invalid_file_format"], choice);
    }
    assert.equal((await send(ROWS, "maybe")).body.error.param, "on_bad_line");
  }));

Deno.test("a file to fine-tune on that has bad lines is refused with their numbers and not kept", () =>
  withServer({}, async (server) => {
    const { status, body } = await upload(server, uploadForm(`${ROWS}{"text": 5}\n{"text"\n`));
    assert.equal(status, 400);
    assert.equal(body.error.code, "invalid_file_format");
    assert.equal(body.error.param, "file");
    assert.equal(body.error.type, "invalid_request_error");
    assert.match(body.error.message, /^Invalid file format\. Line 4: [^\n]+\nLine 5: [^\n]+$/);
    assert.ok(!body.error.message.includes(server.folder));
    assert.deepEqual(await leftovers(server.folder), []);
    assert.deepEqual((await (await server.app.request("/v1/files")).json()).data, []);
  }));

Deno.test("a file without a Content-Length is taken up to its own limit, and no more of it is read", async () => {
  const limits = { maxFileBytes: 50e6, maxUntoldBytes: 2e6 };
  const row = `${JSON.stringify({ text: "a lamp at the pier ".repeat(50) })}\n`, piece = row.repeat(64);
  const head = '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n' +
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n';
  let sent = 0;
  /** A form whose file has at least so many bytes, made as it is read. */
  const formOf = (bytes: number) => {
    sent = 0;
    const text = function* () {
      yield head;
      for (; sent < bytes; sent += piece.length) yield piece;
      yield "\r\n--b--\r\n";
    };
    return ReadableStream.from(text()).pipeThrough(new TextEncoderStream());
  };
  const send = (bytes: number, more: Record<string, string> = {}): RequestInit => {
    const headers = { "content-type": "multipart/form-data; boundary=b", ...more };
    return { method: "POST", headers, body: formOf(bytes) };
  };
  const tooLarge = async (response: Response, words: RegExp) => {
    const { error } = await response.json();
    assert.deepEqual([response.status, error.param, error.code], [413, "file", "file_too_large"]);
    assert.match(error.message, words);
  };
  await withServer(limits, async (server) => {
    const { app, folder } = server;
    await tooLarge(await app.request("/v1/files", send(Infinity)), /up to 2 MB without a Content-Length\.$/);
    assert.ok(sent < 5e6, `${sent} bytes were read`);
    assert.equal((await app.request("/v1/files", send(1e6))).status, 200);
    // with a length, the limit of all files holds
    assert.equal((await app.request("/v1/files", send(3e6, { "content-length": "3100000" }))).status, 200);
    await using http = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => app.fetch(request, {}),
    );
    const { port } = http.addr;
    const chunked = (bytes: number) => fetch(`http://127.0.0.1:${port}/v1/files`, send(bytes));
    await tooLarge(await chunked(4e6), /up to 2 MB without a Content-Length\.$/);
    const taken = await chunked(1e6);
    assert.deepEqual([taken.status, (await taken.json()).bytes], [200, sent]);
    assert.deepEqual(await leftovers(folder), []);
  });
  await withServer({ ...limits, maxFileBytes: 1e6 }, async ({ app }) => {
    await tooLarge(await app.request("/v1/files", send(Infinity)), /takes up to 1 MB\.$/);
  });
});

Deno.test("forms that lack, repeat or overfill something are refused, and leave nothing", () =>
  withServer({ maxFileBytes: 1000 }, async (server) => {
    const without = (field: string) => {
      const form = uploadForm(ROWS);
      form.delete(field);
      return form;
    };
    const twice = uploadForm(ROWS),
      second = uploadForm(ROWS),
      text = uploadForm(ROWS),
      soon = uploadForm(ROWS);
    twice.append("purpose", "batch");
    second.append("file", new Blob([ROWS]), "b.jsonl");
    text.set("file", "just text");
    soon.append("expires_after[anchor]", "created_at");
    soon.append("expires_after[seconds]", "60");
    const long = uploadForm(ROWS);
    long.append("note", "x".repeat(5000));
    const cases: [FormData, number, string | null][] = [
      [without("purpose"), 400, "purpose"],
      [uploadForm(ROWS, "a.jsonl", "fine-tune-results"), 400, "purpose"],
      [without("file"), 400, "file"],
      [text, 400, "file"],
      [uploadForm(""), 400, "file"],
      [twice, 400, "purpose"],
      [second, 400, "file"],
      [long, 400, "note"],
      [soon, 400, "expires_after[seconds]"],
      [uploadForm(ROWS.repeat(40)), 413, "file"],
    ];
    for (const [form, status, param] of cases) {
      const answer = await upload(server, form);
      assert.deepEqual([answer.status, answer.body.error.param], [status, param], answer.body.error.message);
    }
    const broken = async (type: string, body: string) =>
      (await server.app.request("/v1/files", { method: "POST", headers: { "content-type": type }, body }))
        .status;
    assert.equal(await broken("application/json", "{}"), 415);
    assert.equal(await broken("multipart/form-data", "x"), 415);
    assert.equal(await broken("multipart/form-data; boundary=", "x"), 400);
    const head = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncut';
    assert.equal(await broken("multipart/form-data; boundary=b", head), 400);
    // a part without a name once ended the server
    for (const more of ["", '; filename="a"']) {
      const nameless = `--b\r\nContent-Disposition: form-data${more}\r\n\r\nx\r\n--b--\r\n`;
      assert.equal(await broken("multipart/form-data; boundary=b", nameless), 400);
    }
    assert.deepEqual(await leftovers(server.folder), []);
  }));

Deno.test("a disk that refuses a file ends its upload, however much is still to come", () =>
  withServer({}, async (server) => {
    await Deno.remove(`${server.folder}/incoming`);
    const { status, body } = await upload(server, uploadForm(ROWS.repeat(100_000)));
    assert.deepEqual([status, body.error.type], [500, "server_error"]);
    assert.ok(server.log.at(-1)!.error instanceof Deno.errors.NotFound);
  }));

Deno.test("files are listed in pages, both ways, by purpose, without those that expired", () =>
  withServer({}, async (server) => {
    const { app, clock } = server, ids: string[] = [];
    for (const purpose of ["fine-tune", "batch", "fine-tune", "batch"]) {
      ids.push((await upload(server, uploadForm(ROWS, "a.jsonl", purpose))).body.id);
    }
    const listed = async (query: string) => {
      const { data, has_more } = await (await app.request(`/v1/files?${query}`)).json();
      return [data.map(({ id }: { id: string }) => ids.indexOf(id)), has_more];
    };
    assert.deepEqual(await listed(""), [[3, 2, 1, 0], false]);
    assert.deepEqual(await listed("limit=2"), [[3, 2], true]);
    assert.deepEqual(await listed(`limit=2&after=${ids[2]}`), [[1, 0], false]);
    assert.deepEqual(await listed(`limit=2&order=asc&after=${ids[1]}`), [[2, 3], false]);
    assert.deepEqual(await listed("purpose=batch"), [[3, 1], false]);
    for (
      const bad of ["limit=0", "limit=x", "limit=10001", "order=up", "after=file-none", "limit=1&limit=2"]
    ) {
      const response = await app.request(`/v1/files?${bad}`);
      assert.equal(response.status, 400, bad);
      assert.equal((await response.json()).error.param, bad.split("=")[0]);
    }
    const form = uploadForm(ROWS);
    form.append("expires_after[anchor]", "created_at");
    form.append("expires_after[seconds]", "3600");
    const { body } = await upload(server, form);
    assert.equal(body.expires_at, clock.now / 1000 + 3600);
    clock.now += 3_600_000;
    assert.equal((await app.request(`/v1/files/${body.id}`)).status, 404);
    assert.deepEqual(await listed(""), [[3, 2, 1, 0], false]);
    await server.deps.files.removeExpired();
    assert.equal([...Deno.readDirSync(`${server.folder}/files`)].length, 4);
  }));

Deno.test("names of files are kept for display and never reach the disk or a header unescaped", () =>
  withServer({}, async (server) => {
    const name = '../../etc/pass"wd\r\nX-Evil: 1\u202e é.jsonl';
    const { body } = await upload(server, uploadForm(ROWS, name));
    assert.ok(!/[/\\"\r\n\u202e]/.test(body.filename), body.filename);
    const response = await server.app.request(`/v1/files/${body.id}/content`);
    assert.equal(response.headers.get("x-evil"), null);
    assert.equal(response.headers.get("content-type"), "application/octet-stream");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    await response.body?.cancel();
    assert.deepEqual([...Deno.readDirSync(`${server.folder}/files`)].map((f) => f.name), [
      `${body.id}.jsonl`,
    ]);
  }));
