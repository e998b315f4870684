/**
 * `Upload` of @aws-sdk/lib-storage and `GetObject` of @aws-sdk/client-s3 with their defaults, several files at the same
 * time. Both packages are named in `sdks.json` alone, so that only this benchmark fetches them; the types of what is used
 * are written down here for the same reason.
 *
 * @module
 */
import { createReadStream, createWriteStream } from "node:fs";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { makeFolderOf, pathsBelow, sideBySide } from "./side_by_side.ts";
import type { Mover } from "./transfer_child.ts";

interface ObjectName {
  readonly Bucket: string;
  readonly Key: string;
}

interface Listing {
  readonly Contents?: readonly { readonly Key: string }[];
}

interface ClientS3 {
  readonly S3: new (options: { readonly forcePathStyle: boolean }) => {
    listObjectsV2(request: { readonly Bucket: string; readonly Prefix: string }): Promise<Listing>;
    getObject(request: ObjectName): Promise<{ readonly Body: Readable }>;
  };
}

interface LibStorage {
  readonly Upload: new (
    request: { readonly client: unknown; readonly params: ObjectName & { readonly Body: Readable } },
  ) => { done(): Promise<unknown> };
}

export async function s3Mover(Bucket: string): Promise<Mover> {
  const names = ["@aws-sdk/client-s3", "@aws-sdk/lib-storage"]; // not literals: they are not in deno.json
  const [{ S3 }, { Upload }]: [ClientS3, LibStorage] = [await import(names[0]!), await import(names[1]!)];
  const client = new S3({ forcePathStyle: true }); // what the environment names
  return {
    upload: (folder) =>
      sideBySide(pathsBelow(folder), (path) => {
        const Body = createReadStream(`${folder}/${path}`);
        return new Upload({ client, params: { Bucket, Key: `folder/${path}`, Body } }).done();
      }),
    async download(folder) {
      const { Contents = [] } = await client.listObjectsV2({ Bucket, Prefix: "folder/" });
      await sideBySide(Contents, async ({ Key }) => {
        const path = folder + Key.slice("folder".length);
        makeFolderOf(path);
        const { Body } = await client.getObject({ Bucket, Key });
        await pipeline(Body, createWriteStream(path));
      });
    },
  };
}
