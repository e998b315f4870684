/**
 * `uploadFile` and `downloadToFile` of @azure/storage-blob with their defaults, several files at the same time.
 *
 * @module
 */
import { ContainerClient } from "@azure/storage-blob";
import { makeFolderOf, pathsBelow, sideBySide } from "./side_by_side.ts";
import type { Mover } from "./transfer_child.ts";

export function azureMover(container: string): Mover {
  const client = new ContainerClient(Deno.env.get("AZURE_STORAGE_CONNECTION_STRING")!, container);
  return {
    upload: (folder) =>
      sideBySide(
        pathsBelow(folder),
        (path) => client.getBlockBlobClient(`folder/${path}`).uploadFile(`${folder}/${path}`),
      ),
    async download(folder) {
      const blobs = await Array.fromAsync(client.listBlobsFlat({ prefix: "folder/" }));
      await sideBySide(blobs, ({ name }) => {
        const path = folder + name.slice("folder".length);
        makeFolderOf(path);
        return client.getBlobClient(name).downloadToFile(path);
      });
    },
  };
}
