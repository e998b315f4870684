import assert from "node:assert/strict";
import { ALL_SCOPES } from "../../server/scopes.ts";
import { ROWS, uploadForm, withServer } from "../helpers/server_app.ts";

Deno.test("with tokens, nobody gets in without one, and nobody does more than theirs allows", () =>
  withServer({ anonymous: false }, async ({ app, bearer, deps, clock }) => {
    const reader = bearer("files:read");
    const status = async (headers: Record<string, string>, method = "GET") =>
      (await app.request("/v1/files", {
        headers,
        method,
        ...(method === "POST" ? { body: uploadForm(ROWS) } : {}),
      }))
        .status;
    assert.equal(await status({}), 401);
    assert.equal(await status(reader), 200);
    assert.equal(await status(reader, "POST"), 403);
    assert.equal(await status(bearer("files:write"), "POST"), 200);
    const { authorization } = reader;
    for (
      const wrong of [
        `${authorization.slice(0, -1)}${authorization.endsWith("a") ? "b" : "a"}`,
        authorization.slice(0, -1),
        `Basic ${btoa("a:b")}`,
        "Bearer",
        "Bearer ' OR 1=1 --",
        `Bearer ${"x".repeat(1000)}`,
      ]
    ) {
      const response = await app.request("/v1/files", { headers: { authorization: wrong } });
      const { error } = await response.json();
      assert.deepEqual([response.status, error.code, error.type, error.param], [
        401,
        "invalid_api_key",
        "invalid_request_error",
        null,
      ], wrong);
      assert.match(response.headers.get("www-authenticate")!, /^Bearer/);
      assert.ok(!JSON.stringify(error).includes(wrong));
    }
    const soon = deps.tokens.create("soon", ["files:read"], clock.now + 1000);
    assert.equal(await status({ authorization: `bearer ${soon.token}` }), 200);
    clock.now += 1000;
    assert.equal(await status({ authorization: `bearer ${soon.token}` }), 401);
    const { id } = deps.tokens.list().find(({ name, scopes }) =>
      name === "test" && scopes.includes("files:read")
    )!;
    assert.ok(deps.tokens.revoke(id));
    assert.equal(await status(reader), 401);
    for (const open of ["/healthz", "/readyz", "/openapi.json"]) {
      assert.equal((await app.request(open)).status, 200);
    }
  }));

Deno.test("the database holds no token, only its hash", () =>
  withServer({ anonymous: false }, async ({ database, bearer }) => {
    const secret = bearer("chat").authorization.split("_").at(-1)!;
    const rows = JSON.stringify(database.all("SELECT * FROM tokens"));
    assert.ok(!rows.includes(secret) && /"secret_hash":"[0-9a-f]{64}"/.test(rows));
    await Promise.resolve();
  }));

Deno.test("refusals have OpenAI's shape under /v1 and problem+json elsewhere, each with a request id", () =>
  withServer({}, async ({ app }) => {
    for (const path of ["/v1/nothing", "/v1/files/file-none"]) {
      const response = await app.request(path);
      const { error } = await response.json();
      assert.equal(response.status, 404);
      assert.deepEqual(Object.keys(error).sort(), ["code", "message", "param", "type"]);
      assert.match(response.headers.get("x-request-id")!, /^req_[A-Za-z0-9]{24}$/);
    }
    const elsewhere = await app.request("/nothing");
    assert.equal(elsewhere.headers.get("content-type"), "application/problem+json");
    assert.deepEqual(await elsewhere.json(), {
      type: "about:blank",
      title: "Not Found",
      status: 404,
      detail: "There is nothing at GET /nothing.",
    });
    const wrong = await app.request("/v1/files", { method: "PUT" });
    assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, "GET, POST"]);
  }));

Deno.test("what goes wrong inside is logged and not told: neither stacks nor paths", () =>
  withServer({}, async (server) => {
    server.database.run("DROP TABLE files");
    const response = await server.app.request("/v1/files");
    const text = await response.text();
    assert.equal(response.status, 500);
    assert.equal(response.headers.get("x-should-retry"), "false");
    assert.ok(!/SQL|table|\.ts|\//.test(text), text);
    assert.match(String(server.log.at(-1)!.error), /no such table/);
  }));

Deno.test("without tokens only this machine's own pages and programs are answered", () =>
  withServer({ allowedOrigins: ["https://tune.example"] }, async ({ app }) => {
    const status = async (headers: Record<string, string>) =>
      (await app.request("http://127.0.0.1:8000/healthz", { headers })).status;
    assert.equal(await status({ host: "127.0.0.1:8000" }), 200);
    assert.equal(await status({ host: "localhost:8000", origin: "http://localhost:8000" }), 200);
    assert.equal(await status({ host: "[::1]:8000" }), 200);
    assert.equal(await status({ host: "rebound.example:8000" }), 421);
    assert.equal(await status({ host: "localhost.example" }), 421);
    assert.equal(await status({ host: "127.0.0.1:8000", origin: "https://evil.example" }), 403);
    assert.equal(await status({ host: "127.0.0.1:8000", origin: "null" }), 403);
    assert.equal(await status({ host: "127.0.0.1:8000", origin: "https://tune.example" }), 200);
    const preflight = await app.request("http://127.0.0.1:8000/v1/files", {
      method: "OPTIONS",
      headers: {
        host: "127.0.0.1:8000",
        origin: "https://tune.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, x-stainless-os",
      },
    });
    assert.equal(preflight.headers.get("access-control-allow-origin"), "https://tune.example");
    assert.match(preflight.headers.get("access-control-allow-headers")!, /x-stainless-os/);
  }));

Deno.test("responses keep browsers from guessing, framing and sharing", () =>
  withServer({}, async ({ app }) => {
    const { headers } = await app.request("/healthz");
    assert.match(headers.get("content-security-policy")!, /default-src 'none'; frame-ancestors 'none'/);
    assert.equal(headers.get("cross-origin-opener-policy"), "same-origin");
    assert.equal(headers.get("cross-origin-embedder-policy"), "require-corp");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("x-powered-by"), null);
  }));

Deno.test("a caller that asks too often is told when to come back; others are not held up", () =>
  withServer({ anonymous: false, requestsPerSecond: 2 }, async ({ app, bearer, clock }) => {
    const [busy, calm] = [bearer("files:read"), bearer("files:read")];
    const ask = (headers: Record<string, string>) => app.request("/v1/files", { headers });
    for (let i = 0; i < 4; i++) assert.equal((await ask(busy)).status, 200);
    const refused = await ask(busy);
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [429, "1"]);
    assert.equal(refused.headers.get("x-should-retry"), null);
    assert.equal((await ask(calm)).status, 200);
    clock.now += 500;
    assert.equal((await ask(busy)).status, 200);
    assert.equal((await ask(busy)).status, 429);
  }));

Deno.test("the OpenAPI document names every route with its scope and refusals, and what each takes", () =>
  withServer({ anonymous: false }, async ({ app }) => {
    const document = await (await app.request("/openapi.json")).json();
    assert.equal(document.openapi, "3.1.0");
    const upload = document.paths["/v1/files"].post;
    assert.deepEqual(upload.security, [{ bearer: [] }]);
    assert.ok(upload.requestBody.content["multipart/form-data"]);
    assert.deepEqual(Object.keys(upload.responses).sort(), [
      "200",
      "400",
      "401",
      "403",
      "408",
      "413",
      "415",
      "429",
    ]);
    const { parameters } = document.paths["/v1/files"].get;
    assert.deepEqual(
      parameters.map(({ name }: { name: string }) => name).sort(),
      ["after", "limit", "order", "purpose"],
    );
    const bodyOf = (path: string) => document.paths[path].post.requestBody.content["application/json"].schema;
    const { method, metadata } = bodyOf("/v1/fine_tuning/jobs").properties;
    const [{ properties: { type, supervised } }] = method.anyOf;
    assert.deepEqual(type, { const: "supervised" });
    const { n_epochs, lora_r, output_dir } = supervised.properties.hyperparameters.properties;
    assert.deepEqual([n_epochs.default, lora_r.type, output_dir], ["auto", "integer", undefined]);
    assert.equal(metadata.anyOf[0].maxProperties, 16);
    const chat = bodyOf("/v1/chat/completions").properties;
    assert.deepEqual([chat.logprobs, chat.tools.maxItems], [{ enum: [false, null] }, 0]);
    const { get: readFile } = document.paths["/api/storage/{kind}/{place}/{file}"];
    assert.deepEqual(readFile.parameters.map(({ name }: { name: string }) => name).slice(0, 3), [
      "kind",
      "place",
      "file",
    ]);
  }));

Deno.test("every route answers as the OpenAPI document says: without a token, with one that lacks the scope, and with all", () =>
  withServer({ anonymous: false }, async ({ app, bearer }) => {
    const { paths } = await (await app.request("/openapi.json")).json();
    const nothing = bearer("metrics:read"), everything = bearer(...ALL_SCOPES);
    for (const [path, operations] of Object.entries<Record<string, Documented>>(paths)) {
      const address = path.replace("{kind}", "local").replace("{place}", "pages").replace(/\{\w+\}/g, "x");
      for (const [method, { security, responses, operationId }] of Object.entries(operations)) {
        const asked = async (headers: Record<string, string>) => {
          const response = await app.request(address, { method: method.toUpperCase(), headers });
          const { status } = response, told = responses[status], type = response.headers.get("content-type");
          await response.body?.cancel();
          assert.ok(told, `${operationId} answers ${status}, which is not documented`);
          const kinds = Object.keys(told.content ?? {});
          const isTold = kinds.length === 0 || kinds.some((kind) => type?.startsWith(kind));
          assert.ok(isTold, `${operationId} ${status}: ${type} is not ${kinds}`);
          return status;
        };
        const isOpen = security.length === 0, withAll = await asked(everything);
        assert.ok(withAll !== 401 && withAll < 500, `${operationId}: ${withAll}`);
        if (isOpen) continue;
        assert.equal(await asked({}), 401, operationId);
        if (operationId !== "metrics") assert.equal(await asked(nothing), 403, operationId);
      }
    }
  }));

/** What is looked at of an operation. */
interface Documented {
  readonly operationId: string;
  readonly security: readonly unknown[];
  readonly responses: Readonly<Record<number, { readonly content?: object }>>;
}

Deno.test("the page about the API is read by everybody, loads its own style sheet, and runs nothing", () =>
  withServer({ anonymous: false }, async ({ app }) => {
    const page = await app.request("/docs"), text = await page.text();
    assert.match(page.headers.get("content-type")!, /^text\/html/);
    const policy =
      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; style-src 'self'";
    assert.equal(page.headers.get("content-security-policy"), policy);
    const addresses = [...text.matchAll(/(?:href|src)="([^"#]+)"/g)].map(([, address]) => address!);
    assert.deepEqual(addresses, ["/docs/style.css", "/openapi.json"]);
    assert.doesNotMatch(text, /<script|style=|\[object Object\]|undefined/);
    const { paths } = await (await app.request("/openapi.json")).json();
    for (
      const { operationId } of Object.values<Record<string, { operationId: string }>>(paths).flatMap(
        Object.values,
      )
    ) {
      assert.ok(text.includes(`<article id="${operationId}">`), operationId);
    }
    assert.match(text, /method\.supervised\.hyperparameters\.lora_r/);
    const style = await app.request("/docs/style.css");
    assert.match(style.headers.get("content-type")!, /^text\/css/);
    assert.ok((await style.text()).includes("body"));
  }));

Deno.test("the OpenAPI document of a server without tokens asks for none", () =>
  withServer({}, async ({ app }) => {
    const { paths } = await (await app.request("/openapi.json")).json();
    const operations = Object.values<Record<string, { security: unknown[] }>>(paths).flatMap(Object.values);
    assert.ok(operations.length > 30);
    assert.ok(operations.every(({ security }) => security.length === 0));
  }));
