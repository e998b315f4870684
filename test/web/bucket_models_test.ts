/**
 * Models of the server's buckets, listed, looked at and copied by the page over the server's own routes.
 */
import assert from "node:assert/strict";
import { StorageDamagedError, StorageDeniedError, StorageInterruptedError } from "../../src/errors.ts";
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { LocalStorageManager } from "../../src/storage/local_store.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import type { DownloadProgress, KeptModel } from "../../web/protocol/models.ts";
import { BucketReader } from "../../web/storage/bucket_reader.ts";
import { BucketStore } from "../../web/storage/bucket_store.ts";
import { findModel, modelBytes, modelsAmong } from "../../web/worker/bucket_catalog.ts";
import { keepBucketModel, type KeepOptions } from "../../web/worker/bucket_models.ts";
import { ModelShelf } from "../../web/worker/model_shelf.ts";
import { PageFiles } from "../../web/worker/page_files.ts";
import { withServer } from "../helpers/server_app.ts";
import { tinyGguf } from "../helpers/tiny_gguf.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

const SERVER = { api: "http://127.0.0.1/", token: "" };
const TINY = "gs/bucket/models/tiny";
const WEIGHTS = "model.safetensors";

/** The network between page and server, which a test disturbs. */
class Line {
  /** Bytes of bodies of weights that pass before the connection breaks; null: it does not. */
  cutAfter: number | null = null;
  /** Whether a connection that broke stays so. */
  isDown = false;
  /** Whether a bit of weights is another one when they arrive. */
  damages = false;
  /** First bytes that were asked for of the weights, in turn. */
  readonly asked: number[] = [];

  constructor(readonly answer: (request: Request) => Response | Promise<Response>) {}

  readonly fetch: typeof fetch = async (input, init) => {
    if (this.isDown) throw new TypeError("the network is down");
    const request = new Request(input, init), response = await this.answer(request);
    const isWeights = request.method === "GET" && request.url.includes(WEIGHTS) && response.ok;
    if (!isWeights || !response.body) return response;
    this.asked.push(Number(/bytes=(\d+)/.exec(request.headers.get("range") ?? "")?.[1] ?? 0));
    return new Response(response.body.pipeThrough(this.#disturbed()), response);
  };

  #disturbed(): TransformStream<Uint8Array, Uint8Array> {
    return new TransformStream({
      transform: (bytes, controller) => {
        const copy = bytes.slice();
        if (this.damages) copy[copy.length - 1]! ^= 1;
        const left = this.cutAfter ?? copy.length;
        controller.enqueue(copy.subarray(0, left));
        if (this.cutAfter === null || copy.length <= left) return;
        this.cutAfter = null;
        this.isDown = true;
        controller.error(new TypeError("the connection broke"));
      },
    });
  }
}

interface Setting {
  readonly line: Line;
  readonly bucket: MemoryStorageManager;
  /** Of the server's disk. */
  readonly disk: string;
  readonly shelf: Folder;
  readonly storage: BucketReader;
  keep(path?: string, options?: Partial<KeepOptions>): Promise<string>;
  kept(): Promise<KeptModel[]>;
  remove(uri: string): Promise<void>;
}

/** A server with a bucket and a folder, a model in each, and a page that has nothing. */
async function withModels(use: (setting: Setting) => Promise<void>): Promise<void> {
  const bucket = new MemoryStorageManager(), disk = await Deno.makeTempDir();
  const model = new MemoryFolder("model"), root = new MemoryFolder("root");
  await writeTinyModel(model);
  await writeFile(model, "README.md", "---\nlicense: mit\n---\n# Tiny\n");
  await writeFile(model, "pytorch_model.bin", "not read");
  await bucket.uploadFolder(model, "models/tiny");
  await writeTinyModel(new LocalFolder(`${disk}/plain`));
  const areas = [
    { path: "gs/bucket/models", storage: bucket, prefix: "models/", isWritable: false },
    { path: "local/disk", storage: new LocalStorageManager(disk), prefix: "", isWritable: false },
  ];
  try {
    await withServer({}, async ({ app }) => {
      const line = new Line((request) => app.fetch(request));
      const files = new PageFiles(root, SERVER.api), shelf = new ModelShelf(files);
      await use({
        ...{ line, bucket, disk, shelf: root.folder("device/models") },
        storage: new BucketReader(new BucketStore(SERVER, { fetch: line.fetch })),
        kept: () => shelf.list(),
        remove: (uri) => shelf.remove(uri),
        keep: (path = TINY, options = {}) =>
          keepBucketModel({ server: SERVER, path }, files, {
            signal: new AbortController().signal,
            onProgress: () => {},
            fetch: line.fetch,
            retries: { attempts: 2, pauseMs: 1 },
            ...options,
          }),
      });
    }, { areas });
  } finally {
    await Deno.remove(disk, { recursive: true });
  }
}

const bytesOf = async (folder: Folder, name: string) => {
  const reader = await folder.open(name);
  return await reader.read(0, reader.size);
};

Deno.test("modelsAmong() finds folders with weights and GGUF files, and what a copy of each holds", async () => {
  const bucket = new MemoryStorageManager();
  const put = async (...names: string[]) => {
    for (const name of names) await bucket.write(name, new TextEncoder().encode(name));
  };
  await put("a/config.json", "a/model.safetensors", "a/tokenizer.json", "a/pytorch_model.bin", "a/LICENSE");
  await put("b/config.json", "b/model.safetensors.index.json", "b/x-00001-of-00001.safetensors", "b/y.txt");
  await put("c/adapter_config.json", "c/adapter_model.safetensors", "d/config.json");
  await put("e/one.Q4_0.gguf", "e/two-00001-of-00002.gguf");
  const models = modelsAmong((await bucket.listPage()).files);
  const summary = models.map(({ path, name, files }) => [path, name, files.map(({ name }) => name.slice(2))]);
  assert.deepEqual(summary, [
    ["a", "a", ["LICENSE", "config.json", "tokenizer.json", "model.safetensors"]],
    ["b", "b", ["config.json", "model.safetensors.index.json", "x-00001-of-00001.safetensors"]],
    ["e/one.Q4_0.gguf", "one.Q4_0", ["one.Q4_0.gguf"]],
  ]);
  assert.equal(new Set(models.map(({ revision }) => revision)).size, 3);
  const before = models[0]!.revision;
  await put("a/config.json");
  assert.notEqual(modelsAmong((await bucket.listPage()).files)[0]!.revision, before);
});

Deno.test("a model is copied with what describes it, byte by byte, and counts once it is whole", async () => {
  await withModels(async ({ keep, kept, shelf, bucket }) => {
    const notes: DownloadProgress[] = [];
    assert.equal(await keep(TINY, { onProgress: (note) => void notes.push(note) }), "device/models/tiny");
    const tiny = shelf.folder("tiny"), names = await tiny.list();
    assert.ok(names.includes("README.md") && !names.includes("pytorch_model.bin"), names.join());
    for (const name of names.filter((name) => name !== "download.json")) {
      assert.deepEqual(await bytesOf(tiny, name), await bucket.read(`models/tiny/${name}`), name);
    }
    const [model] = await kept();
    assert.deepEqual([model!.uri, model!.download], ["device/models/tiny", null]);
    assert.equal(model!.source!.path, TINY);
    assert.equal(notes[0]!.bytes, 0);
    assert.ok(notes.every(({ bytes, totalBytes }) => bytes <= totalBytes));
  });
});

Deno.test("a copy goes on where the connection broke, also in a later visit, and is not listed as whole before", async () => {
  await withModels(async ({ keep, kept, line, shelf, bucket }) => {
    line.cutAfter = 50_000;
    await assert.rejects(keep(), StorageInterruptedError);
    const [begun] = await kept();
    assert.ok(begun!.download!.bytes >= 50_000 && begun!.download!.bytes < begun!.download!.totalBytes);
    line.isDown = false;
    const notes: DownloadProgress[] = [];
    await keep(TINY, { onProgress: (note) => void notes.push(note) });
    assert.equal(notes[0]!.bytes, begun!.download!.bytes);
    assert.deepEqual(line.asked, [0, 50_000]);
    const weights = await bytesOf(shelf.folder("tiny"), WEIGHTS);
    assert.deepEqual(weights, await bucket.read(`models/tiny/${WEIGHTS}`));
    assert.equal((await kept())[0]!.download, null);
  });
});

Deno.test("a break is told, and tried again while the copy runs", async () => {
  await withModels(async ({ keep, line }) => {
    line.cutAfter = 10_000;
    const problems: (string | null)[] = [];
    const onProgress = ({ problem }: DownloadProgress) => {
      problems.push(problem && problem.name);
      if (problem) setTimeout(() => line.isDown = false, 5);
    };
    await keep(TINY, { onProgress, retries: { attempts: 8, pauseMs: 4 } });
    assert.ok(problems.includes("StorageInterruptedError"), problems.join());
    assert.deepEqual(line.asked.slice(0, 2), [0, 10_000]);
  });
});

Deno.test("what was cancelled is gone on with", async () => {
  await withModels(async ({ keep, kept, line }) => {
    const stop = new AbortController(), { answer } = line;
    const reason = new DOMException("enough", "AbortError");
    const held = new Line(async (request) => {
      if (request.method === "GET" && request.url.includes("tokenizer.json")) stop.abort(reason);
      return await answer(request);
    });
    await assert.rejects(keep(TINY, { signal: stop.signal, fetch: held.fetch }), reason);
    assert.notEqual((await kept())[0]!.download, null);
    await keep();
    assert.equal((await kept())[0]!.download, null);
  });
});

Deno.test("files that have changed meanwhile are begun again, and the others are not", async () => {
  await withModels(async ({ keep, line, bucket, shelf }) => {
    line.cutAfter = 50_000;
    await assert.rejects(keep());
    line.isDown = false;
    const weights = await bucket.read(`models/tiny/${WEIGHTS}`);
    weights[weights.length - 1]! ^= 1;
    await bucket.write(`models/tiny/${WEIGHTS}`, weights);
    await keep();
    assert.deepEqual(line.asked, [0, 0]);
    assert.deepEqual(await bytesOf(shelf.folder("tiny"), WEIGHTS), weights);
  });
});

Deno.test("a file that is replaced while it is copied is looked at again", async () => {
  await withModels(async ({ keep, line, bucket, shelf }) => {
    const weights = await bucket.read(`models/tiny/${WEIGHTS}`), { answer } = line;
    weights[weights.length - 1]! ^= 1;
    let isReplaced = false;
    const busy = new Line(async (request) => {
      if (request.url.includes(WEIGHTS) && request.method === "GET" && !isReplaced) {
        isReplaced = true;
        await bucket.write(`models/tiny/${WEIGHTS}`, weights);
      }
      return await answer(request);
    });
    await keep(TINY, { fetch: busy.fetch });
    assert.deepEqual(await bytesOf(shelf.folder("tiny"), WEIGHTS), weights);
  });
});

Deno.test("a file whose checksum is not the server's is not kept", async () => {
  await withModels(async ({ keep, kept, line, shelf }) => {
    line.damages = true;
    await assert.rejects(keep(), (error) => {
      assert.ok(error instanceof StorageDamagedError);
      assert.match(error.message, /"bucket\/gs\/bucket\/models\/tiny\/model\.safetensors".*checksum/);
      return true;
    });
    assert.equal(await shelf.folder("tiny").exists(WEIGHTS), false);
    line.damages = false;
    await keep();
    assert.equal((await kept())[0]!.download, null);
  });
});

Deno.test("without a checksum, weights must be what their header says", async () => {
  await withModels(async ({ keep, kept, disk, shelf }) => {
    assert.equal(await keep("local/disk/plain"), "device/models/plain");
    assert.equal((await kept())[0]!.download, null);
    const path = `${disk}/plain/${WEIGHTS}`, whole = await Deno.readFile(path);
    await Deno.writeFile(path, whole.subarray(0, whole.length - 8));
    await assert.rejects(keep("local/disk/plain"), StorageDamagedError);
    assert.equal(await shelf.folder("plain").exists(WEIGHTS), false);
    assert.notEqual((await kept())[0]!.download, null);
  });
});

Deno.test("a model for which there is no room is refused before it is begun", async () => {
  await withModels(async ({ keep, line }) => {
    const room = () => Promise.resolve(1000);
    await assert.rejects(keep(TINY, { room }), (error) => {
      assert.ok(error instanceof StorageDeniedError);
      assert.match(error.message, /needs \d+ kB more and the browser gives this page 1\.00 kB/);
      return true;
    });
    assert.deepEqual(line.asked, []);
  });
});

Deno.test("two copies of one model are not made at the same time, nor is one removed that is made", async () => {
  await withModels(async ({ keep, kept, remove, shelf }) => {
    const lock = await shelf.folder("tiny").lock!();
    await assert.rejects(keep(), /another tab of this page does/);
    await assert.rejects(remove("device/models/tiny"), /while it is downloaded/);
    await lock!.release();
    await keep();
    await remove("device/models/tiny");
    assert.deepEqual(await kept(), []);
  });
});

Deno.test("models of one name lie side by side", async () => {
  await withModels(async ({ keep, kept, bucket }) => {
    const { bytes } = await tinyGguf();
    await bucket.write("models/other/tiny.gguf", bytes);
    await keep();
    assert.equal(await keep("gs/bucket/models/other/tiny.gguf"), "device/models/tiny-2");
    assert.equal(await keep(), "device/models/tiny");
    assert.deepEqual((await kept()).map(({ uri }) => uri), [
      "device/models/tiny",
      "device/models/tiny-2/tiny.gguf",
    ]);
  });
});

Deno.test("of weights in several files, those that the index names are taken", async () => {
  await withModels(async ({ keep, storage, bucket, shelf }) => {
    const sharded = new MemoryFolder("sharded"), { signal } = new AbortController();
    await writeTinyModel(sharded, { shards: 2 });
    await writeFile(sharded, "model-00009-of-00009.safetensors", "of another time");
    await bucket.uploadFolder(sharded, "models/sharded");
    const path = "gs/bucket/models/sharded";
    await keep(path);
    const names = await shelf.folder("sharded").list();
    assert.equal(names.filter((name) => name.endsWith(".safetensors")).length, 2, names.join());
    const model = await findModel(storage, path, signal);
    assert.ok(modelBytes(model) > 100_000);
    await bucket.remove("models/sharded/model-00002-of-00002.safetensors");
    await assert.rejects(findModel(storage, path, signal), /index names "model-00002-of-00002\.safetensors"/);
    assert.match(await readText(shelf.folder("sharded"), "download.json"), /"whole":/);
  });
});

Deno.test("the server's refusals say what to do", async () => {
  await withModels(async ({ storage, keep }) => {
    const { signal } = new AbortController();
    await assert.rejects(Array.fromAsync(storage.list("gs/secret/", signal)), /Server view/);
    await assert.rejects(keep("gs/bucket/models/nothing"), /list the models again/);
  });
});
