import assert from "node:assert/strict";
import { StorageDeniedError, StorageNotFoundError } from "../../src/errors.ts";
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

/** What every backend must do, with a way to make a fresh empty folder. */
function folderContract(
  kind: string,
  withFolder: (check: (folder: Folder) => Promise<void>) => Promise<void>,
) {
  const contract = (says: string, check: (folder: Folder) => Promise<void>) =>
    Deno.test(`${kind} ${says}`, () => withFolder(check));

  contract("reads back what was written, whole and in ranges", async (folder) => {
    await writeFile(folder, "a.txt", "grüße, 世界");
    assert.equal(await readText(folder, "a.txt"), "grüße, 世界");
    const file = await folder.open("a.txt");
    assert.equal(file.size, 15);
    assert.equal(new TextDecoder().decode(await file.read(2, 2)), "ü");
    assert.equal((await file.read(15, 0)).length, 0);
    await assert.rejects(file.read(10, 6), {
      name: "RangeError",
      message: /bytes 10\.\.16 of ".*a\.txt" as it has 15/,
    });
    await assert.rejects(file.read(-1, 1), RangeError);
    await file.close();
  });

  contract("gives concurrent reads their own ranges", async (folder) => {
    await writeFile(folder, "ramp", Uint8Array.from({ length: 251 }, (_, i) => i));
    const file = await folder.open("ramp");
    const parts = await Promise.all([0, 100, 7, 250, 31].map((at) => file.read(at, 1)));
    assert.deepEqual(parts.map((part) => part[0]), [0, 100, 7, 250, 31]);
    await file.close();
  });

  contract("shows a file only after commit()", async (folder) => {
    await writeFile(folder, "f", "old");
    const writer = await folder.create("f");
    await writer.write(new TextEncoder().encode("ne"));
    assert.equal(await readText(folder, "f"), "old");
    assert.deepEqual(await folder.list(), ["f"]);
    await writer.write(new TextEncoder().encode("w"));
    await writer.commit();
    await writer.abort();
    assert.equal(await readText(folder, "f"), "new");
    await assert.rejects(writer.write(new Uint8Array(1)), TypeError);
    await assert.rejects(writer.commit(), TypeError);
  });

  contract("keeps the old file when a write is aborted", async (folder) => {
    await writeFile(folder, "f", "old");
    const writer = await folder.create("f");
    await writer.write(new Uint8Array(3));
    await writer.abort();
    await writer.abort();
    assert.equal(await readText(folder, "f"), "old");
    const never = await folder.create("g");
    await never.abort();
    assert.deepEqual(await folder.list(), ["f"]);
  });

  contract("takes a copy of what it is given to write", async (folder) => {
    const bytes = Uint8Array.of(1, 2, 3);
    const writer = await folder.create("f");
    await writer.write(bytes);
    bytes.fill(9);
    await writer.commit();
    const file = await folder.open("f");
    assert.deepEqual([...await file.read(0, 3)], [1, 2, 3]);
    await file.close();
  });

  contract("appends, creating what is missing", async (folder) => {
    const logs = folder.folder("runs/one");
    await logs.append("log", new TextEncoder().encode("a\n"));
    await logs.append("log", new TextEncoder().encode("b\n"));
    assert.equal(await readText(folder.folder("runs").folder("one"), "log"), "a\nb\n");
  });

  contract("lists its own files sorted, and none where there is no folder", async (folder) => {
    assert.deepEqual(await folder.folder("absent").list(), []);
    for (const name of ["b", "a", "c.json"]) await writeFile(folder, name, name);
    await writeFile(folder.folder("below"), "d", "d");
    assert.deepEqual(await folder.list(), ["a", "b", "c.json"]);
    assert.equal(await folder.exists("a"), true);
    assert.equal(await folder.exists("below"), false);
    assert.equal(await folder.folder("absent").exists("a"), false);
    await folder.remove("a");
    await folder.remove("a");
    assert.deepEqual(await folder.list(), ["b", "c.json"]);
  });

  contract("cuts a file to its first bytes, and refuses to lengthen one", async (folder) => {
    await folder.append("log", new TextEncoder().encode("a\nb\n"));
    await folder.sync("log");
    await folder.truncate("log", 4);
    assert.equal(await readText(folder, "log"), "a\nb\n");
    await folder.truncate("log", 2);
    await folder.append("log", new TextEncoder().encode("c\n"));
    assert.equal(await readText(folder, "log"), "a\nc\n");
    await assert.rejects(folder.truncate("log", 5), {
      name: "RangeError",
      message: /Cannot cut ".*\/log" to 5 bytes as it has 4/,
    });
    await assert.rejects(folder.truncate("missing", 0), StorageNotFoundError);
    await assert.rejects(folder.sync("missing"), StorageNotFoundError);
  });

  contract("shows a folder whole, and only after commit()", async (folder) => {
    const seen = folder.folder("one");
    const writer = await folder.createFolder("one");
    await writeFile(writer.folder, "a", "1");
    await writeFile(writer.folder.folder("deep"), "b", "2");
    assert.deepEqual([await folder.folders(), await seen.list()], [[], []]);
    await writer.commit();
    await writer.abort();
    assert.deepEqual([await folder.folders(), await seen.list()], [["one"], ["a"]]);
    assert.equal(await readText(seen.folder("deep"), "b"), "2");
    await assert.rejects(writer.commit(), TypeError);
    assert.deepEqual(await folder.list(), []);
  });

  contract(
    "replaces a folder with all that it held, and keeps it when the new one is aborted",
    async (folder) => {
      await writeFile(folder.folder("one"), "old", "1");
      await writeFile(folder.folder("one/deep"), "old", "1");
      const aborted = await folder.createFolder("one");
      await writeFile(aborted.folder, "new", "2");
      await aborted.abort();
      assert.deepEqual(await folder.folder("one").list(), ["old"]);
      const writer = await folder.createFolder("one");
      await writeFile(writer.folder, "new", "2");
      await writer.commit();
      assert.deepEqual([await folder.folder("one").list(), await folder.folder("one").folders()], [
        ["new"],
        [],
      ]);
    },
  );

  contract("removes a folder with all that it holds", async (folder) => {
    await writeFile(folder.folder("one"), "a", "1");
    await writeFile(folder.folder("one/deep"), "b", "2");
    await writeFile(folder.folder("two"), "c", "3");
    await folder.removeFolder("one");
    await folder.removeFolder("one");
    assert.deepEqual([await folder.folders(), await folder.folder("one").list()], [["two"], []]);
    assert.equal(await folder.folder("one/deep").exists("b"), false);
    await folder.removeLeftovers();
    assert.equal(await readText(folder.folder("two"), "c"), "3");
  });

  contract("says which file is not there", async (folder) => {
    await assert.rejects(folder.open("missing.json"), (error: Error) => {
      assert.ok(error instanceof StorageNotFoundError);
      assert.match(error.message, /Cannot open ".*\/missing\.json" as it is not there/);
      return true;
    });
  });

  contract("refuses names that leave the folder", async (folder) => {
    for (const name of ["", ".", "..", "../x", "a/b", "a\\b", "a\0"]) {
      await assert.rejects(folder.open(name), RangeError, name);
      await assert.rejects(folder.create(name), RangeError, name);
      await assert.rejects(folder.append(name, new Uint8Array()), RangeError, name);
      await assert.rejects(folder.remove(name), RangeError, name);
      await assert.rejects(folder.exists(name), RangeError, name);
      await assert.rejects(folder.truncate(name, 0), RangeError, name);
      await assert.rejects(folder.createFolder(name), RangeError, name);
      await assert.rejects(folder.removeFolder(name), RangeError, name);
    }
    assert.throws(() => folder.folder(".."), {
      name: "RangeError",
      message: /Cannot use "\.\." as a file name in/,
    });
    assert.throws(() => folder.folder("a/../../b"), RangeError);
  });
}

folderContract("MemoryFolder", (check) => check(new MemoryFolder()));

folderContract("LocalFolder", async (check) => {
  const path = await Deno.makeTempDir();
  try {
    await check(new LocalFolder(path));
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("MemoryFolder holds what it was made with", async () => {
  const folder = new MemoryFolder("model", { "config.json": "{}", "w.bin": Uint8Array.of(7) });
  assert.deepEqual(await folder.list(), ["config.json", "w.bin"]);
  assert.equal(folder.folder("a").uri, "model/a");
  await assert.rejects(folder.open("x"), {
    message: /"model\/x" as it is not there \(found: config\.json, w\.bin\)/,
  });
});

Deno.test("LocalFolder names what stands in the way", async () => {
  const path = await Deno.makeTempDir();
  try {
    const folder = new LocalFolder(path + "/");
    assert.equal(folder.uri, path);
    await writeFile(folder, "file", "");
    await writeFile(folder.folder("below"), "x", "");
    await assert.rejects(folder.open("below"), (error: Error) => {
      assert.ok(error instanceof StorageNotFoundError);
      assert.match(error.message, /below" as it is a folder/);
      return true;
    });
    await assert.rejects(folder.folder("file").open("x"), StorageNotFoundError);
    await assert.rejects(folder.folder("file").create("x"), (error: Error) => {
      assert.ok(error instanceof StorageDeniedError);
      assert.match(error.message, /file\/x" as a file stands where a folder is needed/);
      return true;
    });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("LocalFolder sees through links to files and leaves no temporary file behind", async () => {
  const path = await Deno.makeTempDir();
  try {
    const folder = new LocalFolder(path);
    await writeFile(folder, "blob", "x");
    await Deno.symlink(`${path}/blob`, `${path}/link`);
    await Deno.symlink(`${path}/nowhere`, `${path}/broken`);
    assert.deepEqual(await folder.list(), ["blob", "link"]);
    const left = [...Deno.readDirSync(path)].map((entry) => entry.name).sort();
    assert.deepEqual(left, ["blob", "broken", "link"]);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("LocalFolder removes what a crashed process was writing, and nothing else", async () => {
  const path = await Deno.makeTempDir();
  try {
    const folder = new LocalFolder(path);
    await writeFile(folder, ".hidden", "kept");
    await (await folder.create("file")).write(Uint8Array.of(1));
    const writer = await folder.createFolder("checkpoint-4");
    await writeFile(writer.folder, "a", "1");
    const names = () =>
      [...Deno.readDirSync(path)].map(({ name }) => name.replace(/[0-9a-f]{8}/, "*")).sort();
    assert.deepEqual(names(), [".checkpoint-4.*.partial", ".file.*.partial", ".hidden"]);
    assert.deepEqual([await folder.list(), await folder.folders()], [[".hidden"], []]);
    await folder.removeLeftovers();
    assert.deepEqual(names(), [".hidden"]);
    await new LocalFolder(`${path}/nowhere`).removeLeftovers();
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test({
  name: "LocalFolder says which right is missing",
  permissions: { read: false, write: false },
  async fn() {
    const folder = new LocalFolder("data");
    await assert.rejects(folder.open("train.jsonl"), (error: Error) => {
      assert.ok(error instanceof StorageDeniedError);
      assert.match(error.message, /add --allow-read=data\/train\.jsonl/);
      return true;
    });
    await assert.rejects(folder.create("x"), {
      name: "StorageDeniedError",
      message: /add --allow-write=data\/x/,
    });
  },
});
