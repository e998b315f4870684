import assert from "node:assert/strict";
import { AzureStorageManager } from "../../src/storage/azure.ts";
import { GcsStorageManager } from "../../src/storage/gcs.ts";
import { HubStorageManager } from "../../src/storage/hub.ts";
import { S3StorageManager } from "../../src/storage/s3.ts";
import type { StorageManager } from "../../src/storage_manager.ts";
import { leaks, PASSWORD, PLANTED } from "../helpers/planted_secrets.ts";

const retries = { attempts: 2, pauseMs: 1 };
const bytes = new TextEncoder().encode("x");

/** The backends with planted credentials, asking a server of this machine. */
function backendsAt(host: string): Record<string, StorageManager> {
  const key = btoa(PASSWORD), signed = PLANTED.AZURE_STORAGE_SAS_TOKEN;
  const account = `DefaultEndpointsProtocol=http;AccountName=acct;BlobEndpoint=http://${host}/acct`;
  return {
    gcs: new GcsStorageManager("bucket", { endpoint: `http://${host}`, retries }),
    s3: new S3StorageManager("bucket", {
      endpoint: `http://${host}`,
      credentials: {
        accessKeyId: PLANTED.AWS_ACCESS_KEY_ID,
        secretAccessKey: PLANTED.AWS_SECRET_ACCESS_KEY,
        sessionToken: PLANTED.AWS_SESSION_TOKEN,
      },
      retries,
    }),
    azure: new AzureStorageManager("container", {
      connectionString: `${account};AccountKey=${key};`,
      retries,
    }),
    "azure with a signature": new AzureStorageManager("container", {
      connectionString: `BlobEndpoint=http://${host}/acct;SharedAccessSignature=${signed}`,
      retries,
    }),
    hub: new HubStorageManager("owner/model", {
      endpoint: `http://${host}`,
      token: PLANTED.HF_TOKEN,
      retries,
    }),
  };
}

async function assertTellsNothing(host: string): Promise<void> {
  for (const [name, storage] of Object.entries(backendsAt(host))) {
    for (const work of [() => storage.read("a/b.json"), () => storage.write("a/b.json", bytes)]) {
      const error = await work().then(() => assert.fail(`${name} did not fail`), (error) => error);
      assert.deepEqual(leaks(Deno.inspect(error, { depth: 9, showHidden: true })), [], name);
    }
  }
}

Deno.test("no backend's error tells a secret, even of a service that sends back all it was sent", async () => {
  for (const status of [401, 403, 500]) {
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
      const sent = `${request.url} ${JSON.stringify([...request.headers])}`;
      return new Response(`<Error><Code>${sent}</Code><Message>${sent}</Message></Error>`, { status });
    });
    try {
      await assertTellsNothing(`127.0.0.1:${server.addr.port}`);
    } finally {
      await server.shutdown();
    }
  }
});

Deno.test("no backend's error tells a secret when nobody answers", () => assertTellsNothing("127.0.0.1:1"));
