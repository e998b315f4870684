/**
 * The tests that every storage backend passes; wherever it runs, so nothing here is Deno's.
 *
 * @module
 */
import assert from "node:assert/strict";
import { StorageNotFoundError } from "../../src/errors.ts";
import { type Folder, readText, writeFile } from "../../src/storage.ts";

/**
 * What every backend must do, as tests.
 *
 * @param kind Name of the backend.
 * @param withFolder Makes a fresh empty folder, has it checked, and removes it.
 * @param declare Takes each test: `Deno.test`, or what stands for it elsewhere.
 */
export function folderContract(
  kind: string,
  withFolder: (check: (folder: Folder) => Promise<void>) => Promise<void>,
  declare: (name: string, test: () => Promise<void>) => void,
): void {
  const contract = (says: string, check: (folder: Folder) => Promise<void>) =>
    declare(`${kind} ${says}`, () => withFolder(check));

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

  contract("gives its lock to one writer at a time, and hides it", async (folder) => {
    const run = folder.folder("runs/one");
    if (!run.lock) return;
    const lock = await run.lock();
    assert.ok(lock);
    assert.equal(await folder.folder("runs/one").lock!(), null);
    const other = await folder.folder("runs/two").lock!();
    await writeFile(run, "f", "text");
    assert.deepEqual([await run.list(), await run.folders()], [["f"], []]);
    await run.removeLeftovers();
    assert.equal(await run.lock(), null);
    await lock.release();
    const next = await run.lock();
    assert.ok(next && other);
    await Promise.all([next.release(), other.release()]);
    assert.equal(await readText(run, "f"), "text");
    assert.deepEqual(await folder.folder("runs").folders(), ["one"]);
  });

  contract(
    "lets several share its lock, and gives it to one alone once they all released it",
    async (folder) => {
      const model = folder.folder("model");
      if (!model.lock) return;
      await writeFile(model, "f", "text");
      const shared = [await model.lock("shared"), await folder.folder("model").lock!("shared")];
      assert.ok(shared[0] && shared[1]);
      assert.equal(await model.lock(), null);
      await shared[0].release();
      assert.equal(await model.lock(), null);
      await shared[1].release();
      const alone = await model.lock();
      assert.ok(alone);
      assert.equal(await model.lock("shared"), null);
      await alone.release();
      assert.deepEqual(await model.list(), ["f"]);
    },
  );

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
