import assert from "node:assert/strict";
import { S3StorageManager } from "../../src/storage/s3.ts";
import { textOf } from "../../src/storage/s3_xml.ts";
import { CuttingProxy } from "../helpers/cutting_proxy.ts";
import { freePort, type RunningServer, startEmulator, withoutEmulator } from "../helpers/emulators.ts";
import { interruptionTests } from "./interruptions.ts";
import { storageContract } from "./storage_contract.ts";

const ignore = withoutEmulator("versitygw");
const QUICK = { attempts: 4, pauseMs: 5 };
const credentials = { accessKeyId: "test-key-id", secretAccessKey: "test-secret-5318008" };
let server: RunningServer, proxy: CuttingProxy, endpoint: string, root: string;
let buckets = 0;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  root = await Deno.makeTempDir();
  server = await startEmulator(
    "versitygw",
    (port) => ["--port", `127.0.0.1:${port}`, "posix", root],
    { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
  );
  proxy = new CuttingProxy();
  proxy.target = server.port;
  endpoint = `http://127.0.0.1:${proxy.port}`;
});

Deno.test.afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await server?.stop();
  if (root) await Deno.remove(root, { recursive: true });
});

/** A folder of the server's root is a bucket. */
async function newBucket(): Promise<string> {
  const name = `bucket-${++buckets}`;
  await Deno.mkdir(`${root}/${name}`);
  return name;
}

storageContract("S3StorageManager", async (check) => {
  const retries = QUICK;
  await check({
    storage: new S3StorageManager(await newBucket(), { endpoint, credentials }),
    elsewhere: new S3StorageManager("no-such-bucket", { endpoint, credentials, retries }),
  });
}, { ignore });

interruptionTests("S3StorageManager", async (check) => {
  const bucket = await newBucket();
  const wrong = { ...credentials, secretAccessKey: "test-wrong-8008135" };
  await check({
    storage: new S3StorageManager(bucket, { endpoint, credentials, retries: QUICK }),
    proxy,
    within: (retries) => new S3StorageManager(bucket, { endpoint, credentials, retries }),
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    stranger: new S3StorageManager(bucket, { endpoint, credentials: wrong }),
    down: new S3StorageManager(bucket, {
      endpoint: `http://127.0.0.1:${freePort()}`,
      credentials,
      retries: QUICK,
    }),
    secrets: [credentials.secretAccessKey, wrong.secretAccessKey, "Signature="],
  });
}, ignore);

Deno.test("S3StorageManager wants credentials before it asks", async () => {
  const storage = new S3StorageManager("b", {
    endpoint: "http://127.0.0.1:1",
    credentials: { accessKeyId: "", secretAccessKey: "" },
  });
  await assert.rejects(storage.stat("f"), {
    name: "StorageDeniedError",
    message: /"s3:\/\/b\/f" as the service wants credentials \(status 401\): check AWS_ACCESS_KEY_ID/,
  });
});

Deno.test("textOf() reads texts with entities", () => {
  assert.equal(textOf("<a><Key>x&amp;y &lt;&#x41;&#66;&unknown;</Key></a>", "Key"), "x&y <AB&unknown;");
  assert.deepEqual([textOf("<Key/>", "Key"), textOf("<Keys>x</Keys>", "Key")], ["", null]);
});
