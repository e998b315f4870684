/**
 * A worker that holds OpfsFolder to the contract of all backends, and to what is its own: leftovers of a crash. Posts
 * one list of `{ name, problem }`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import { OpfsFolder } from "../../web/storage/opfs_storage.ts";
import { folderContract } from "../storage/folder_contract.ts";

/** What came of a test; `problem` is null where it passed. */
export interface ContractResult {
  readonly name: string;
  readonly problem: string | null;
}

const tests = new Map<string, () => Promise<void>>();

async function withFolder(check: (folder: Folder) => Promise<void>): Promise<void> {
  const root = await OpfsFolder.open();
  await root.removeFolder("contract");
  await check(root.folder("contract"));
}

folderContract("OpfsFolder", withFolder, (name, test) => tests.set(name, test));

tests.set(
  "OpfsFolder takes a folder for absent that a crash left between old and new",
  () =>
    withFolder(async (folder) => {
      await writeFile(folder.folder("one"), "a", "1");
      await writeFile(folder.folder("two"), "b", "2");
      await writeFile(folder, ".one.torn.partial", "");
      assert.deepEqual([await folder.folders(), await folder.folder("one").list()], [["two"], []]);
      await writeFile(folder.folder("one"), "c", "3");
      assert.deepEqual(await folder.folder("one").list(), ["c"]);
    }),
);

tests.set(
  "OpfsFolder removes what a closed page was writing, and nothing else",
  () =>
    withFolder(async (folder) => {
      await writeFile(folder, ".hidden", "kept");
      await writeFile(folder, ".file.0123abcd.partial", "cut sho");
      await writeFile(folder.folder(".checkpoint-4.0123abcd.partial"), "a", "1");
      await writeFile(folder.folder("checkpoint-2"), "a", "1");
      await writeFile(folder, ".checkpoint-2.torn.partial", "");
      await folder.removeLeftovers();
      const directory = await (await navigator.storage.getDirectory()).getDirectoryHandle("contract");
      assert.deepEqual(await Array.fromAsync(directory.keys()), [".hidden"]);
      assert.equal(await readText(folder, ".hidden"), "kept");
    }),
);

tests.set("OpfsFolder says that a file is open elsewhere", () =>
  withFolder(async (folder) => {
    await folder.append("log", Uint8Array.of(1));
    const directory = await (await navigator.storage.getDirectory()).getDirectoryHandle("contract");
    const handle = await directory.getFileHandle("log") as unknown as {
      createSyncAccessHandle(): Promise<{ close(): void }>;
    };
    const access = await handle.createSyncAccessHandle();
    await assert.rejects(folder.append("log", Uint8Array.of(2)), {
      name: "StorageDeniedError",
      message: /Cannot append to "contract\/log" as it is open elsewhere: close other tabs/,
    });
    access.close();
  }));

const results: ContractResult[] = [];
for (const [name, test] of tests) {
  const problem = await test().then(() => null, (error) => String(error.stack ?? error));
  results.push({ name, problem });
}
self.postMessage(results);
