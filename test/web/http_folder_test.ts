import assert from "node:assert/strict";
import { StorageDeniedError, StorageNotFoundError } from "../../src/errors.ts";
import { readText } from "../../src/storage.ts";
import { packFiles } from "../../web/build/packed_files.ts";
import { serveFolder } from "../../web/serve.ts";
import { HttpFolder } from "../../web/storage/http_folder.ts";

const ADDRESS = "http://page.test/deep/";
/** Longer than the part that is asked for on opening. */
const LONG = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);

interface Served {
  readonly folder: HttpFolder;
  /** Range header and path of each request so far. */
  readonly requests: string[];
  readonly path: string;
}

/** A folder with a file listing, an empty, a short and a long file and one below, on the project's own server. */
async function withServed(
  use: (served: Served) => Promise<void>,
  serverOf: (handler: (request: Request) => Promise<Response>) => (request: Request) => Promise<Response> = (
    handler,
  ) => handler,
): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${path}/deep/below`, { recursive: true });
    await Deno.writeTextFile(`${path}/deep/files.json`, '["short.txt", "empty", "long", "below/"]');
    await Deno.writeTextFile(`${path}/deep/short.txt`, "grüße");
    await Deno.writeTextFile(`${path}/deep/empty`, "");
    await Deno.writeFile(`${path}/deep/long`, LONG);
    await Deno.writeTextFile(`${path}/deep/below/a b.txt`, "c");
    const requests: string[] = [];
    const server = serverOf(serveFolder(path));
    const fetcher = (input: URL | RequestInfo, init?: RequestInit) => {
      const request = new Request(input, init);
      requests.push(`${request.headers.get("range")} ${new URL(request.url).pathname}`);
      return server(request);
    };
    await use({ folder: new HttpFolder(ADDRESS, "model", fetcher), requests, path });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("HttpFolder lists what files.json names, in one request", async () => {
  await withServed(async ({ folder, requests }) => {
    assert.deepEqual(await folder.list(), ["empty", "long", "short.txt"]);
    assert.deepEqual(await folder.folders(), ["below"]);
    assert.equal(await folder.exists("long"), true);
    assert.equal(await folder.exists("model.safetensors.index.json"), false);
    assert.deepEqual(requests, ["bytes=0-65535 /deep/files.json"]);
  });
});

Deno.test("HttpFolder reads short files in one request, and long ones in ranges", async () => {
  await withServed(async ({ folder, requests }) => {
    assert.equal(await readText(folder, "short.txt"), "grüße");
    assert.equal((await folder.open("empty")).size, 0);
    const file = await folder.open("long");
    assert.equal(file.size, 100_000);
    assert.deepEqual(await file.read(10, 5), LONG.slice(10, 15));
    assert.deepEqual(await file.read(65_530, 10), LONG.slice(65_530, 65_540));
    assert.deepEqual(await file.read(0, 100_000), LONG);
    assert.deepEqual(requests.slice(3), ["bytes=65530-65539 /deep/long", "bytes=0-99999 /deep/long"]);
    await assert.rejects(file.read(99_999, 2), {
      name: "RangeError",
      message: /bytes 99999\.\.100001 of "model\/long" as it has 100000/,
    });
    assert.equal(await readText(folder.folder("below"), "a b.txt"), "c");
  });
});

Deno.test("HttpFolder takes the whole file from a server without ranges", async () => {
  const withoutRanges = (handler: (request: Request) => Promise<Response>) => (request: Request) =>
    handler(new Request(request.url));
  await withServed(async ({ folder, requests }) => {
    const file = await folder.open("long");
    assert.equal(file.size, 100_000);
    assert.deepEqual(await file.read(90_000, 100), LONG.slice(90_000, 90_100));
    assert.equal(requests.length, 1);
  }, withoutRanges);
});

Deno.test("HttpFolder notices a file that was replaced while it was open", async () => {
  await withServed(async ({ folder, path }) => {
    const file = await folder.open("long");
    await Deno.writeFile(`${path}/deep/long`, LONG.slice(0, 99_000));
    await assert.rejects(file.read(70_000, 10), {
      message: 'Cannot read bytes 70000..70010 of "model/long" as the server sent 10 bytes with status 206 ' +
        "of another version: start again",
    });
  });
});

Deno.test("HttpFolder says what is missing, forbidden, broken or out of reach", async () => {
  const answering = (status: number) =>
    new HttpFolder(ADDRESS, "model", () => Promise.resolve(new Response("", { status })));
  await assert.rejects(answering(404).open("x"), (error: Error) => {
    assert.ok(error instanceof StorageNotFoundError);
    assert.equal(error.message, 'Cannot open "model/x" as it is not there: check the address');
    return true;
  });
  await assert.rejects(answering(403).open("x"), (error: Error) => {
    assert.ok(error instanceof StorageDeniedError);
    assert.match(error.message, /"model\/x" as the server answered 403: check who may read it/);
    return true;
  });
  await assert.rejects(answering(500).open("x"), /as the server answered 500: try again later/);
  const offline = new HttpFolder(ADDRESS, "model", () => Promise.reject(new TypeError("Failed to fetch")));
  await assert.rejects(offline.open("x"), /"model\/x" as its server does not answer: check the connection/);
});

Deno.test("HttpFolder is only read from", async () => {
  await withServed(async ({ folder, requests }) => {
    for (
      const write of [
        () => folder.create("x"),
        () => folder.append("x"),
        () => folder.sync("x"),
        () => folder.truncate("x"),
        () => folder.remove("x"),
        () => folder.createFolder("x"),
        () => folder.removeFolder("x"),
      ]
    ) {
      await assert.rejects(write(), (error: Error) => {
        assert.ok(error instanceof StorageDeniedError);
        assert.match(
          error.message,
          /"model\/x" as it lies on a web server.*choose an output_dir below runs\//,
        );
        return true;
      });
    }
    for (const name of ["", "..", "a/b"]) {
      await assert.rejects(folder.open(name), RangeError);
      await assert.rejects(folder.create(name), RangeError);
      await assert.rejects(folder.exists(name), RangeError);
    }
    assert.throws(() => folder.folder("../up"), RangeError);
    assert.deepEqual(requests, []);
  });
});

Deno.test("serveFolder() gives types, and nothing outside its folder", async () => {
  const path = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${path}/site`);
    await Deno.writeTextFile(`${path}/site/index.html`, "<p>");
    await Deno.writeTextFile(`${path}/site/.hidden`, "x");
    await Deno.writeTextFile(`${path}/secret`, "x");
    const serve = serveFolder(`${path}/site`);
    const ask = (address: string, init?: RequestInit) => serve(new Request(`http://a.test${address}`, init));
    const page = await ask("/");
    assert.deepEqual([page.status, page.headers.get("content-type"), await page.text()], [
      200,
      "text/html; charset=utf-8",
      "<p>",
    ]);
    for (
      const address of [
        "/..%2Fsecret",
        "/.hidden",
        "/%2e%2e/secret",
        "/a%00",
        "/%zz",
        "/none",
        "/index.html/x",
      ]
    ) {
      const { status, body } = await ask(address);
      await body?.cancel();
      assert.equal(status, 404, address);
    }
    const posted = await ask("/", { method: "POST" });
    assert.deepEqual([posted.status, await posted.text()], [405, "only GET and HEAD\n"]);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("serveFolder() serves ranges as HTTP wants them", async () => {
  const path = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${path}/digits`, "0123456789");
    const serve = serveFolder(path);
    const ask = async (range: string, method = "GET") => {
      const response = await serve(new Request("http://a.test/digits", { method, headers: { range } }));
      return [response.status, response.headers.get("content-range"), await response.text()];
    };
    assert.deepEqual(await ask("bytes=2-4"), [206, "bytes 2-4/10", "234"]);
    assert.deepEqual(await ask("bytes=8-"), [206, "bytes 8-9/10", "89"]);
    assert.deepEqual(await ask("bytes=-3"), [206, "bytes 7-9/10", "789"]);
    assert.deepEqual(await ask("bytes=5-99"), [206, "bytes 5-9/10", "56789"]);
    assert.deepEqual(await ask("bytes=10-"), [416, "bytes */10", ""]);
    assert.deepEqual(await ask("bytes=0-1,3-4"), [200, null, "0123456789"]);
    assert.deepEqual(await ask("bytes=0-3", "HEAD"), [206, "bytes 0-3/10", ""]);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("serveFolder() sends packed copies to who takes them, and nothing twice", async () => {
  const path = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${path}/main.js`, "x".repeat(1000));
    await Deno.writeTextFile(`${path}/chunk-AB12CD34.js`, "y");
    await packFiles(path);
    const serve = serveFolder(path);
    const ask = async (name: string, headers: Record<string, string> = {}) => {
      const response = await serve(new Request(`http://a.test/${name}`, { headers }));
      return { response, bytes: new Uint8Array(await response.arrayBuffer()) };
    };
    for (
      const [taken, packing] of [["gzip, deflate, br, zstd", "br"], ["gzip", "gzip"], ["x", null]] as const
    ) {
      const { response, bytes } = await ask("main.js", { "accept-encoding": taken });
      const { headers } = response;
      assert.deepEqual([headers.get("content-encoding"), headers.get("vary")], [packing, "accept-encoding"]);
      assert.deepEqual(headers.get("content-type"), "text/javascript; charset=utf-8");
      const whole = packing === null ? bytes : await unpacked(bytes, packing === "br" ? "brotli" : packing);
      assert.equal(new TextDecoder().decode(whole), "x".repeat(1000));
      const again = await ask("main.js", { "accept-encoding": taken, "if-none-match": headers.get("etag")! });
      assert.deepEqual([again.response.status, again.bytes.length], [304, 0]);
      assert.equal(headers.get("cache-control"), "no-cache");
    }
    const hashed = await ask("chunk-AB12CD34.js");
    assert.match(hashed.response.headers.get("cache-control")!, /immutable/);
    const part = await ask("main.js", { range: "bytes=0-1", "accept-encoding": "br" });
    assert.deepEqual([part.response.status, part.response.headers.get("content-encoding")], [206, null]);
    // what was changed after the build is sent as it is now
    await Deno.utime(`${path}/main.js`, new Date(), new Date(Date.now() + 60_000));
    const changed = await ask("main.js", { "accept-encoding": "br" });
    assert.equal(changed.response.headers.get("content-encoding"), null);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

async function unpacked(bytes: Uint8Array<ArrayBuffer>, format: string): Promise<ArrayBuffer> {
  const unpacker = new DecompressionStream(format as CompressionFormat);
  return await new Response(new Blob([bytes]).stream().pipeThrough(unpacker)).arrayBuffer();
}
