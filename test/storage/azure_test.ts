import assert from "node:assert/strict";
import { ContainerClient } from "@azure/storage-blob";
import { AzureStorageManager } from "../../src/storage/azure.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { azureConnection, startAzurite } from "../helpers/bucket_services.ts";
import { CuttingProxy } from "../helpers/cutting_proxy.ts";
import { freePort, type RunningServer, withoutEmulator } from "../helpers/emulators.ts";
import { interruptionTests } from "./interruptions.ts";
import { storageContract } from "./storage_contract.ts";

const ignore = withoutEmulator("azurite");
const QUICK = { attempts: 4, pauseMs: 5 };
const KEY = btoa("a key of the tests, 5318008");
let server: RunningServer, proxy: CuttingProxy;
let containers = 0;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  server = await startAzurite({ name: "tests", key: KEY });
  proxy = new CuttingProxy();
  proxy.target = server.port;
});

Deno.test.afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await server?.stop();
});

function connection(port: number, key = KEY): string {
  return azureConnection(port, { name: "tests", key });
}

async function newContainer(): Promise<string> {
  const name = `container-${++containers}`;
  await new ContainerClient(connection(proxy.port), name).create();
  return name;
}

storageContract("AzureStorageManager", async (check) => {
  const connectionString = connection(proxy.port);
  await check({
    storage: new AzureStorageManager(await newContainer(), { connectionString }),
    elsewhere: new AzureStorageManager("no-such-container", { connectionString, retries: QUICK }),
  });
}, { ignore });

interruptionTests("AzureStorageManager", async (check) => {
  const container = await newContainer();
  const retries = QUICK;
  const wrong = btoa("a wrong key of the tests");
  await check({
    storage: new AzureStorageManager(container, { connectionString: connection(proxy.port), retries }),
    proxy,
    within: (retries) =>
      new AzureStorageManager(container, { connectionString: connection(proxy.port), retries }),
    env: { AZURE_STORAGE_CONNECTION_STRING: connection(proxy.port) },
    stranger: new AzureStorageManager(container, { connectionString: connection(proxy.port, wrong) }),
    down: new AzureStorageManager(container, { connectionString: connection(freePort()), retries }),
    secrets: [KEY, wrong, "SharedKey", "sig="],
  });
}, ignore);

Deno.test({
  name: `AzureStorageManager checks files of other tools by their MD5${
    ignore ? ` (skipped: ${ignore})` : ""
  }`,
  ignore: ignore !== null,
  async fn() {
    const container = await newContainer();
    const client = new ContainerClient(connection(proxy.port), container);
    const blob = client.getBlockBlobClient("f");
    await blob.upload("other tool", 10);
    const storage = new AzureStorageManager(container, { connectionString: connection(proxy.port) });
    const { checksum } = await storage.stat("f");
    assert.deepEqual(checksum, { algorithm: "md5", hex: "bc2e2c84a69d73b587c6b9e8cbd3d1a6" });
    const folder = new MemoryFolder();
    await storage.downloadFile("f", folder);
    await blob.setHTTPHeaders({ blobContentMD5: new Uint8Array(16) });
    await assert.rejects(storage.downloadFile("f", folder, { as: "g" }), { name: "StorageDamagedError" });
    assert.deepEqual(await folder.list(), ["f"]);
  },
});

Deno.test("AzureStorageManager wants an account before it asks", async () => {
  const storage = new AzureStorageManager("c", { connectionString: "", account: "", key: "" });
  await assert.rejects(storage.stat("f"), {
    name: "StorageDeniedError",
    message:
      /"az:\/\/c\/f" as the service wants credentials \(status 401\): check AZURE_STORAGE_CONNECTION_STRING/,
  });
});
