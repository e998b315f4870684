import assert from "node:assert/strict";
import { StorageBucketError, StorageDeniedError, StorageNotFoundError } from "../../src/errors.ts";
import { readText } from "../../src/storage.ts";
import { HubStorageManager } from "../../src/storage/hub.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { COMMIT, startHub } from "./hub_server.ts";

const QUICK = { attempts: 4, pauseMs: 5 };
const TOKEN = "hf_test_5318008";

Deno.test("HubStorageManager lists and downloads a repository, every file checked", async () => {
  await using hub = startHub();
  const storage = new HubStorageManager("owner/ember", { endpoint: hub.endpoint, token: TOKEN });
  const files = await Array.fromAsync(storage.list());
  assert.deepEqual(files.map(({ name, size, checksum }) => `${name} ${size} ${checksum?.algorithm}`), [
    "README.md 7 git-sha1",
    "config.json 22 git-sha1",
    "model.safetensors 320000 sha256",
    "onnx/a b.bin 7 git-sha1",
    "onnx/model.onnx 4 git-sha1",
  ]);
  for (const file of files) assert.deepEqual(await storage.stat(file.name), file);
  const back = new MemoryFolder();
  const summary = await storage.downloadFolder("", back);
  assert.deepEqual(summary, { files: 5, bytes: 320_040, skipped: 0 });
  assert.equal(await readText(back.folder("onnx"), "a b.bin"), "grüße");
  assert.equal((await readText(back, "model.safetensors")).length, 320_000);
  assert.deepEqual((await storage.downloadFolder("", back, { skipSame: true })).skipped, 5);
  assert.equal(hub.asked.filter((path) => path.includes("/revision/")).length, 1);
  assert.ok(hub.asked.every((path) => path.endsWith(" +token")), "a token goes with each request to the Hub");
  assert.deepEqual((await Array.fromAsync(storage.list("onnx/m"))).map(({ name }) => name), [
    "onnx/model.onnx",
  ]);
  assert.deepEqual(await Array.fromAsync(storage.list("none/")), []);
  assert.deepEqual(await storage.folder("onnx").list(), ["a b.bin", "model.onnx"]);
  const weights = await storage.folder("").open("model.safetensors");
  assert.equal(new TextDecoder().decode(await weights.read(8, 7)), "weights");
});

Deno.test("HubStorageManager reads a revision and a dataset by its commit", async () => {
  await using hub = startHub();
  const storage = new HubStorageManager("datasets/owner/ember@v1/x", { endpoint: hub.endpoint });
  assert.equal(new TextDecoder().decode(await storage.read("config.json")), '{"model_type":"llama"}');
  assert.deepEqual(hub.asked, [
    "GET /api/datasets/owner/ember/revision/v1/x",
    `HEAD /datasets/owner/ember/resolve/${COMMIT}/config.json`,
    `GET /datasets/owner/ember/resolve/${COMMIT}/config.json`,
  ]);
});

Deno.test("HubStorageManager goes on where a download ended, and refuses damaged bytes", async () => {
  await using hub = startHub();
  const storage = new HubStorageManager("owner/ember", { endpoint: hub.endpoint, retries: QUICK });
  hub.faults.halves = 5;
  const folder = new MemoryFolder();
  await storage.downloadFile("model.safetensors", folder);
  assert.equal(await readText(folder, "model.safetensors"), "weights ".repeat(40_000));
  hub.faults.damaged = true;
  for (const name of ["model.safetensors", "README.md"]) {
    await assert.rejects(storage.downloadFile(name, folder, { as: "bad" }), { name: "StorageDamagedError" });
  }
  assert.deepEqual(await folder.list(), ["model.safetensors"]);
});

Deno.test("HubStorageManager tells gated, missing and misspelt repositories, revisions and files apart", async () => {
  await using hub = startHub();
  const { endpoint } = hub;
  const manager = (repository: string, token = "") => new HubStorageManager(repository, { endpoint, token });
  const cases = [
    [
      "owner/gated",
      "f",
      StorageDeniedError,
      /authors ask for consent: accept the terms at .*\/owner\/gated, then set HF_TOKEN/,
    ],
    [
      "owner/none",
      "f",
      StorageBucketError,
      /\/owner\/none is not there or private: check its name, or set HF_TOKEN/,
    ],
    ["owner/ember@v9", "f", StorageBucketError, /has no revision "v9": check the name after @/],
    ["owner/ember", "f", StorageNotFoundError, /"hf:\/\/owner\/ember\/f" as it is not there/],
  ] as const;
  for (const [repository, file, kind, message] of cases) {
    for (const token of ["", TOKEN]) {
      await assert.rejects(manager(repository, token).stat(file), (error: Error) => {
        assert.ok(error instanceof kind, `${error.stack}`);
        assert.match(error.message, message);
        assert.ok(!Deno.inspect(error, { depth: 9 }).includes(TOKEN));
        return true;
      });
    }
  }
  assert.throws(() => manager("ember"), { name: "RangeError", message: /write owner\/model/ });
  await assert.rejects(manager("owner/ember").write("f", new Uint8Array(1)), {
    name: "StorageDeniedError",
    message: /as the Hub is only read here: save to a folder or a bucket/,
  });
  await assert.rejects(manager("owner/ember").remove("f"), StorageDeniedError);
});
