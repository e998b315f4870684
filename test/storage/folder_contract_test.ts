import assert from "node:assert/strict";
import { StorageDeniedError, StorageNotFoundError } from "../../src/errors.ts";
import { writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { folderContract } from "./folder_contract.ts";

folderContract("MemoryFolder", (check) => check(new MemoryFolder()), Deno.test);

folderContract("LocalFolder", async (check) => {
  const path = await Deno.makeTempDir();
  try {
    await check(new LocalFolder(path));
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}, Deno.test);

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

Deno.test("LocalFolder takes over the lock of a killed process, and leaves no folder that it made and nobody filled", async () => {
  const path = await Deno.makeTempDir();
  try {
    const run = new LocalFolder(`${path}/runs/ember`);
    const lock = await run.lock();
    await lock!.release();
    assert.deepEqual([...Deno.readDirSync(path)], []);

    const program = `const { LocalFolder } = await import(${
      JSON.stringify(new URL("../../src/storage/local.ts", import.meta.url).href)
    });
    console.log((await new LocalFolder(${JSON.stringify(run.uri)}).lock()) !== null);
    setInterval(() => {}, 1000);`;
    const args = ["eval", "--no-check", program];
    const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "true\n");
    assert.equal(await run.lock(), null);
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();

    assert.deepEqual([...Deno.readDirSync(run.uri)].map(({ name }) => name), [".lowrank.lock"]);
    const next = await run.lock();
    assert.ok(next);
    await next.release();
    // the folder was not made for this lock
    assert.deepEqual([...Deno.readDirSync(`${path}/runs`)].map(({ name }) => name), ["ember"]);
    assert.deepEqual([...Deno.readDirSync(run.uri)], []);
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
