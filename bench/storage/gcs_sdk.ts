/**
 * `TransferManager` of @google-cloud/storage with its defaults.
 *
 * @module
 */
import { Storage, TransferManager } from "@google-cloud/storage";
import { pathsBelow } from "./side_by_side.ts";
import type { Mover } from "./transfer_child.ts";

export function gcsMover(bucketName: string): Mover {
  const storage = new Storage({ projectId: "bench", apiEndpoint: Deno.env.get("STORAGE_EMULATOR_HOST")! });
  storage.baseUrl = `${storage.apiEndpoint}/storage/v1`; // the variable of the emulator leaves its path out
  const bucket = storage.bucket(bucketName), manager = new TransferManager(bucket);
  return {
    upload: (folder) =>
      manager.uploadManyFiles(pathsBelow(folder).map((path) => `${folder}/${path}`), {
        customDestinationBuilder: (path) => `folder/${path.slice(folder.length + 1)}`,
      }),
    async download(folder) {
      const [files] = await bucket.getFiles({ prefix: "folder/" });
      for (const kind of ["large", "middle", "small"]) {
        Deno.mkdirSync(`${folder}/${kind}`, { recursive: true });
      }
      await manager.downloadManyFiles(files, {
        stripPrefix: "folder/",
        passthroughOptions: { destination: folder },
      });
    },
  };
}
