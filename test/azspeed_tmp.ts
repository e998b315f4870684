import { AzureStorageManager } from "../src/storage/azure.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { azureConnection, startAzurite } from "./helpers/bucket_services.ts";
import { ContainerClient } from "@azure/storage-blob";
const KEY = btoa("a key of the tests, 5318008");
const server = await startAzurite({ name: "tests", key: KEY });
const connectionString = azureConnection(server.port, { name: "tests", key: KEY });
await new ContainerClient(connectionString, "cutter").create();
const storage = new AzureStorageManager("cutter", { connectionString });
const big = new Uint8Array(120_000_003);
for (let i = 0; i < big.length; i += 65536) {
  crypto.getRandomValues(big.subarray(i, Math.min(i + 65536, big.length)));
}
const local = new MemoryFolder("l", { big });
const ts = [];
for (let i = 0; i < 4; i++) {
  const t = performance.now();
  await storage.uploadFile(local, "big", "b" + i);
  ts.push(((performance.now() - t) / 1000).toFixed(2));
}
console.log(ts.join(" "), (Deno.memoryUsage().rss / 1e6).toFixed(0) + " MB rss");
await server.stop();
Deno.exit(0);
