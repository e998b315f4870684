import assert from "node:assert/strict";
import type { StorageArea } from "../../server/storage_areas.ts";
import { parseStorageGrants } from "../../server/storage_grants.ts";
import { ConfigError } from "../../src/errors.ts";
import { LocalStorageManager } from "../../src/storage/local_store.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { type TestServer, withServer } from "../helpers/server_app.ts";
import { noise, same } from "../storage/storage_contract.ts";

const PART = 1000;
const CONTENT = new TextEncoder().encode("0123456789");

interface ProxyTest extends TestServer {
  readonly bucket: MemoryStorageManager;
  /** What a request under `/api` gives. */
  send(method: string, path: string, options?: RequestInit): Promise<Response>;
}

/** A server over `gs/b/data` to read, `gs/b/out` to write, and files that it must not tell of. */
function withProxy(work: (test: ProxyTest) => Promise<void>, settings = {}): Promise<void> {
  const bucket = new MemoryStorageManager("secret-name", { largestPut: PART, partBytes: PART });
  const areas: StorageArea[] = [
    { path: "gs/b/data", storage: bucket, prefix: "data/", isWritable: false },
    { path: "gs/b/out", storage: bucket, prefix: "out/", isWritable: true },
  ];
  return withServer({ maxFileBytes: 100_000, ...settings }, async (server) => {
    for (const name of ["data/a.txt", "data/sub/b c.txt", "data-secret/x", "secret", "out/old"]) {
      await bucket.write(name, CONTENT);
    }
    const send = async (method: string, path: string, options: RequestInit = {}) => {
      const headers = new Headers(options.headers);
      if (options.body instanceof Uint8Array) headers.set("content-length", String(options.body.length));
      return await server.app.request(`/api/${path}`, { method, ...options, headers });
    };
    await work({ ...server, bucket, send });
  }, { areas });
}

/** A refusal's status and code; holds that it tells neither names of buckets, nor paths, nor stacks. */
async function refusal(response: Response): Promise<[number, string | undefined]> {
  const text = await response.text();
  assert.equal(response.headers.get("content-type"), "application/problem+json", text);
  assert.ok(!/secret-name|memory:|\.ts\b|\/tmp|\n\s+at |Error:/.test(text), text);
  const { status, code } = JSON.parse(text);
  assert.equal(status, response.status);
  return [status, code];
}

Deno.test("the proxy lists what it offers and what is there, page by page", () =>
  withProxy(async ({ send }) => {
    const { data: areas } = await (await send("GET", "storage")).json();
    assert.deepEqual(
      areas.map(({ path, writable }: { path: string; writable: boolean }) => [path, writable]),
      [
        ["gs/b/out", true],
        ["gs/b/data", false],
      ].toSorted((a, b) => String(a[0]).length - String(b[0]).length),
    );
    const first = await (await send("GET", "storage/gs/b/data/?limit=1")).json();
    assert.deepEqual(first.data, [{
      object: "storage.file",
      path: "gs/b/data/a.txt",
      bytes: 10,
      etag: '"1"',
      checksum: { algorithm: "crc32c", hex: "280c069e" },
    }]);
    const next = `storage/gs/b/data/?limit=1&page_token=${encodeURIComponent(first.next_page_token)}`;
    const second = await (await send("GET", next)).json();
    assert.deepEqual([second.data[0].path, second.next_page_token], ["gs/b/data/sub/b c.txt", null]);
    assert.deepEqual(await refusal(await send("GET", "storage/gs/b/data/?limit=0")), [400, "invalid_value"]);
  }));

Deno.test("the proxy reads files whole, in ranges, and only if they are not known", () =>
  withProxy(async ({ send, bucket }) => {
    const read = async (headers: Record<string, string>, method = "GET") => {
      const response = await send(method, "storage/gs/b/data/sub/b%20c.txt", { headers });
      const { status } = response, range = response.headers.get("content-range");
      return [status, await response.text(), range, response.headers.get("content-length")];
    };
    const whole = await send("GET", "storage/gs/b/data/sub/b%20c.txt");
    assert.equal(await whole.text(), "0123456789");
    const told = (name: string) => whole.headers.get(name);
    assert.deepEqual(
      ["content-type", "etag", "accept-ranges", "x-checksum", "x-content-type-options"].map(told),
      [
        "application/octet-stream",
        '"2"',
        "bytes",
        "crc32c=280c069e",
        "nosniff",
      ],
    );
    assert.match(told("content-disposition")!, /^attachment; filename="b c.txt"/);
    assert.deepEqual(await read({}, "HEAD"), [200, "", null, "10"]);
    assert.deepEqual(await read({ range: "bytes=2-4" }), [206, "234", "bytes 2-4/10", "3"]);
    assert.deepEqual(await read({ range: "bytes=7-" }), [206, "789", "bytes 7-9/10", "3"]);
    assert.deepEqual(await read({ range: "bytes=-2" }), [206, "89", "bytes 8-9/10", "2"]);
    assert.deepEqual(await read({ range: "bytes=0-999" }), [206, "0123456789", "bytes 0-9/10", "10"]);
    for (const range of ["bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes=1-2x"]) {
      assert.deepEqual((await read({ range })).slice(0, 2), [200, "0123456789"], range);
    }
    assert.deepEqual((await read({ range: "bytes=0-1", "if-range": '"2"' }))[0], 206);
    assert.deepEqual((await read({ range: "bytes=0-1", "if-range": '"1"' }))[0], 200);
    const beyond = await send("GET", "storage/gs/b/data/a.txt", { headers: { range: "bytes=10-" } });
    assert.equal(beyond.headers.get("content-range"), "bytes */10");
    assert.deepEqual(await refusal(beyond), [416, "range_not_satisfiable"]);
    assert.deepEqual((await read({ "if-none-match": '"1", W/"2"' })).slice(0, 2), [304, ""]);
    assert.equal((await read({ "if-none-match": '"1"' }))[0], 200);
    const moved = await send("GET", "storage/gs/b/data/a.txt", { headers: { "if-match": '"7"' } });
    assert.deepEqual(await refusal(moved), [412, "precondition_failed"]);
    assert.deepEqual(await refusal(await send("GET", "storage/gs/b/data/none")), [404, "file_not_found"]);
    await bucket.write("data/empty", new Uint8Array());
    const empty = await send("GET", "storage/gs/b/data/empty");
    assert.deepEqual([empty.status, await empty.text()], [200, ""]);
  }));

Deno.test("the proxy writes files under conditions, and removes them", () =>
  withProxy(async ({ send, bucket }) => {
    const path = "storage/gs/b/out/new.bin", body = noise(2 * PART + 5);
    const written = await send("PUT", path, { body, headers: { "if-none-match": "*" } });
    const file = await written.json();
    assert.deepEqual([written.status, file.path, file.bytes], [200, "gs/b/out/new.bin", body.length]);
    assert.equal(written.headers.get("etag"), file.etag);
    assert.ok(same(await bucket.read("out/new.bin"), body));
    const again = await send("PUT", path, { body: CONTENT, headers: { "if-none-match": "*" } });
    assert.deepEqual(await refusal(again), [412, "precondition_failed"]);
    const stale = await send("PUT", path, { body: CONTENT, headers: { "if-match": '"1"' } });
    assert.deepEqual(await refusal(stale), [412, "precondition_failed"]);
    const fresh = await send("PUT", path, { body: CONTENT, headers: { "if-match": file.etag } });
    const { etag } = await fresh.json();
    assert.deepEqual([fresh.status, (await bucket.stat("out/new.bin")).size], [200, 10]);
    for (const headers of [{ "if-match": "*" }, { "if-match": 'W/"1"' }, { "if-none-match": '"1"' }]) {
      const refused = await send("PUT", path, {
        body: CONTENT,
        headers: new Headers(headers as Record<string, string>),
      });
      assert.deepEqual(await refusal(refused), [400, "invalid_condition"]);
    }
    const kept = await send("DELETE", path, { headers: { "if-match": '"1"' } });
    assert.deepEqual(await refusal(kept), [412, "precondition_failed"]);
    for (let i = 0; i < 2; i++) {
      assert.equal((await send("DELETE", path, i ? {} : { headers: { "if-match": etag } })).status, 204);
    }
    assert.equal(await bucket.exists("out/new.bin"), false);
  }));

Deno.test("an upload that is cut goes on from what the store has, and appears only whole", () =>
  withProxy(async ({ send, bucket }) => {
    const body = noise(3 * PART + 200), json = { "content-type": "application/json" };
    const begun = await send("POST", "storage/gs/b/out/big", {
      body: JSON.stringify({ bytes: body.length }),
      headers: json,
    });
    const { offset, part_bytes: partBytes, id } = await begun.json();
    const address = begun.headers.get("location")!.replace("/api/", "");
    assert.deepEqual([begun.status, offset, partBytes, address], [201, 0, PART, `uploads/${id}`]);
    assert.match(id, /^upload-[A-Za-z0-9]{24}$/);
    // the connection breaks after a part and a half
    const cut = new ReadableStream({
      start: (controller) => controller.enqueue(body.slice(0, PART + 500)),
      pull: (controller) => controller.error(new Error("cut")),
    });
    const range = (from: number, to = body.length) => ({
      "content-range": `bytes ${from}-${to - 1}/${body.length}`,
    });
    assert.deepEqual(await refusal(await send("PUT", address, { body: cut, headers: range(0) })), [
      400,
      "body_broken",
    ]);
    assert.equal(await bucket.exists("out/big"), false);
    const looked = await send("GET", address);
    assert.deepEqual([(await looked.json()).offset, looked.headers.get("upload-offset")], [
      PART,
      String(PART),
    ]);
    const asked = await send("PUT", address, { headers: { "content-range": `bytes */${body.length}` } });
    assert.deepEqual([asked.status, (await asked.json()).offset], [202, PART]);
    const gap = await send("PUT", address, { body: body.subarray(2 * PART), headers: range(2 * PART) });
    assert.equal(gap.headers.get("upload-offset"), String(PART));
    assert.deepEqual(await refusal(gap), [416, "wrong_offset"]);
    const small = await send("PUT", address, {
      body: body.subarray(PART, PART + 9),
      headers: range(PART, PART + 9),
    });
    assert.deepEqual(await refusal(small), [416, "wrong_offset"]);
    const more = await send("PUT", address, {
      body: body.subarray(PART, 2 * PART + 7),
      headers: range(PART, 2 * PART + 7),
    });
    assert.deepEqual([more.status, (await more.json()).offset], [202, 2 * PART]);
    const short = await send("PUT", address, {
      body: body.subarray(2 * PART, 2 * PART + 9),
      headers: range(2 * PART),
    });
    assert.deepEqual(await refusal(short), [400, "wrong_length"]);
    const done = await send("PUT", address, { body: body.subarray(2 * PART), headers: range(2 * PART) });
    assert.deepEqual([done.status, (await done.json()).bytes], [200, body.length]);
    assert.ok(same(await bucket.read("out/big"), body));
    assert.deepEqual(await refusal(await send("GET", address)), [404, "upload_not_found"]);
    const other = await send("POST", "storage/gs/b/out/other", { body: '{"bytes":5000}', headers: json });
    const place = other.headers.get("location")!.replace("/api/", "");
    assert.equal((await send("DELETE", place)).status, 204);
    assert.deepEqual(await refusal(await send("DELETE", place)), [404, "upload_not_found"]);
  }));

Deno.test("an upload outlives the server: the next one goes on with it, and forgets it when nobody does", () =>
  withProxy(async ({ send, bucket, server, again, clock }) => {
    const body = noise(2 * PART + 200), headers = { "content-type": "application/json" };
    const begin = async (bytes: number): Promise<string> => {
      const begun = await send("POST", "storage/gs/b/out/kept", { body: JSON.stringify({ bytes }), headers });
      return (await begun.json()).id;
    };
    const id = await begin(body.length), small = await begin(10), left = await begin(body.length);
    const range = (from: number, to: number) => ({
      "content-range": `bytes ${from}-${to - 1}/${body.length}`,
    });
    const first = { body: body.slice(0, PART), headers: range(0, PART) };
    assert.equal((await send("PUT", `uploads/${id}`, first)).status, 202);
    await server.stop();
    const { app, deps } = await again();
    const looked = await Promise.all([id, id, small].map((id) => app.request(`/api/uploads/${id}`)));
    const offsets = await Promise.all(looked.map(async (response) => (await response.json()).offset));
    assert.deepEqual(offsets, [PART, PART, 0], "what a store has, and nothing of a file of one request");
    const rest = { method: "PUT", body: body.slice(PART), headers: range(PART, body.length) };
    const done = await app.request(`/api/uploads/${id}`, rest);
    assert.deepEqual([done.status, (await done.json()).bytes], [200, body.length]);
    assert.ok(same(await bucket.read("out/kept"), body));
    assert.equal((await app.request(`/api/uploads/${id}`)).status, 404);
    clock.now += 3_600_000;
    await deps.uploads.forgetOld();
    assert.equal((await app.request(`/api/uploads/${left}`)).status, 404);
  }));

Deno.test("a dead connection does not hold an upload, and one caller has so many", () =>
  withProxy(async ({ send }) => {
    const begin = () =>
      send("POST", "storage/gs/b/out/big", {
        body: JSON.stringify({ bytes: 2 * PART }),
        headers: { "content-type": "application/json" },
      });
    const address = (await begin()).headers.get("location")!.replace("/api/", "");
    const headers = { "content-range": `bytes 0-${2 * PART - 1}/${2 * PART}` };
    const dead = send("PUT", address, {
      body: new ReadableStream({ pull: () => new Promise(() => {}) }),
      headers,
    });
    await new Promise((resolve) => setTimeout(resolve));
    const alive = await send("PUT", address, { body: noise(2 * PART), headers });
    assert.equal(alive.status, 200);
    assert.equal((await dead).status, 409);
    for (let i = 0; i < 16; i++) assert.equal((await begin()).status, 201);
    assert.deepEqual(await refusal(await begin()), [429, "too_many_uploads"]);
  }));

Deno.test("the proxy reaches nothing but what is offered: paths, encodings, prefixes, addresses", () =>
  withProxy(async ({ send }) => {
    const wanted: [string, number][] = [
      // beside and above the areas
      ["gs/b/secret", 403],
      ["gs/b/data-secret/x", 403],
      ["gs/b/dat", 403],
      ["gs/b/", 403],
      ["gs/b", 403],
      ["gs/other/data/a.txt", 403],
      ["s3/b/data/a.txt", 403],
      ["GS/b/data/a.txt", 403],
      // out of an area: addresses are made plain before they arrive, encoded or not
      ["gs/b/data/../secret", 403],
      ["gs/b/data/%2e%2e/secret", 403],
      ["gs/b/data/.%2E/secret", 403],
      ["gs/b/data/..%2fsecret", 400],
      ["gs/b/data/%2e%2e%2fsecret", 400],
      ["gs/b/data/..%5csecret", 400],
      ["gs/b/data/%5c..%5csecret", 400],
      ["gs%2fb%2fdata%2fa.txt", 400],
      ["gs/b/data%2f..%2fsecret", 400],
      ["gs/b/data//a.txt", 400],
      ["gs/b/data///", 400],
      ["/etc/passwd", 400],
      ["//gs/b/data/a.txt", 400],
      // encoded twice, it is a name like any other
      ["gs/b/data/%252e%252e%252fsecret", 404],
      ["gs/b/data/a.txt%00.png", 400],
      ["gs/b/data/a%0d%0aset-cookie:%20x=1", 404],
      ["gs/b/data/a%09b", 400],
      ["gs/b/data/%ff", 400],
      ["gs/b/data/%", 400],
      [`gs/b/data/${"x".repeat(1100)}`, 400],
      // other endpoints
      ["http://169.254.169.254/latest/meta-data", 400],
      ["http:%2f%2f169.254.169.254%2f", 400],
      ["gs/b@evil.example/data/a.txt", 403],
      ["file/etc/passwd", 403],
      ["local/etc/passwd", 403],
    ];
    for (const [path, status] of wanted) {
      const [got] = await refusal(await send("GET", `storage/${path}`));
      assert.equal(got, status, path);
    }
    for (const query of ["endpoint=http://evil.example", "bucket=other", "prefix=../", "apiEndpoint=x"]) {
      const response = await send("GET", `storage/gs/b/data/a.txt?${query}`);
      assert.equal(await response.text(), "0123456789", "a query names no place");
    }
    const listed = await (await send("GET", "storage/gs/b/data/?page_token=aaaa")).json();
    assert.ok(listed.data.every(({ path }: { path: string }) => path.startsWith("gs/b/data/")));
  }));

Deno.test("the proxy takes no body that is too large, of no size, or for another place", () =>
  withProxy(async ({ send, bucket }) => {
    const json = { "content-type": "application/json" };
    const large = (bytes: unknown) =>
      send("POST", "storage/gs/b/out/x", { body: JSON.stringify({ bytes }), headers: json });
    assert.deepEqual(await refusal(await large(100_001)), [413, "file_too_large"]);
    for (const bytes of [-1, 1.5, "9", null, 1e300]) {
      assert.equal((await refusal(await large(bytes)))[0], 400);
    }
    const put = (headers: Record<string, string>, path = "storage/gs/b/out/x") =>
      send("PUT", path, { headers, body: "x" });
    assert.deepEqual(await refusal(await put({ "content-length": "100001" })), [413, "file_too_large"]);
    assert.deepEqual(await refusal(await put({})), [411, "length_required"]);
    assert.deepEqual(await refusal(await put({ "content-length": "-1" })), [411, "length_required"]);
    assert.deepEqual(await refusal(await put({ "content-length": "0" })), [400, "wrong_length"]);
    assert.deepEqual(await refusal(await put({ "content-length": "2" })), [400, "wrong_length"]);
    const part = { "content-length": "1", "content-range": "bytes 0-0/1" };
    assert.deepEqual(await refusal(await put(part)), [400, "no_upload"]);
    for (const [path, status] of [["gs/b/out/", 405], ["gs/b/out", 400]] as const) {
      assert.deepEqual(await refusal(await put({ "content-length": "1" }, `storage/${path}`)), [
        status,
        "invalid_path",
      ]);
    }
    for (const path of ["gs/b/data/a.txt", "gs/b/data/new"]) {
      assert.deepEqual(await refusal(await put({ "content-length": "1" }, `storage/${path}`)), [
        403,
        "storage_read_only",
      ]);
      assert.deepEqual(await refusal(await send("DELETE", `storage/${path}`)), [403, "storage_read_only"]);
    }
    assert.equal(await bucket.exists("out/x"), false);
  }));

Deno.test("a token may use the places that its scopes name, and its own uploads", () =>
  withProxy(async ({ send, bearer }) => {
    const status = async (
      method: string,
      path: string,
      headers: Record<string, string>,
      body?: Uint8Array<ArrayBuffer>,
    ) => {
      const response = await send(method, path, { headers, ...(body ? { body } : {}) });
      await response.body?.cancel();
      return response.status;
    };
    const all = bearer("storage:read", "storage:write"), reader = bearer("storage:read:gs/b/data/sub");
    const writer = bearer("storage:read", "storage:write:gs/b/out/mine");
    assert.equal(await status("GET", "storage/gs/b/data/a.txt", {}), 401);
    assert.equal(await status("GET", "storage/gs/b/data/a.txt", bearer("files:read", "records:write")), 403);
    assert.equal(await status("GET", "storage/gs/b/data/a.txt", all), 200);
    assert.equal(await status("GET", "storage/gs/b/data/a.txt", reader), 403);
    assert.equal(await status("GET", "storage/gs/b/data/", reader), 403);
    assert.equal(await status("GET", "storage/gs/b/data/sub/", reader), 200);
    assert.equal(await status("GET", "storage/gs/b/data/sub/b%20c.txt", reader), 200);
    assert.equal(await status("GET", "storage/gs/b/data/subway", reader), 403);
    assert.equal(await status("PUT", "storage/gs/b/out/mine/x", reader, CONTENT), 403);
    assert.equal(await status("PUT", "storage/gs/b/out/mine/x", writer, CONTENT), 200);
    assert.equal(await status("PUT", "storage/gs/b/out/x", writer, CONTENT), 403);
    assert.equal(await status("PUT", "storage/gs/b/out/mine/../x", writer, CONTENT), 403);
    assert.equal(await status("DELETE", "storage/gs/b/out/old", writer), 403);
    const visible = await (await send("GET", "storage", { headers: reader })).json();
    assert.deepEqual(visible.data.map(({ path }: { path: string }) => path), ["gs/b/data"]);
    const begun = await send("POST", "storage/gs/b/out/mine/y", {
      body: '{"bytes":10}',
      headers: { ...writer, "content-type": "application/json" },
    });
    const address = begun.headers.get("location")!.replace("/api/", ""),
      range = { "content-range": "bytes 0-9/10" };
    assert.equal(await status("GET", address, all), 404, "of another token");
    assert.equal(await status("PUT", address, { ...all, ...range }, CONTENT), 404);
    assert.equal(await status("PUT", address, { ...writer, ...range }, CONTENT), 200);
  }, { anonymous: false }));

Deno.test("a folder of this machine is offered without its path", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/a.txt`, "0123456789");
    const areas = [{
      path: "local/data",
      storage: new LocalStorageManager(folder),
      prefix: "",
      isWritable: true,
    }];
    await withServer({}, async ({ app }) => {
      const listed = await (await app.request("/api/storage/local/data/")).text();
      assert.ok(listed.includes("local/data/a.txt") && !listed.includes(folder), listed);
      const range = await app.request("/api/storage/local/data/a.txt", { headers: { range: "bytes=3-5" } });
      assert.equal(await range.text(), "345");
      const put = (path: string) =>
        app.request(`/api/storage/local/data/${path}`, {
          method: "PUT",
          body: "x",
          headers: { "content-length": "1" },
        });
      assert.equal((await put("new/b")).status, 200);
      assert.equal(await Deno.readTextFile(`${folder}/new/b`), "x");
      for (const path of ["a.txt/b", "x".repeat(300)]) {
        const response = await put(path), text = await response.text();
        assert.ok(response.status < 500 && !text.includes(folder), `${response.status} ${text}`);
      }
    }, { areas });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("parseStorageGrants() takes buckets and named folders, and says what is wrong with others", () => {
  assert.deepEqual(parseStorageGrants("gs://my-bucket, s3://b-1/out/:rw ,data=/srv/data:ro,hf://o/m"), [
    { path: "gs/my-bucket", uri: "gs://my-bucket", isWritable: false },
    { path: "s3/b-1/out", uri: "s3://b-1/out", isWritable: true },
    { path: "local/data", uri: "/srv/data/", isWritable: false },
    { path: "hf/o/m", uri: "hf://o/m", isWritable: false },
  ]);
  for (
    const [wrong, message] of [
      ["/srv/data", /needs a name/],
      ["gs://b-1/../x", /prefix/],
      ["gs://B!", /needs a bucket/],
      ["ftp://host/x", /storage is one of/],
      ["hf://o/m:rw", /only read/],
      ["x=gs://b-1", /without NAME=/],
      ["gs://b-1,gs://b-1:rw", /twice/],
    ] as const
  ) {
    assert.throws(
      () => parseStorageGrants(wrong),
      (error) => error instanceof ConfigError && message.test(error.message),
    );
  }
});
