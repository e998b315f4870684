/**
 * The tests that every `StorageManager` passes, in memory, on a disk and against real servers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  StorageBucketError,
  StorageConflictError,
  StorageDamagedError,
  StorageNotFoundError,
} from "../../src/errors.ts";
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import type { StorageManager, TransferProgress, UploadNote } from "../../src/storage_manager.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

/** A backend to test. */
export interface ContractSubject {
  /** An empty bucket. */
  readonly storage: StorageManager;
  /** The same service, asked for a bucket that it does not have. */
  readonly elsewhere: StorageManager;
}

/** What a server cannot be asked, with the reason in the name of the skipped test. */
export interface ContractGaps {
  readonly conditionalRemove?: string;
}

/** Largest file that is sent in one request, of every backend; memory is made to have parts of this size too. */
export const PART = 8 << 20;

const text = (content: string) => new TextEncoder().encode(content);

/** Bytes without a pattern that a swapped part would keep. */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array((length + 3) >> 2);
  let state = seed;
  for (let i = 0; i < words.length; i++) words[i] = state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + i;
  return new Uint8Array(words.buffer, 0, length);
}

/**
 * What every backend must do, as tests.
 *
 * @param kind Name of the backend.
 * @param withSubject Makes an empty bucket, has it checked, and removes it.
 * @param ignore Why none of it can run here; null to run.
 */
export function storageContract(
  kind: string,
  withSubject: (check: (subject: ContractSubject) => Promise<void>) => Promise<void>,
  { ignore = null, gaps = {} }: { ignore?: string | null; gaps?: ContractGaps } = {},
): void {
  const contract = (
    says: string,
    check: (subject: ContractSubject) => Promise<void>,
    gap: string | null = null,
  ) => {
    const why = ignore ?? gap;
    Deno.test({
      name: `${kind} ${says}${why ? ` (skipped: ${why})` : ""}`,
      ignore: why !== null,
      fn: () => withSubject(check),
    });
  };

  contract("gives back what was written, with its size, version and checksum", async ({ storage }) => {
    const written = await storage.write("models/a.txt", text("123456789"));
    const file = await storage.stat("models/a.txt");
    assert.deepEqual(file, written);
    assert.deepEqual([file.name, file.size], ["models/a.txt", 9]);
    if (file.checksum) assert.deepEqual(file.checksum, { algorithm: "crc32c", hex: "e3069283" });
    assert.equal(new TextDecoder().decode(await storage.read("models/a.txt")), "123456789");
    const again = await storage.write("models/a.txt", text("another text"));
    assert.notEqual(again.version, written.version);
    await storage.write("empty", new Uint8Array());
    assert.deepEqual([(await storage.stat("empty")).size, (await storage.read("empty")).length], [0, 0]);
  });

  contract("takes any name", async ({ storage }) => {
    const names = ["a b/grüße 世界.txt", "50% + 1?#&=;.txt", "(it's)!*~@$,[x].json"];
    for (const name of names) await storage.write(name, text(name));
    for (const name of names) assert.equal(new TextDecoder().decode(await storage.read(name)), name);
    assert.deepEqual(
      (await Array.fromAsync(storage.list())).map(({ name }) => name).sort(),
      [...names].sort(),
    );
    for (const name of ["", "/a", "a//b", "a/", "a/../b", ".", "a\nb"]) {
      await assert.rejects(storage.write(name, text("x")), {
        name: "RangeError",
        message: /Cannot use ".*" as a name in/,
      });
    }
  });

  contract("reads ranges", async ({ storage }) => {
    const bytes = noise(1009);
    await storage.write("ramp", bytes);
    for (const [offset, length] of [[0, 1], [500, 101], [1008, 1], [0, 1009], [1009, 0]] as const) {
      assert.deepEqual(await storage.read("ramp", { offset, length }), bytes.slice(offset, offset + length));
    }
    assert.deepEqual(await storage.read("ramp", { offset: 1000 }), bytes.slice(1000));
    for (const [offset, length] of [[1000, 10], [-1, 1], [1010, 0]] as const) {
      await assert.rejects(storage.read("ramp", { offset, length }), {
        name: "RangeError",
        message: /Cannot read bytes .* of ".*\/ramp" as it has 1009/,
      });
    }
  });

  contract("says what is there", async ({ storage }) => {
    await storage.write("models/ember/config.json", text("{}"));
    const asked = [
      "models/ember/config.json",
      "models/ember",
      "models/ember/",
      "models/emb",
      "models/emb/",
      "models/",
    ];
    assert.deepEqual(await Promise.all(asked.map((name) => storage.exists(name))), [
      true,
      false,
      true,
      false,
      false,
      true,
    ]);
  });

  contract("tells a missing file from a missing bucket", async ({ storage, elsewhere }) => {
    await storage.write("there", text("x"));
    const missing =
      /Cannot (look at|download) ".*missing\/?" as (it is not there|nothing is there): check the name/;
    for (
      const ask of [
        () => storage.stat("missing"),
        () => storage.read("missing"),
        () => storage.downloadFile("missing", new MemoryFolder()),
        () => storage.downloadFolder("missing", new MemoryFolder()),
      ]
    ) {
      await assert.rejects(ask, (error: Error) => {
        assert.ok(error instanceof StorageNotFoundError, `${error.stack}`);
        assert.match(error.message, missing);
        return true;
      });
    }
    for (
      const ask of [
        () => elsewhere.stat("there"),
        () => elsewhere.exists("there"),
        () => elsewhere.listPage(),
        () => elsewhere.downloadFolder("there", new MemoryFolder()),
      ]
    ) {
      await assert.rejects(ask, (error: Error) => {
        assert.ok(error instanceof StorageBucketError, `${error.stack}`);
        assert.match(error.message, /as there is no (such (bucket|container)|folder)/);
        return true;
      });
    }
  });

  contract("removes a file, and does not mind when it is gone", async ({ storage }) => {
    await storage.write("f", text("x"));
    await storage.remove("f");
    await storage.remove("f");
    assert.equal(await storage.exists("f"), false);
  });

  contract("writes only where the condition holds", async ({ storage }) => {
    const first = await storage.write("f", text("1"), { ifAbsent: true });
    await assert.rejects(storage.write("f", text("2"), { ifAbsent: true }), StorageConflictError);
    assert.deepEqual(await storage.read("f"), text("1"));
    const second = await storage.write("f", text("22"), { ifVersion: first.version });
    await assert.rejects(storage.write("f", text("3"), { ifVersion: first.version }), (error: Error) => {
      assert.ok(error instanceof StorageConflictError, `${error.stack}`);
      assert.match(error.message, /Cannot write ".*\/f" as it is not what the condition says/);
      return true;
    });
    assert.deepEqual(await storage.stat("f"), second);
    await assert.rejects(storage.write("g", text("3"), { ifVersion: first.version }), StorageConflictError);
    assert.equal(await storage.exists("g"), false);
  });

  contract("lets one of many writers win", async ({ storage }) => {
    const writes = Array.from(
      { length: 5 },
      (_, i) => storage.write("lock", text(`${i}`), { ifAbsent: true }),
    );
    const ends = await Promise.allSettled(writes);
    const won = ends.flatMap(({ status }, i) => status === "fulfilled" ? [i] : []);
    assert.equal(won.length, 1);
    for (const end of ends) {
      if (end.status === "rejected") assert.ok(end.reason instanceof StorageConflictError);
    }
    assert.deepEqual(await storage.read("lock"), text(`${won[0]}`));
  });

  contract("removes only where the condition holds", async ({ storage }) => {
    const first = await storage.write("f", text("1"));
    const second = await storage.write("f", text("22"));
    await assert.rejects(storage.remove("f", { ifVersion: first.version }), StorageConflictError);
    await storage.remove("f", { ifVersion: second.version });
    assert.equal(await storage.exists("f"), false);
    await assert.rejects(storage.remove("f", { ifVersion: second.version }));
  }, gaps.conditionalRemove ?? null);

  contract("reads on only in the version that was opened", async ({ storage }) => {
    await storage.write("runs/f", text("one"));
    const folder = storage.folder("runs");
    const file = await folder.open("f");
    assert.deepEqual(await file.read(1, 2), text("ne"));
    await storage.write("runs/f", text("other"));
    await assert.rejects(file.read(0, 3), (error: Error) => {
      assert.ok(error instanceof StorageConflictError, `${error.stack}`);
      assert.match(error.message, /Cannot read ".*\/runs\/f" as it is changed since it was looked at/);
      return true;
    });
    await file.close();
  });

  contract("lists page by page, in order, below a prefix", async ({ storage }) => {
    const names = ["a/1", "a/10", "a/2", "a/b/3", "a/c", "ab", "b"];
    for (const name of names) await storage.write(name, text(name));
    const pages: string[][] = [];
    let pageToken: string | null = null;
    do {
      const page = await storage.listPage({ prefix: "a/", pageSize: 2, pageToken });
      pages.push(page.files.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== null);
    assert.deepEqual(pages, [["a/1", "a/10"], ["a/2", "a/b/3"], ["a/c"]]);
    assert.deepEqual((await Array.fromAsync(storage.list("a"))).map(({ name }) => name), names.slice(0, 6));
    assert.deepEqual((await storage.listPage({ prefix: "none" })).files, []);
    const [listed] = (await storage.listPage({ prefix: "b" })).files;
    assert.equal(listed!.size, 1);
    assert.equal(listed!.version, (await storage.stat("b")).version);
  });

  contract("shows a prefix as a folder", async ({ storage }) => {
    await storage.write("m/config.json", text("{}"));
    await storage.write("m/deep/x", text("x"));
    const folder = storage.folder("m/");
    assert.deepEqual(await folder.list(), ["config.json"]);
    assert.equal(await readText(folder, "config.json"), "{}");
    assert.deepEqual([await folder.exists("config.json"), await folder.exists("deep")], [true, false]);
    await assert.rejects(folder.open("../x"), RangeError);
    assert.equal(folder.uri, `${storage.uri}/m`);
  });

  contract("moves folders side by side, and tells how far it is", async ({ storage }) => {
    const local = new MemoryFolder("local");
    const files: Record<string, string> = {
      "a": "1",
      "b": "22",
      "deep/c": "333",
      "deep/er/d": "4444",
      "e": "",
    };
    for (const [path, content] of Object.entries(files)) await writeFile(...at(local, path), content);
    const seen: TransferProgress[] = [];
    const up = await storage.uploadFolder(local, "runs/x/", { onProgress: (told) => seen.push(told) });
    assert.deepEqual(up, { files: 5, bytes: 10, skipped: 0 });
    const last = seen.at(-1)!;
    assert.deepEqual([last.files, last.totalFiles, last.bytes, last.totalBytes], [5, 5, 10, 10]);
    assert.ok(seen.every(({ bytes }, i) => i === 0 || bytes >= seen[i - 1]!.bytes));
    const back = new MemoryFolder("back");
    assert.deepEqual(await storage.downloadFolder("runs/x", back, { concurrency: 2 }), up);
    for (const [path, content] of Object.entries(files)) {
      assert.equal(await readText(...at(back, path)), content);
    }
    if ((await storage.stat("runs/x/a")).checksum === null) return;
    await writeFile(local, "b", "23");
    const include = (path: string) => path.startsWith("deep/") || path === "none";
    const some = await storage.downloadFolder("runs/x", new MemoryFolder(), { include });
    const sent = await storage.uploadFolder(local, "runs/y", { include });
    assert.deepEqual([some.files, sent.files], [2, 2]);
    const again = await storage.uploadFolder(local, "runs/x", { skipSame: true });
    assert.deepEqual([again.files, again.skipped], [1, 4]);
    const down = await storage.downloadFolder("runs/x", back, { skipSame: true });
    assert.deepEqual([down.files, down.skipped, await readText(back, "b")], [1, 4, "23"]);
  });

  contract("refuses to upload nothing", async ({ storage }) => {
    await assert.rejects(storage.uploadFolder(new MemoryFolder("void"), "x"), {
      name: "StorageNotFoundError",
      message: /Cannot upload "void" as it holds no file/,
    });
    await assert.rejects(
      storage.uploadFolder(new MemoryFolder("f", { a: "" }), "x", { concurrency: 0 }),
      RangeError,
    );
  });

  contract("moves large files in parts, and stops at a signal", async ({ storage }) => {
    const bytes = noise(2 * PART + 12_347);
    const local = new MemoryFolder("local", { big: bytes });
    const told: number[] = [];
    const stored = await storage.uploadFile(local, "big", "deep/big", {
      onProgress: (p) => told.push(p.bytes),
    });
    assert.deepEqual([stored.size, told.at(-1)], [bytes.length, bytes.length]);
    assert.ok(told.length > 2);
    const back = new MemoryFolder();
    await storage.downloadFile("deep/big", back, { as: "copy" });
    assert.ok(same(await bytesIn(back, "copy"), bytes));
    const stop = new AbortController();
    const stopped = storage.downloadFile("deep/big", back, {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await assert.rejects(stopped, { name: "AbortError" });
    assert.deepEqual(await back.list(), ["copy"]);
  });

  contract(
    "takes bytes as they come, goes on after a break, and gives them back as they come",
    async ({ storage }) => {
      const bytes = noise((8 << 20) + 1009), part = 8 << 20;
      async function* pieces(from: number, to: number) {
        for (let at = from; at < to; at += 1 << 20) {
          yield await Promise.resolve(
            bytes.subarray(at, Math.min(to, at + (1 << 20))),
          );
        }
      }
      const upload = await storage.startUpload("big", bytes.length, { ifAbsent: true });
      assert.equal(upload.partBytes, part);
      await upload.send(pieces(0, part + 500));
      assert.equal(upload.sent, part);
      await assert.rejects(upload.finish(), RangeError);
      assert.equal(await storage.exists("big"), false);
      await upload.send(pieces(part, bytes.length));
      const stored = await upload.finish();
      assert.deepEqual([stored.size, stored], [bytes.length, await storage.stat("big")]);
      const back = await Array.fromAsync(storage.stream(stored), (piece) => piece.slice());
      assert.ok(same(new Uint8Array(await new Blob(back).arrayBuffer()), bytes));
      const some = await Array.fromAsync(
        storage.stream(stored, { offset: part, length: 9 }),
        (piece) => piece.slice(),
      );
      assert.deepEqual(new Uint8Array(await new Blob(some).arrayBuffer()), bytes.slice(part, part + 9));
      await assert.rejects(Array.fromAsync(storage.stream(stored, { offset: bytes.length + 1 })), RangeError);
      const more = await storage.startUpload("small", 3);
      await assert.rejects(more.send(pieces(0, 4)), RangeError);
      await more.abort();
      const taken = await storage.startUpload("small", 3, { ifAbsent: true });
      await storage.write("small", bytes.subarray(0, 1));
      await taken.send(pieces(0, 3));
      await assert.rejects(taken.finish(), { name: "StorageConflictError" });
    },
  );

  contract("takes bytes of an upload that another process began", async ({ storage }) => {
    const part = 8 << 20, bytes = noise(part + 1009);
    async function* pieces(from: number, to: number) {
      yield await Promise.resolve(bytes.subarray(from, to));
    }
    const notes: UploadNote[] = [];
    const begun = await storage.startUpload("big", bytes.length, { ifAbsent: true });
    const before = begun.note;
    await begun.send(pieces(0, part), undefined, (note) => notes.push(note));
    assert.deepEqual([before.sent, notes.map(({ sent }) => sent), begun.note], [0, [part], notes[0]]);
    const note: UploadNote = JSON.parse(JSON.stringify(notes[0]));
    const upload = await storage.resumeUpload("big", bytes.length, note, { ifAbsent: true });
    assert.equal(upload?.sent, part);
    await upload.send(pieces(part, bytes.length));
    assert.deepEqual(await upload.finish(), await storage.stat("big"));
    assert.ok(same(await storage.read("big"), bytes));
    const lie = { ...note, token: note.token && "0 nowhere", sent: 2 * part };
    assert.equal(await storage.resumeUpload("lie", 3 * part, lie), null);
    const small = await storage.resumeUpload("small", 3, (await storage.startUpload("small", 3)).note);
    assert.equal(small?.sent, 0);
  });

  contract("writes large files only where the condition holds", async ({ storage }) => {
    const local = new MemoryFolder("local", { big: noise(PART + 1) });
    const first = await storage.uploadFile(local, "big", "f", { condition: { ifAbsent: true } });
    const again = storage.uploadFile(local, "big", "f", { condition: { ifAbsent: true } });
    await assert.rejects(again, StorageConflictError);
    await writeFile(local, "big", noise(PART + 2));
    const second = await storage.uploadFile(local, "big", "f", { condition: { ifVersion: first.version } });
    const stale = storage.uploadFile(local, "big", "f", { condition: { ifVersion: first.version } });
    await assert.rejects(stale, StorageConflictError);
    assert.equal((await storage.stat("f")).version, second.version);
  });

  contract("goes on with an upload that broke off", async ({ storage }) => {
    const bytes = noise(3 * PART + 5);
    const local = new MemoryFolder("local", { big: bytes });
    const sessions = new MemoryFolder("sessions");
    await breakOff(storage, local, sessions);
    assert.equal((await sessions.list()).length, 1);
    assert.equal(await storage.exists("big"), false);
    const told: number[] = [];
    await storage.uploadFile(local, "big", "big", { sessions, onProgress: (p) => told.push(p.bytes) });
    assert.ok(told[0]! >= PART, `began at ${told[0]}`);
    assert.equal(told.at(-1), bytes.length);
    assert.deepEqual(await sessions.list(), []);
    const back = new MemoryFolder();
    await storage.downloadFile("big", back);
    assert.ok(same(await bytesIn(back, "big"), bytes));
  });

  contract("never mixes two files when an upload goes on", async ({ storage }) => {
    const local = new MemoryFolder("local", { big: noise(3 * PART) });
    const sessions = new MemoryFolder("sessions");
    await breakOff(storage, local, sessions);
    const other = noise(3 * PART, 2);
    await writeFile(local, "big", other);
    try {
      await storage.uploadFile(local, "big", "big", { sessions });
      const back = new MemoryFolder();
      await storage.downloadFile("big", back);
      assert.ok(same(await bytesIn(back, "big"), other));
    } catch (error) {
      assert.ok(error instanceof StorageDamagedError, `${(error as Error).stack}`);
      assert.equal(await storage.exists("big"), false);
    }
  });
}

/** Uploads until the first part is there, then stops. */
export async function breakOff(storage: StorageManager, local: Folder, sessions: Folder): Promise<void> {
  const stop = new AbortController();
  const onProgress = ({ bytes }: TransferProgress) => {
    if (bytes >= PART) stop.abort();
  };
  const broken = storage.uploadFile(local, "big", "big", { sessions, signal: stop.signal, onProgress });
  await assert.rejects(broken, { name: "AbortError" });
}

/** Folder and name of a path. */
function at(folder: Folder, path: string): [Folder, string] {
  const parts = path.split("/");
  return [parts.length === 1 ? folder : folder.folder(parts.slice(0, -1).join("/")), parts.at(-1)!];
}

async function bytesIn(folder: Folder, name: string): Promise<Uint8Array> {
  const file = await folder.open(name);
  return await file.read(0, file.size);
}

/** Whether two byte strings are equal; faster than an assertion on them. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
