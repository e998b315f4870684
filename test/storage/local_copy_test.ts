import assert from "node:assert/strict";
import type { TransferProgress } from "../../src/storage_manager.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { copyFile } from "../../src/storage/local_copy.ts";
import { LocalStorageManager, LocalStore } from "../../src/storage/local_store.ts";
import { noise, same } from "./storage_contract.ts";

const isWindows = Deno.build.os === "windows";

async function withFolder(check: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await check(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

Deno.test("LocalStorageManager has the system copy files of this machine, which keep no mode", () =>
  withFolder(async (folder) => {
    const storage = new LocalStorageManager(`${folder}/bucket`), bytes = noise(3_000_001);
    await Deno.mkdir(`${folder}/bucket`);
    await Deno.mkdir(`${folder}/from`);
    await Deno.writeFile(`${folder}/from/big`, bytes);
    await Deno.writeFile(`${folder}/from/small`, bytes.subarray(0, 1000));
    await Deno.writeFile(`${folder}/from/empty`, new Uint8Array());
    if (!isWindows) await Deno.chmod(`${folder}/from/big`, 0o400);
    let last: TransferProgress | null = null;
    const onProgress = (progress: TransferProgress) => last = progress;
    await storage.uploadFolder(new LocalFolder(`${folder}/from`), "up", { onProgress });
    const all = { name: "big", files: 3, totalFiles: 3, bytes: 3_001_001, totalBytes: 3_001_001 };
    assert.deepEqual({ ...last!, name: "big" }, all);
    await storage.downloadFolder("up", new LocalFolder(`${folder}/to`), { onProgress });
    assert.deepEqual({ ...last!, name: "big" }, all);
    for (const place of ["bucket/up", "to"]) {
      assert.deepEqual(await names(`${folder}/${place}`), ["big", "empty", "small"]);
      assert.ok(same(await Deno.readFile(`${folder}/${place}/big`), bytes));
      const [big, small] = ["big", "small"].map((name) => Deno.statSync(`${folder}/${place}/${name}`).mode);
      assert.equal(big, small);
    }
  }));

Deno.test("LocalStore tells of a file that changed while it was copied, or is gone", () =>
  withFolder(async (folder) => {
    const store = new LocalStore(folder);
    await Deno.writeTextFile(`${folder}/f`, "one");
    const file = await store.head("f");
    const write = async (path: string) => {
      await Deno.writeTextFile(path, "another");
      return 3;
    };
    await assert.rejects(store.copied(file, write), { name: "StorageConflictError" });
    const remove = async (path: string) => {
      await Deno.remove(path);
      throw new Deno.errors.NotFound();
    };
    await assert.rejects(store.copied(file, remove), { name: "StorageNotFoundError" });
  }));

Deno.test("LocalStore puts a copy in place of what an earlier process left", () =>
  withFolder(async (folder) => {
    const store = new LocalStore(folder), options = { condition: null, crc32c: 0, signal: undefined };
    await Deno.writeTextFile(`${folder}/.f.01234567.partial`, "what a copy that was killed left");
    await Deno.writeTextFile(`${folder}/source`, "whole");
    const upload = (await store.resumeUpload("f", "01234567"))!;
    await upload.copy!(`${folder}/source`, {});
    await upload.finish(options);
    assert.deepEqual([await Deno.readTextFile(`${folder}/f`), await names(folder)], [
      "whole",
      ["f", "source"],
    ]);
  }));

Deno.test({
  name: "copyFile() leaves at once when it is told to, and nothing stays",
  ignore: isWindows,
  fn: () =>
    withFolder(async (folder) => {
      const source = `${folder}/source`, path = `${folder}/target`, stop = new AbortController();
      await new Deno.Command("mkfifo", { args: [source] }).output(); // read from when somebody writes to it
      using file = await Deno.open(path, { write: true, createNew: true });
      setTimeout(() => stop.abort(new Error("stopped by a test")), 20);
      await assert.rejects(copyFile(source, { path, file }, stop), /^Error: stopped by a test/);
      (await Deno.open(source, { write: true })).close();
      while ((await names(folder)).length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    }),
});
