import assert from "node:assert/strict";
import { readText } from "../../src/storage.ts";
import { HubStorageManager } from "../../src/storage/hub.ts";
import { HubDatasets } from "../../src/storage/hub_datasets.ts";
import { HubSnapshots } from "../../src/storage/hub_snapshots.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { SnapshotCache } from "../../src/storage/snapshot_cache.ts";
import { COMMIT, FakeHub, type FakeHubOptions } from "./fake_hub.ts";

const QUICK = { attempts: 4, pauseMs: 1 };

const FILES = {
  "README.md": "a data set",
  "train.jsonl": '{"text":"a"}\n',
  "data/test-0 1.jsonl": '{"text":"b"}\n',
  "data/deep/x.csv": "text\nc\n",
  "../escape.jsonl": "bad",
};

interface Options {
  readonly token?: string;
  readonly cache?: MemoryFolder;
  readonly offline?: boolean;
}

function hub(options: Partial<FakeHubOptions> = {}) {
  const fake = new FakeHub({ files: FILES, ...options }), ownCache = new MemoryFolder("cache");
  const open = ({ token = "", cache = ownCache, offline = false }: Options = {}) => {
    const access = { endpoint: "http://hub.test/", token, fetch: fake.fetch };
    const repository = (name: string) => new HubStorageManager(name, { ...access, retries: QUICK });
    return new HubDatasets(
      new HubSnapshots({ cache: new SnapshotCache(cache), open: repository, offline }),
    );
  };
  return { fake, cache: ownCache, open };
}

Deno.test("HubDatasets shows a data set as a folder, and fetches a file once", async () => {
  const { fake, cache, open } = hub();
  const folder = open().folder("hf://datasets/fen/tide")!;
  assert.deepEqual(await folder.list(), ["README.md", "train.jsonl"]);
  assert.deepEqual(await folder.folders(), ["data"]);
  assert.deepEqual(await folder.folder("data").folder("deep").list(), ["x.csv"]);
  assert.deepEqual([await folder.exists("train.jsonl"), await folder.exists("data")], [true, false]);
  const file = await folder.open("train.jsonl");
  assert.deepEqual([file.uri, file.size], ["hf://datasets/fen/tide/train.jsonl", 13]);
  await file.close();
  const below = open().folder("hf://datasets/fen/tide/data/")!;
  assert.equal(await readText(below, "test-0 1.jsonl"), '{"text":"b"}\n');
  const before = fake.requests.length;
  for (let i = 0; i < 2; i++) assert.equal(await readText(folder, "train.jsonl"), '{"text":"a"}\n');
  assert.equal(await readText(open().folder("hf://datasets/fen/tide")!, "train.jsonl"), '{"text":"a"}\n');
  assert.deepEqual(fake.requests.slice(before).map(({ path }) => path), [
    "/api/datasets/fen/tide/revision/main",
  ]);
  assert.deepEqual(await cache.folder("datasets/fen--tide").folder(COMMIT).list(), ["train.jsonl"]);
  await assert.rejects(
    folder.open("x"),
    /Cannot open "hf:\/\/datasets\/fen\/tide\/x" as it is not there \(found: README/,
  );
  await assert.rejects(folder.create("x"), { name: "StorageDeniedError" });
});

Deno.test("HubDatasets sends the token, and tells it to nobody", async () => {
  const { fake, open } = hub({ token: "hf_secret" });
  const folder = open({ token: "hf_secret" }).folder("hf://datasets/fen/tide@refs%2Fconvert%2Fparquet")!;
  await folder.list();
  assert.deepEqual(
    fake.requests.map(({ authorization }) => authorization),
    Array(2).fill("Bearer hf_secret"),
  );
  const cases = [
    ["", "StorageBucketError", /datasets\/fen\/tide is not there or private: .*, or set HF_TOKEN to a token/],
    ["hf_wrong", "StorageDeniedError", /does not accept the token: set HF_TOKEN to a token that may read it/],
  ] as const;
  for (const [token, name, message] of cases) {
    await assert.rejects(open({ token }).folder("hf://datasets/fen/tide")!.list(), (error: Error) => {
      assert.equal(error.name, name);
      assert.match(error.message, /^Cannot read "hf:\/\/datasets\/fen\/tide" as /);
      assert.match(error.message, message);
      assert.ok(!error.message.includes("hf_wrong"));
      return true;
    });
  }
  await assert.rejects(hub().open().folder("hf://datasets/fen/other")!.list(), {
    name: "StorageNotFoundError",
    message: 'Cannot read "hf://datasets/fen/other" as it is not there: check the name',
  });
});

Deno.test("HubDatasets asks a busy Hub again, and goes on with a file that was cut short", async () => {
  const { fake, open } = hub({
    before: (path, count) => {
      if (count === 1) return new Response("busy", { status: 503 });
      if (count === 2) throw new TypeError("connection reset");
      return path.includes("resolve") && count === 5 ? new Response('{"te', { status: 206 }) : null;
    },
  });
  const folder = open().folder("hf://datasets/fen/tide")!;
  assert.equal(await readText(folder, "train.jsonl"), FILES["train.jsonl"]);
  assert.deepEqual(fake.requests.map(({ path }) => path.split("/").at(-1)), [
    ...["main", "main", "main"],
    `${COMMIT}?recursive=true`,
    ...["train.jsonl", "train.jsonl"],
  ]);
});

Deno.test("HubDatasets gives a Hub up that does not answer, and then takes what the cache holds", async () => {
  let down = false;
  const { fake, cache, open } = hub({ before: () => down ? new Response("", { status: 429 }) : null });
  const uri = "hf://datasets/fen/tide";
  await readText(open().folder(uri)!, "train.jsonl");
  down = true;
  const before = fake.requests.length;
  assert.equal(await readText(open().folder(uri)!, "train.jsonl"), FILES["train.jsonl"]);
  assert.equal(fake.requests.length, before + QUICK.attempts);
  await assert.rejects(open().folder(uri)!.open("README.md"), {
    name: "StorageInterruptedError",
    message: /^Cannot read "hf:.*" as the service answered with status 429: check the network/,
  });
  assert.deepEqual(await cache.folder("datasets/fen--tide").folder(COMMIT).list(), ["train.jsonl"]);
  await assert.rejects(
    open({ cache: new MemoryFolder("empty") }).folder(uri)!.list(),
    /the service answered with status 429/,
  );
});

Deno.test("HubDatasets asks nobody where it is told to be offline", async () => {
  const { fake, open } = hub();
  const uri = "hf://datasets/fen/tide";
  await assert.rejects(open({ offline: true }).folder(uri)!.list(), /as HF_HUB_OFFLINE is set/);
  await readText(open().folder(uri)!, "train.jsonl");
  const before = fake.requests.length, offline = open({ offline: true }).folder(uri)!;
  assert.equal(await readText(offline, "train.jsonl"), FILES["train.jsonl"]);
  await assert.rejects(offline.open("README.md"), /as HF_HUB_OFFLINE is set/);
  assert.equal(fake.requests.length, before);
});

Deno.test("HubDatasets finds the files of a data set that is named as a whole", async () => {
  const datasets = hub().open();
  assert.deepEqual(await datasets.dataFiles("hf://datasets/fen/tide", "train"), [
    "hf://datasets/fen/tide/train.jsonl",
  ]);
  assert.deepEqual(await datasets.dataFiles("hf://datasets/fen/tide/", "eval"), [
    "hf://datasets/fen/tide/data/test-0 1.jsonl",
  ]);
  for (const path of ["hf://datasets/fen/tide/data/x.csv", "local.jsonl"]) {
    assert.deepEqual(await datasets.dataFiles(path, "train"), [path]);
  }
  assert.equal(datasets.folder("hf://fen/tide"), null);
});
