/**
 * Attacks by name: the request that is sent, and the answer that is wanted.
 */
import assert from "node:assert/strict";
import { accessLine } from "../../server/cli/serve.ts";
import { ALL_SCOPES, type GrantedScope, type Scope } from "../../server/scopes.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { SqliteJobRecords } from "../../src/job_tracker/sqlite.ts";
import { ROWS, type TestServer, until, uploadForm, withServer } from "../helpers/server_app.ts";
import {
  type Attack,
  attacks,
  FILES,
  gzipped,
  isSent,
  JOBS,
  JSON_TYPE,
  rawForm,
  type Targets,
} from "./attacks.ts";

/** Sends a request as the app gets it, and checks what holds of every answer. */
async function sent(server: TestServer, attack: Attack, authorization: string): Promise<void> {
  const { what, method = "GET", path, headers = {}, body, status, code, check } = attack;
  const sent = body === undefined || isSent(body) ? body : JSON.stringify(body);
  const response = await server.app.request(
    `http://server.example${encodeURI(path).replaceAll("%25", "%")}`,
    {
      method,
      headers: { authorization, ...(sent === body ? {} : JSON_TYPE), ...headers },
      ...(sent === undefined ? {} : { body: sent }),
    },
  );
  const text = await response.text(), shown = `${what}: ${response.status} ${text.slice(0, 300)}`;
  assert.ok([status].flat().includes(response.status), shown);
  if (code !== undefined) {
    const told = JSON.parse(text);
    assert.equal((told.error ?? told).code, code, shown);
  }
  assert.ok(!text.includes(server.folder) && !/root:|\.ts:\d|\bat .+:\d+:\d+|SQLITE|node:/.test(text), shown);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff", shown);
  assert.match(response.headers.get("content-security-policy")!, /default-src 'none'/, shown);
  assert.equal(response.headers.get("cross-origin-opener-policy"), "same-origin", shown);
  assert.equal(response.headers.get("cross-origin-embedder-policy"), "require-corp", shown);
  assert.equal(response.headers.get("set-cookie"), null, shown);
  check?.(response, text);
}

/** A server with things to reach, and the header that may do everything. */
function withTargets(
  work: (server: TestServer, targets: Targets, authorization: string) => Promise<void>,
): Promise<void> {
  const bucket = new MemoryStorageManager("b");
  const records = new SqliteJobRecords(":memory:");
  const areas = [
    { path: "gs/b/data", storage: bucket, prefix: "data/", isWritable: false },
    { path: "gs/b/out", storage: bucket, prefix: "out/", isWritable: true },
  ];
  const settings = {
    anonymous: false,
    allowedOrigins: ["https://tune.example"],
    requestsPerSecond: 10_000,
    maxFileBytes: 40_000,
  };
  return withServer(settings, async (server) => {
    await bucket.write("data/a.txt", new TextEncoder().encode("0123456789"));
    await bucket.write("data/page.html", new TextEncoder().encode("<script>alert(1)</script>"));
    await bucket.write("secret", new TextEncoder().encode("root: secret"));
    const { authorization } = server.bearer(...ALL_SCOPES);
    const ask = async (path: string, init: RequestInit) =>
      (await (await server.app.request(path, init)).json()).id;
    const file = await ask(FILES, { method: "POST", headers: { authorization }, body: uploadForm(ROWS) });
    const job = await ask(JOBS, {
      method: "POST",
      headers: { authorization, ...JSON_TYPE },
      body: JSON.stringify({ model: "tiny", training_file: file }),
    });
    await work(server, { file, job }, authorization);
    await records.close();
  }, { areas, records });
}

const NAMES = Object.keys(attacks({ file: "file-x", job: "ftjob-x" }, { zipped: new Uint8Array() }));

Deno.test("attacks get the answer that is wanted, and tell nothing of the inside", async (t) => {
  await withTargets(async (server, targets, authorization) => {
    const all = attacks(targets, { zipped: await gzipped(`{"text":"${"a".repeat(1_000_000)}"}\n`) });
    assert.ok(Object.values(all).flat().length >= 60);
    for (const name of NAMES) {
      await t.step(name, async () => {
        for (const attack of all[name]!) await sent(server, attack, authorization);
      });
    }
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    assert.deepEqual(server.failures, []);
    assert.deepEqual(server.log.filter(({ status, error }) => status >= 500 || error), []);
    for await (const { name, isFile } of Deno.readDir(`${server.folder}/files`)) {
      assert.ok(isFile && /^file-\w{24}\.jsonl$/.test(name), name);
      const { mode } = await Deno.stat(`${server.folder}/files/${name}`);
      assert.equal(mode! & 0o777, 0o600, "nobody else reads it, nobody runs it");
    }
    assert.deepEqual([...Deno.readDirSync(`${server.folder}/incoming`)], []);
  });
});

Deno.test("no route does anything without a token that has its scope", () =>
  withTargets(async ({ app, bearer }, { file, job }) => {
    const { paths } = await (await app.request("/openapi.json")).json();
    let guarded = 0;
    for (
      const [path, methods] of Object.entries<Record<string, { description?: string; security: unknown[] }>>(
        paths,
      )
    ) {
      const address = path.replace(/\{[^}]+\}/g, path.includes("jobs") ? job : file);
      for (const [method, { description = "", security }] of Object.entries(methods)) {
        if (security.length === 0) continue;
        guarded++;
        const [, scope] = /Scope: `([a-z:]+)`/.exec(description)!;
        const status = async (...scopes: GrantedScope[]) => {
          const headers = scopes.length > 0 ? bearer(...scopes) : {};
          const response = await app.request(address, { method: method.toUpperCase(), headers });
          const text = await response.text();
          assert.ok(!text.includes(job) && !text.includes('"data"'), `${method} ${path}: ${text}`);
          return response.status;
        };
        assert.equal(await status(), 401, `${method} ${path}`);
        const others = ALL_SCOPES.filter((other) => other !== scope as Scope);
        assert.equal(await status(...others), 403, `${method} ${path} without ${scope}`);
      }
    }
    assert.ok(guarded >= 25, `${guarded} routes`);
    const open = Object.keys(paths).filter((path) =>
      Object.values<{ security: unknown[] }>(paths[path]).some(({ security }) => security.length === 0)
    );
    for (const path of open) assert.match(path, /^\/(healthz|readyz|openapi\.json|docs.*)$/);
  }));

Deno.test("a token is taken in its header alone, and a wrong one tells nothing of right ones", () =>
  withTargets(async ({ app, bearer, deps, database }, _, authorization) => {
    const token = authorization.slice("Bearer ".length), [, id = "", secret = ""] = token.split("_");
    const other = bearer("files:read").authorization.split("_")[1]!;
    const ask = async (path: string, headers: Record<string, string>) => {
      const response = await app.request(path, { headers });
      return { status: response.status, text: await response.text() };
    };
    const swapped = `${secret.slice(1)}${secret[0]}`;
    const wrong = [
      ["an unknown id", `lowrank_${"A".repeat(12)}_${secret}`],
      ["the first letter of the secret", `lowrank_${id}_${secret[0] === "a" ? "b" : "a"}${secret.slice(1)}`],
      ["its letters in another order", `lowrank_${id}_${swapped}`],
      ["another token's id", `lowrank_${other}_${secret}`],
      [
        "its hash",
        `lowrank_${id}_${
          database.get<{ secret_hash: string }>("SELECT secret_hash FROM tokens WHERE id = ?", id)!
            .secret_hash.slice(0, 43)
        }`,
      ],
      ["nothing behind the id", `lowrank_${id}_`],
      ["SQL", `lowrank_'OR'1'='1_${secret}`],
      ["two tokens", `${token},${token}`],
    ] as const;
    const answers = new Set<string>();
    for (const [what, sent] of wrong) {
      const { status, text } = await ask(FILES, { authorization: `Bearer ${sent}` });
      assert.equal(status, 401, what);
      answers.add(text);
    }
    assert.equal(answers.size, 1, "all are told the same");
    for (const sent of [`Basic ${btoa(`x:${token}`)}`, `Token ${token}`, token, `Bearer  ${token} x`]) {
      assert.equal((await ask(FILES, { authorization: sent })).status, 401, sent);
    }
    for (
      const headers of [{ cookie: `token=${token}` }, { "x-api-key": token }, {
        "proxy-authorization": `Bearer ${token}`,
      }]
    ) {
      assert.equal((await ask(FILES, headers)).status, 401, JSON.stringify(headers));
    }
    assert.equal((await ask(`${FILES}?access_token=${token}&api_key=${token}`, {})).status, 401);
    assert.ok(deps.tokens.revoke(id));
    assert.equal((await ask(FILES, { authorization })).status, 401, "revoked");
    assert.ok(!JSON.stringify(database.all("SELECT * FROM tokens")).includes(secret), "hashed");
    const source = await Deno.readTextFile(new URL("../../server/token_store.ts", import.meta.url));
    assert.match(source, /timingSafeEqual\(/, "compared in constant time");
  }));

Deno.test("without tokens, names that were made to resolve to this machine are not answered", () =>
  withServer({ anonymous: true }, async ({ app }) => {
    const hosts: [string, number][] = [
      ["127.0.0.1:8000", 200],
      ["[::1]:8000", 200],
      ["LOCALHOST", 200],
      ["rebound.evil.example", 421],
      ["127.0.0.1.evil.example", 421],
      ["localhost.evil.example:8000", 421],
      ["evil.example#localhost", 421],
      ["localhost@evil.example", 421],
      ["0.0.0.0:8000", 421],
      ["[::ffff:127.0.0.1]", 421],
      ["2130706433", 421],
      ["169.254.169.254", 421],
    ];
    for (const [host, status] of hosts) {
      for (const extra of [{}, { "x-forwarded-host": "127.0.0.1" }]) {
        const response = await app.request(`http://127.0.0.1:8000${FILES}`, { headers: { host, ...extra } });
        assert.equal(response.status, status, host);
        await response.body?.cancel();
      }
    }
    const page = { host: "127.0.0.1:8000", origin: "http://127.0.0.1:9000" };
    assert.equal((await app.request(FILES, { headers: page })).status, 403, "another port is another page");
  }));

Deno.test("who guesses tokens is slowed down, and what is open at a time is counted right", () =>
  withServer({ anonymous: false, requestsPerSecond: 5, maxEventStreams: 3 }, async (server) => {
    const { app, bearer, clock } = server;
    const guess = async (remoteAddress: string) => {
      const headers = { authorization: `Bearer lowrank_${"A".repeat(12)}_${"b".repeat(43)}` };
      return (await app.request(FILES, { headers }, { remoteAddress })).status;
    };
    for (let i = 0; i < 10; i++) assert.equal(await guess("192.0.2.1"), 401);
    assert.equal(await guess("192.0.2.1"), 429);
    assert.equal(await guess("192.0.2.2"), 401, "others are not held up");
    const headers = bearer(...ALL_SCOPES);
    assert.equal((await app.request(FILES, { headers }, { remoteAddress: "192.0.2.1" })).status, 200);
    clock.now += 10_000;
    const ask = async (path: string, init: RequestInit) => (await (await app.request(path, init)).json()).id;
    const file = await ask(FILES, { method: "POST", headers, body: uploadForm(ROWS) });
    const body = JSON.stringify({ model: "tiny", training_file: file });
    const job = await ask(JOBS, { method: "POST", headers: { ...headers, ...JSON_TYPE }, body });
    const follow = (method: string) =>
      app.request(`${JOBS}/${job}/events`, { method, headers: { ...headers, accept: "text/event-stream" } });
    for (let i = 0; i < 5; i++) {
      clock.now += 1000;
      assert.equal((await follow("HEAD")).status, 200);
    }
    const open = [await follow("GET"), await follow("GET"), await follow("GET")];
    assert.deepEqual(
      open.map(({ status }) => status),
      [200, 200, 200],
      "questions for the head alone leave nothing open",
    );
    clock.now += 1000;
    assert.equal((await follow("GET")).status, 429);
    await Promise.all(open.map(({ body }) => body!.cancel()));
    const last = await follow("GET");
    assert.equal(last.status, 200);
    await last.body!.cancel();
    assert.equal(
      (await app.request(`${FILES}/${file}/content`, { method: "HEAD", headers })).headers.get(
        "content-length",
      ),
      String(ROWS.length),
    );
  }));

Deno.test("bodies that stop coming are given up", () =>
  withServer({ bodyIdleMs: 30 }, async ({ app, folder }) => {
    const slow = (text: string) =>
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode(text)),
      });
    const form = rawForm("a.jsonl");
    const halves: [string, Record<string, string>, string][] = [
      [FILES, { ...form.headers }, (form.body as string).slice(0, 150)],
      [JOBS, JSON_TYPE, '{"model":'],
    ];
    for (const [path, headers, half] of halves) {
      const response = await app.request(path, { method: "POST", headers, body: slow(half) });
      assert.equal(response.status, 408, path);
      assert.equal((await response.json()).error.code, "body_timeout");
    }
    assert.deepEqual([...Deno.readDirSync(`${folder}/incoming`)], []);
  }));

Deno.test("what comes over the wire and is no HTTP harms nobody", () =>
  withTargets(async ({ app, log }, _, authorization) => {
    await using http = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => app.fetch(request),
    );
    const { port } = http.addr;
    const send = async (raw: string | Uint8Array<ArrayBuffer>) => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(typeof raw === "string" ? new TextEncoder().encode(raw) : raw);
      await connection.closeWrite();
      const answer = await new Response(connection.readable).text().catch(() => "");
      return answer;
    };
    const from = `Host: server.example\r\nAuthorization: ${authorization}\r\n`;
    const chunked = "0\r\n\r\nDELETE /v1/files HTTP/1.1\r\nHost: x\r\n\r\n";
    const attacks: [string, string | Uint8Array<ArrayBuffer>, RegExp][] = [
      [
        "two lengths",
        `POST ${JOBS} HTTP/1.1\r\n${from}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}`,
        /^HTTP\/1\.1 400/,
      ],
      [
        "a length and chunks",
        `POST ${JOBS} HTTP/1.1\r\n${from}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
        /^HTTP\/1\.1 400/,
      ],
      [
        "a chunk of no length",
        `POST ${JOBS} HTTP/1.1\r\n${from}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
        /^HTTP\/1\.1 400|^$/,
      ],
      [
        "an unknown encoding of the body",
        `POST ${JOBS} HTTP/1.1\r\n${from}Transfer-Encoding: xchunked\r\n\r\n`,
        /^HTTP\/1\.1 400/,
      ],
      [
        "a length below nothing",
        `POST ${JOBS} HTTP/1.1\r\n${from}Content-Length: -1\r\n\r\n`,
        /^HTTP\/1\.1 400/,
      ],
      [
        "a byte of zero in a header",
        `GET ${FILES} HTTP/1.1\r\n${from}X: a\u0000b\r\n\r\n`,
        /^HTTP\/1\.1 400/,
      ],
      [
        "a line end in a header",
        `GET ${FILES} HTTP/1.1\r\n${from}X: a\nSet-Cookie: b\r\n\r\n`,
        /^HTTP\/1\.1 (400|200)/,
      ],
      [
        "a header without end",
        `GET ${FILES} HTTP/1.1\r\n${from}X: ${"x".repeat(1_000_000)}`,
        /^HTTP\/1\.1 4\d\d|^$/,
      ],
      [
        "many headers",
        `GET ${FILES} HTTP/1.1\r\n${from}${"X: 1\r\n".repeat(5000)}\r\n`,
        /^HTTP\/1\.1 4\d\d|^$/,
      ],
      [
        "another server's address",
        `GET http://evil.example${FILES} HTTP/1.1\r\n${from}\r\n`,
        /^HTTP\/1\.1 (200|4\d\d)/,
      ],
      ["a tunnel", `CONNECT evil.example:443 HTTP/1.1\r\n${from}\r\n`, /^HTTP\/1\.1 [45]\d\d|^$/],
      [
        "a trace",
        `TRACE / HTTP/1.1\r\n${from}Max-Forwards: 0\r\n\r\n`,
        /^HTTP\/1\.1 [45]\d\d(?![^]*Max-Forwards)/,
      ],
      ["no version", "GET /\r\n\r\n", /^HTTP\/1\.1 400|^$/],
      ["TLS", new Uint8Array([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]), /^HTTP\/1\.1 400|^$/],
      ["noise", crypto.getRandomValues(new Uint8Array(2000)), /^HTTP\/1\.1 400|^$/],
      [
        "a body that breaks off",
        `POST ${JOBS} HTTP/1.1\r\n${from}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"model":`,
        /^HTTP\/1\.1 400|^$/,
      ],
    ];
    for (const [what, raw, wanted] of attacks) {
      const answer = await send(raw);
      assert.match(answer, wanted, what);
      assert.ok(
        !/set-cookie/i.test(answer.split("\r\n\r\n")[0]!) && !/\.ts:\d/.test(answer),
        `${what}: ${answer}`,
      );
      const alive = await fetch(`http://127.0.0.1:${port}/healthz`);
      assert.equal((await alive.json()).status, "ok", what);
    }
    await until(() => log.length > 0);
    assert.deepEqual(log.filter(({ status, path }) => status >= 500 || path.includes("evil.example")), []);
  }));

Deno.test("a request writes one line into the log and one row into the metrics, whatever it holds", () =>
  withServer({}, async ({ app, log }) => {
    for (
      const path of [
        `/${"x".repeat(298)}%F0%9F%98%80`,
        "/a%0a2026-01-01 GET /forged 200",
        "/%ff%fe",
        "/%1b[2J",
        "/%ed%a0%80",
      ]
    ) {
      assert.equal((await app.request(`http://127.0.0.1${path}`)).status, 404, path);
      assert.match(accessLine(log.at(-1)!), /^[\x20-\x7e]+$/);
    }
    const rows = async () => (await (await app.request("/metrics")).text()).split("\n").length;
    await app.request("/healthz", { method: "BREW" });
    await rows(); // has a row itself
    const before = await rows();
    for (let i = 0; i < 50; i++) await app.request("/healthz", { method: `BREW${i}` });
    assert.equal(await rows(), before, "no row for each word that a client thinks up");
  }));
