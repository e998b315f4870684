import assert from "node:assert/strict";
import { parseStorageUri, storageUri } from "../../src/storage_uri.ts";
import { openStorage } from "../../src/storage/open.ts";

Deno.test("parseStorageUri() takes URIs of every scheme apart, and storageUri() puts them together", () => {
  const cases = [
    ["gs://my-bucket/models/a b", "gs", "my-bucket", "models/a b"],
    ["s3://my.bucket", "s3", "my.bucket", ""],
    ["az://container/x/", "az", "container", "x/"],
    ["hf://owner/model/onnx/model.onnx", "hf", "owner/model", "onnx/model.onnx"],
    ["hf://owner/model@v1.0", "hf", "owner/model@v1.0", ""],
    ["hf://datasets/owner/data/train.jsonl", "hf", "datasets/owner/data", "train.jsonl"],
    ["data/train.jsonl", "file", "", "data/train.jsonl"],
    ["C:/data", "file", "", "C:/data"],
  ] as const;
  for (const [uri, scheme, bucket, name] of cases) {
    assert.deepEqual(parseStorageUri(uri), { scheme, bucket, name });
    assert.equal(storageUri({ scheme, bucket, name }), uri);
  }
  assert.deepEqual(parseStorageUri("file:///data/a%20b"), { scheme: "file", bucket: "", name: "/data/a b" });
  assert.deepEqual(parseStorageUri("hf://models/owner/m/x"), { scheme: "hf", bucket: "owner/m", name: "x" });
});

Deno.test("parseStorageUri() says how a URI should be", () => {
  for (
    const [uri, message] of [
      ["ftp://host/x", /"ftp:\/\/host\/x": begins with ftp:\/\/, but storage is one of gs:\/\/, s3:\/\//],
      ["gs://", /needs a bucket .* as in gs:\/\/bucket\/name/],
      ["s3://Bucket/x", /needs a bucket of lower-case letters/],
      ["hf://model", /needs a repository, such as hf:\/\/owner\/model/],
      ["file://host/x", /needs three slashes/],
    ] as const
  ) {
    assert.throws(() => parseStorageUri(uri), { name: "ConfigError", message });
  }
});

Deno.test("openStorage() opens the backend that a URI names", async () => {
  for (const uri of ["gs://bucket/x", "s3://bucket/x", "az://bucket/x", "hf://owner/model/x"]) {
    const { storage, name } = await openStorage(uri);
    assert.deepEqual([storage.uriOf(name), name], [uri, "x"]);
  }
  const path = await Deno.makeTempDir();
  const { storage, name } = await openStorage(`${path}/deep/file`);
  await storage.write(name, new TextEncoder().encode("x"));
  assert.equal(await Deno.readTextFile(`${path}/deep/file`), "x");
  await Deno.remove(path, { recursive: true });
});
