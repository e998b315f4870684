/**
 * Files of the page's own file system, from and to the test.
 *
 * @module
 */
import type { Page } from "playwright-core";
import type { Folder } from "../../src/storage.ts";
import { writeFile } from "../../src/storage.ts";

/** Bytes by path, as numbers: what playwright passes on. */
type Files = Record<string, number[]>;

/** Writes a folder and all below it into the page's file system. */
export async function putFolder(page: Page, path: string, folder: Folder): Promise<void> {
  const files: Files = {};
  await collect(folder, path, files);
  await page.evaluate(async (files: Files) => {
    for (const [path, bytes] of Object.entries(files)) {
      const parts = path.split("/");
      let directory = await navigator.storage.getDirectory();
      for (const part of parts.slice(0, -1)) {
        directory = await directory.getDirectoryHandle(part, { create: true });
      }
      const handle = await directory.getFileHandle(parts.at(-1)!, { create: true });
      const stream = await handle.createWritable();
      await stream.write(Uint8Array.from(bytes));
      await stream.close();
    }
  }, files);
}

async function collect(folder: Folder, path: string, files: Files): Promise<void> {
  for (const name of await folder.list()) {
    const file = await folder.open(name);
    files[`${path}/${name}`] = [...await file.read(0, file.size)];
    await file.close();
  }
  for (const name of await folder.folders()) await collect(folder.folder(name), `${path}/${name}`, files);
}

/** Copies a folder of the page's file system and all below it into one of the test's. */
export async function takeFolder(page: Page, path: string, into: Folder): Promise<void> {
  const files = await page.evaluate(async (path: string) => {
    const files: Files = {};
    const visit = async (directory: FileSystemDirectoryHandle, prefix: string) => {
      for await (const [name, handle] of directory.entries()) {
        if (handle.kind === "directory") {
          await visit(handle as FileSystemDirectoryHandle, `${prefix}${name}/`);
        } else {
          const file = await (handle as FileSystemFileHandle).getFile();
          files[prefix + name] = [...new Uint8Array(await file.arrayBuffer())];
        }
      }
    };
    let start = await navigator.storage.getDirectory();
    for (const part of path.split("/")) start = await start.getDirectoryHandle(part);
    await visit(start, "");
    return files;
  }, path);
  for (const [name, bytes] of Object.entries(files)) {
    const slash = name.lastIndexOf("/");
    const folder = slash < 0 ? into : into.folder(name.slice(0, slash));
    await writeFile(folder, name.slice(slash + 1), Uint8Array.from(bytes));
  }
}
