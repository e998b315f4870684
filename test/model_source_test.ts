import assert from "node:assert/strict";
import { StorageDeniedError, StorageNotFoundError } from "../src/errors.ts";
import { ModelManager } from "../src/model_manager.ts";
import { ModelSource } from "../src/model_source.ts";
import { parseModelName } from "../src/model_source/model_name.ts";
import { neededFiles } from "../src/model_source/needed_files.ts";
import { readText } from "../src/storage.ts";
import type { OpenStorage } from "../src/storage_manager.ts";
import { HubStorageManager } from "../src/storage/hub.ts";
import { HubSnapshots } from "../src/storage/hub_snapshots.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { MemoryStorageManager } from "../src/storage/memory_store.ts";
import { SnapshotCache } from "../src/storage/snapshot_cache.ts";
import { type TinyModelOptions, writeTinyModel } from "./helpers/tiny_model.ts";
import { COMMIT, type HubFiles, type HubServer, startHub } from "./storage/hub_server.ts";

const NEXT_COMMIT = "fedcba9876543210fedcba9876543210fedcba98";

/** A model's files, and what a run has no use for. */
async function tinyFiles(options: TinyModelOptions = {}): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const folder = new MemoryFolder();
  await writeTinyModel(folder, options);
  const files: Record<string, Uint8Array<ArrayBuffer>> = {};
  for (const name of await folder.list()) {
    const file = await folder.open(name);
    files[name] = await file.read(0, file.size);
  }
  return files;
}

const NEEDLESS: HubFiles = {
  "pytorch_model.bin": "pickled",
  "onnx/model.onnx": "onnx",
  "original/consolidated.safetensors": "again",
  "flax_model.msgpack": "flax",
};

interface Options {
  readonly offline?: boolean;
  readonly attempts?: number;
  readonly limitBytes?: number;
  /** Of every copy used so far, in order. */
  readonly now?: () => number;
}

/** A machine with a cache that stays, on which programs look for models. */
function machine(hub: HubServer) {
  const cacheRoot = new MemoryFolder("cache"),
    disk = new MemoryFolder("disk"),
    bucket = new MemoryStorageManager();
  const buckets: string[] = [];
  const storage: OpenStorage = (uri) => {
    buckets.push(uri);
    return Promise.resolve({ storage: bucket, name: uri.replace(/^gs:\/\/bucket\/?/, "") });
  };
  const start = ({ offline = false, attempts = 3, limitBytes, now }: Options = {}) => {
    const cache = new SnapshotCache(cacheRoot, { limitBytes: limitBytes ?? null, ...(now ? { now } : {}) });
    const access = { endpoint: hub.endpoint, token: "", retries: { attempts, pauseMs: 1 } };
    const snapshots = new HubSnapshots({
      cache,
      offline,
      open: (name) => new HubStorageManager(name, access),
    });
    const notes: string[] = [];
    const source = new ModelSource({ files: (path) => disk.folder(path), hub: () => snapshots, storage });
    const find = (name: string, bucketUri: string | null = null) =>
      source.find(name, { bucketUri, onNote: (note) => void notes.push(note) });
    return { cache, source, find, notes };
  };
  return { cacheRoot, disk, bucket, buckets, start };
}

Deno.test("parseModelName() tells what a name may mean", () => {
  const meant = (name: string) => {
    const { path, bucketFolder, bucketName, hub, file } = parseModelName(name);
    return [path, bucketFolder, bucketName, hub && `${hub.repository} ${hub.revision}`, file];
  };
  assert.deepEqual(meant("ember"), ["ember", null, "ember", null, null]);
  assert.deepEqual(meant("fen/ember/"), ["fen/ember", null, "fen/ember", "fen/ember main", null]);
  assert.deepEqual(meant("fen/ember@v1/x"), ["fen/ember@v1/x", null, "fen/ember", "fen/ember v1/x", null]);
  assert.deepEqual(meant("hf://fen/ember"), [null, null, null, "fen/ember main", null]);
  assert.deepEqual(meant("hf://fen/ember@refs%2Fpr%2F1/q4.gguf"), [
    null,
    null,
    null,
    "fen/ember refs/pr/1",
    "q4.gguf",
  ]);
  assert.deepEqual(meant("gs://bucket/a/ember/"), [null, "gs://bucket/a/ember", null, null, null]);
  assert.deepEqual(meant("s3://bucket/a/q4.GGUF"), [null, "s3://bucket/a", null, null, "q4.GGUF"]);
  assert.deepEqual(meant("ember/q4.gguf"), ["ember/q4.gguf", null, "ember", null, "q4.gguf"]);
  assert.deepEqual(meant("q4.gguf"), ["q4.gguf", null, "", null, "q4.gguf"]);
  assert.deepEqual(meant("models/ember"), ["models/ember", null, "models/ember", null, null]);
  for (const path of ["./fen/ember", "/models/ember", "../ember", ".", "..", "/"]) {
    assert.deepEqual(meant(path), [path, null, null, null, null]);
  }
  assert.deepEqual(meant("file:///models/ember"), ["/models/ember", null, null, null, null]);
  assert.deepEqual(meant("shelf://a/b"), [null, "shelf://a/b", null, null, null], "may be a plugin's");
  for (const name of ["hf://fen", "hf://datasets/fen/tide", "hf://fen/ember/model.onnx", "gs://A/b"]) {
    assert.throws(() => parseModelName(name), { name: "ConfigError" }, name);
  }
});

Deno.test("neededFiles() takes what a run reads, and says what is wrong with the rest", () => {
  const needed = (names: string[], file: string | null = null, weights = true) =>
    neededFiles("hf://a/b", names, file, weights);
  const texts = ["LICENSE", "README.md", "config.json", "tokenizer.json"];
  const rest = ["model.fp32.safetensors", "pytorch_model.bin", "training_args.bin", ".gitattributes"];
  assert.deepEqual(needed([...texts, ...rest, "model.safetensors", "model.safetensors.index.json"]), {
    names: [...texts, "model.safetensors"],
    index: null,
    gguf: null,
  });
  const index = "model.safetensors.index.json";
  assert.deepEqual(needed([...texts, index, "model-1.safetensors"]), { names: texts, index, gguf: null });
  assert.deepEqual(needed([...texts, index], null, false), { names: texts, index: null, gguf: null });
  assert.deepEqual(needed(["README.md", "q4.gguf"]), { names: ["q4.gguf"], index: null, gguf: "q4.gguf" });
  assert.deepEqual(needed(["q4.gguf", "q8.gguf"], "q8.gguf").names, ["q8.gguf"]);
  assert.throws(
    () => needed(["q4.gguf", "q8.gguf"]),
    /its GGUF files are q4\.gguf, q8\.gguf; name one, such as "hf:\/\/a\/b\/q4\.gguf"/,
  );
  assert.throws(
    () => needed(["q4.gguf"], "q8.gguf"),
    /Cannot find "q8\.gguf" in "hf:\/\/a\/b": its GGUF files are q4\.gguf/,
  );
  assert.throws(() => needed([...texts, ...rest]), {
    name: "UnsupportedModelError",
    message: /convert its weights to safetensors/,
  });
  assert.throws(() => needed(["adapter_config.json"]), /it holds an adapter: name the base model/);
  assert.throws(() => needed(["a.txt"]), /it has no config\.json \(found: a\.txt\)/);
});

Deno.test("ModelSource downloads what a run needs of a model, once, and opens it under its own name", async () => {
  await using hub = startHub({ "owner/tiny": { ...await tinyFiles({ shards: 3 }), ...NEEDLESS } });
  const { start } = machine(hub), first = start();
  const progress: string[] = [];
  const onProgress = ({ files, totalFiles }: { files: number; totalFiles: number }) =>
    void progress.push(`${files}/${totalFiles}`);
  const found = await first.source.find("hf://owner/tiny", { onProgress });
  assert.deepEqual([found.name, found.file], ["owner/tiny", null]);
  assert.deepEqual(await found.folder.list(), Object.keys(await tinyFiles({ shards: 3 })).sort());
  assert.equal(progress.at(-1), "6/6");
  const base = await new ModelManager(() => assert.fail("a path"), first.source.find).open("hf://owner/tiny");
  assert.deepEqual([base.uri, base.weights.files.size], ["owner/tiny", 3]);
  await base.weights.close();

  const before = hub.asked.length;
  assert.equal((await start().find("owner/tiny")).folder.uri, found.folder.uri);
  assert.deepEqual(hub.asked.slice(before), ["GET /api/models/owner/tiny/revision/main"]);
  await start().find(`owner/tiny@${COMMIT}`);
  assert.equal(hub.asked.length, before + 1, "a commit never changes");
});

Deno.test("ModelSource looks at paths, then in the bucket, then on the Hub", async () => {
  const files = await tinyFiles();
  await using hub = startHub({ "owner/tiny": files });
  const { disk, bucket, buckets, start } = machine(hub),
    where = async (name: string) => {
      const { folder } = await start().find(name, "gs://bucket/team/");
      return folder.uri.replace(/[0-9a-f]{40}/, "…");
    };
  assert.equal(await where("owner/tiny"), "cache/models/owner--tiny/…");
  for (const [name, bytes] of Object.entries(files)) {
    await bucket.write(`team/models/owner/tiny/${name}`, bytes);
  }
  await bucket.write("team/models/owner/tiny/checkpoint-1/model.safetensors", new Uint8Array(9));
  const asked = hub.asked.length;
  assert.equal(await where("owner/tiny"), "cache/buckets/gs--bucket--team--models--owner--tiny/…");
  assert.equal(await where("gs://bucket/team/models/owner/tiny"), await where("owner/tiny"));
  assert.equal(hub.asked.length, asked, "the bucket has it");
  assert.deepEqual(new Set(buckets), new Set(["gs://bucket/team/models/owner/tiny"]));
  const first = await start().find("owner/tiny", "gs://bucket/team");
  await bucket.write("team/models/owner/tiny/config.json", new TextEncoder().encode("{}"));
  const second = await start().find("owner/tiny", "gs://bucket/team");
  assert.equal(await readText(second.folder, "config.json"), "{}");
  assert.notEqual(first.folder.uri, second.folder.uri);
  await writeTinyModel(disk.folder("owner/tiny"));
  assert.equal(await where("owner/tiny"), "disk/owner/tiny");
});

Deno.test("ModelSource takes the merged model of a run whose results are in the bucket", async () => {
  await using hub = startHub({});
  const { bucket, start } = machine(hub), bytes = new TextEncoder().encode("{}");
  for (const name of ["run.json", "training_config.json", "adapter/adapter_config.json"]) {
    await bucket.write(`models/ember/${name}`, bytes);
  }
  await assert.rejects(start().find("ember", "gs://bucket"), {
    name: "StorageNotFoundError",
    message:
      /a run put its adapter there and no merged model.*adapter_path "memory:.*models\/ember\/adapter"/,
  });
  for (const [name, file] of Object.entries(await tinyFiles())) {
    await bucket.write(`models/ember/merged/${name}`, file);
  }
  const found = await start().find("ember", "gs://bucket");
  assert.match(found.folder.uri, /gs--bucket--models--ember--merged/);
  assert.deepEqual(await found.folder.list(), Object.keys(await tinyFiles()).sort());
  assert.equal((await start().find("gs://bucket/models/ember")).folder.uri, found.folder.uri);
});

Deno.test("ModelSource says everything that it tried, and why each failed", async () => {
  await using hub = startHub({ "owner/tiny": {} });
  const { start } = machine(hub), { find } = start();
  await assert.rejects(find("owner/tinny", "gs://bucket"), (error: Error) => {
    assert.equal(error.name, "StorageBucketError");
    const lines = error.message.split("\n");
    assert.equal(lines[0], 'Cannot find the model "owner/tinny"; looked at');
    assert.equal(lines[1], "  path owner/tinny: there is no such folder");
    assert.match(lines[2]!, /^ {2}gs:\/\/bucket\/models\/owner\/tinny: nothing is below memory:/);
    assert.match(lines[3]!, /^ {2}the Hub: .* is not there or private: .*: did you mean "owner\/tiny"\?$/);
    return true;
  });
  await assert.rejects(find("owner/gated"), (error: Error) => {
    assert.ok(error instanceof StorageDeniedError);
    assert.match(error.message, /accept the terms at .*\/owner\/gated, then set HF_TOKEN to a token/);
    return true;
  });
  await assert.rejects(find("owner/tiny@v9"), /has no revision "v9"/);
  await assert.rejects(find("ember", "gs://bucket"), {
    name: "StorageNotFoundError",
    message: /path ember: .*\n.*models\/ember: nothing/,
  });
  // a path that can be nothing else is told of by whoever opens it
  assert.deepEqual((await find("./ember".slice(2))).folder.uri, "disk/ember");
});

Deno.test("ModelSource goes on with a download that broke off, in another program too", async () => {
  const files = await tinyFiles();
  await using hub = startHub({ "owner/tiny": files });
  const { cacheRoot, start } = machine(hub);
  hub.faults.halves = 9;
  await assert.rejects(start({ attempts: 1 }).find("owner/tiny"), { name: "StorageInterruptedError" });
  hub.faults.halves = 0;
  const folder = cacheRoot.folder("models/owner--tiny").folder(COMMIT),
    all = files["model.safetensors"]!.length;
  const names = await folder.list();
  assert.ok(names.length > 0);
  const sizes = new Map<string, number>();
  for (const name of names) sizes.set(name, (await folder.open(name)).size);
  assert.ok([...sizes.values()].some((size) => size > 0));
  await assert.rejects(
    start({ offline: true }).find("owner/tiny"),
    /HF_HUB_OFFLINE is set/,
    "no half is shown",
  );
  const before = hub.ranges.length;
  const found = await start().find("owner/tiny");
  assert.equal((await found.folder.open("model.safetensors")).size, all);
  const asked = hub.ranges.slice(before).filter((first) => first > 0);
  assert.ok(asked.length > 0 && asked.every((first) => [...sizes.values()].includes(first)), `${asked}`);
  await (await new ModelManager(() => folder, start().source.find).open("owner/tiny")).weights.close();
});

Deno.test("ModelSource keeps no file whose hash is wrong", async () => {
  await using hub = startHub({ "owner/tiny": await tinyFiles() });
  const { cacheRoot, start } = machine(hub);
  hub.faults.damaged = true;
  await assert.rejects(start().find("owner/tiny"), {
    name: "StorageDamagedError",
    message: /download it again/,
  });
  hub.faults.damaged = false;
  const folder = cacheRoot.folder("models/owner--tiny").folder(COMMIT);
  const { find } = start();
  await find("owner/tiny");
  assert.ok((await folder.list()).includes("model.safetensors"));
});

Deno.test("ModelSource needs no network for what the cache holds", async () => {
  await using hub = startHub({ "owner/tiny": await tinyFiles() });
  const { start } = machine(hub);
  await assert.rejects(start({ offline: true }).find("owner/tiny"), (error: Error) => {
    assert.ok(error instanceof StorageNotFoundError);
    assert.match(error.message, /the Hub: .*HF_HUB_OFFLINE is set and the cache does not hold it/);
    return true;
  });
  assert.deepEqual(hub.asked, []);
  const old = await start().find("owner/tiny"), asked = hub.asked.length;
  assert.equal((await start({ offline: true }).find("owner/tiny")).folder.uri, old.folder.uri);
  assert.equal(hub.asked.length, asked);
  hub.faults.down = true;
  const away = start();
  assert.equal((await away.find("owner/tiny")).folder.uri, old.folder.uri);
  assert.match(away.notes.join(), /status 503.*; what the cache holds is used/);
  hub.faults.down = false;
  hub.content.commit = NEXT_COMMIT;
  assert.match((await start().find("owner/tiny")).folder.uri, new RegExp(NEXT_COMMIT));
  assert.equal((await start({ offline: true }).find(`owner/tiny@${COMMIT}`)).folder.uri, old.folder.uri);
});

Deno.test("ModelSource follows a repository that was renamed, and says so", async () => {
  await using hub = startHub({ "owner/tiny": await tinyFiles() });
  hub.content.renamed["owner/old"] = "owner/tiny";
  const { find, notes } = machine(hub).start();
  assert.ok((await (await find("owner/old")).folder.list()).includes("config.json"));
  assert.deepEqual(notes, ['"owner/old" is called "owner/tiny" now']);
});

Deno.test("SnapshotCache makes room by what was used least recently, and never by what is in use", async () => {
  const files = await tinyFiles(), size = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  await using hub = startHub({ "owner/a": files, "owner/b": files, "owner/c": files, "owner/d": files });
  let clock = 0;
  const { start } = machine(hub), now = () => 1000 * ++clock;
  const limited = (limitBytes: number) => start({ limitBytes, now });
  const held = async () => (await start().cache.entries()).map(({ uri }) => uri.at(-1)).join("");
  const a = limited(3.5 * size);
  await a.find("owner/a");
  for (const name of ["b", "c"]) {
    const other = limited(3.5 * size);
    await other.find(`owner/${name}`);
    await other.source.close();
  }
  assert.equal(await held(), "abc");
  const d = limited(3.5 * size);
  await d.find("owner/d");
  assert.equal(await held(), "acd", "a is older than b, and in use");
  const [entry] = await a.cache.entries();
  assert.equal(await a.cache.remove(entry!), false);
  await assert.rejects(limited(0.5 * size).find("owner/b"), {
    name: "StorageDeniedError",
    message: /needs .* GB, and of the .* GB that LOWRANK_CACHE_LIMIT_GB allows .* are in use: raise it/,
  });
  assert.equal(await held(), "acd", "nothing makes room for what is larger than all of it");
  await assert.rejects(limited(1.5 * size).find("owner/b"), { name: "StorageDeniedError" });
  assert.equal(await held(), "ad", "two are in use");
  await Promise.all([a.source.close(), d.source.close()]);
  assert.equal(await a.cache.remove(entry!), true);
  assert.equal(await held(), "d");
});

Deno.test("SnapshotCache lets downloads of one place take turns", async () => {
  await using hub = startHub({ "owner/tiny": await tinyFiles() });
  const { start } = machine(hub);
  const both = [start(), start()];
  const found = await Promise.all(both.map(({ find }) => find("owner/tiny")));
  assert.equal(found[0]!.folder.uri, found[1]!.folder.uri);
  assert.equal(hub.asked.filter((line) => line.includes("/cdn/")).length, 1);
});
