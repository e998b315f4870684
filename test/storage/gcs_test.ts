import assert from "node:assert/strict";
import { StorageDeniedError } from "../../src/errors.ts";
import { readText, writeFile } from "../../src/storage.ts";
import { GcsStorageManager } from "../../src/storage/gcs.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { makeGcsBucket, startGcs } from "../helpers/bucket_services.ts";
import { CuttingProxy } from "../helpers/cutting_proxy.ts";
import { freePort, type RunningServer, withoutEmulator } from "../helpers/emulators.ts";
import { interruptionTests } from "./interruptions.ts";
import { breakOff, noise, same, storageContract } from "./storage_contract.ts";

const ignore = withoutEmulator("fake-gcs-server");
const QUICK = { attempts: 4, pauseMs: 5 };
let server: RunningServer, proxy: CuttingProxy, endpoint: string;
let buckets = 0;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  proxy = new CuttingProxy();
  endpoint = `http://127.0.0.1:${proxy.port}`;
  server = await startGcs(proxy.port);
  proxy.target = server.port;
});

Deno.test.afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await server?.stop();
});

async function newBucket(name = `bucket-${++buckets}`): Promise<string> {
  await makeGcsBucket(endpoint, name);
  return name;
}

storageContract("GcsStorageManager", async (check) => {
  await check({
    storage: new GcsStorageManager(await newBucket(), { endpoint }),
    elsewhere: new GcsStorageManager("no-such-bucket", { endpoint, retries: QUICK }),
  });
}, { ignore, gaps: { conditionalRemove: "fake-gcs-server removes whatever the condition" } });

interruptionTests("GcsStorageManager", async (check) => {
  const bucket = await newBucket();
  const retries = QUICK;
  await check({
    storage: new GcsStorageManager(bucket, { endpoint, retries }),
    proxy,
    within: (retries) => new GcsStorageManager(bucket, { endpoint, retries }),
    env: { STORAGE_EMULATOR_HOST: endpoint },
    stranger: null,
    down: new GcsStorageManager(bucket, { endpoint: `http://127.0.0.1:${freePort()}`, retries }),
    secrets: [],
  });
}, ignore);

Deno.test({
  name: `GcsStorageManager begins anew where the service forgot an upload${
    ignore ? ` (skipped: ${ignore})` : ""
  }`,
  ignore: ignore !== null,
  async fn() {
    const storage = new GcsStorageManager(await newBucket(), { endpoint, retries: QUICK });
    const bytes = noise((16 << 20) + 1);
    const local = new MemoryFolder("local", { big: bytes }), sessions = new MemoryFolder("sessions");
    await breakOff(storage, local, sessions);
    const [note] = await sessions.list();
    const forgotten = (await readText(sessions, note!)).replace(/upload_id=[^"]*/, "upload_id=none");
    assert.match(forgotten, /upload_id=none/);
    await writeFile(sessions, note!, forgotten);
    const stored = await storage.uploadFile(local, "big", "big", { sessions });
    assert.deepEqual([stored.size, await sessions.list()], [bytes.length, []]);
    assert.ok(same(await storage.read("big"), bytes));
  },
});

Deno.test({
  name: `README's example moves folders to and from a bucket${ignore ? ` (skipped: ${ignore})` : ""}`,
  ignore: ignore !== null,
  async fn() {
    const root = new URL("../../", import.meta.url).pathname;
    const readme = await Deno.readTextFile(`${root}README.md`);
    const example = [...readme.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!).find((code) =>
      code.includes("lowrank/storage/gcs")
    );
    const storage = new GcsStorageManager(await newBucket("my-bucket"), { endpoint });
    await storage.write("models/smollm2/config.json", new TextEncoder().encode("{}"));
    const folder = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${folder}/runs/lighthouse/adapter`, { recursive: true });
      await Deno.writeTextFile(`${folder}/runs/lighthouse/adapter/adapter_config.json`, "[]");
      await Deno.writeTextFile(`${folder}/example.ts`, example!);
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-check", "--config", `${root}deno.json`, "--no-prompt"]
          .concat("--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-net=127.0.0.1")
          .concat("example.ts"),
        cwd: folder,
        env: { STORAGE_EMULATOR_HOST: `127.0.0.1:${proxy.port}` },
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      assert.equal(await Deno.readTextFile(`${folder}/models/smollm2/config.json`), "{}");
      const uploaded = await storage.read("adapters/lighthouse/adapter_config.json");
      assert.equal(new TextDecoder().decode(uploaded), "[]");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("GcsStorageManager tells what to set when it may not", async () => {
  for (const status of [401, 403]) {
    const server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      () => new Response("no", { status }),
    );
    const storage = new GcsStorageManager("b", { endpoint: `http://127.0.0.1:${server.addr.port}` });
    for (
      const ask of [
        () => storage.stat("f"),
        () => storage.listPage(),
        () => storage.write("f", new Uint8Array(1)),
        () => storage.remove("f"),
      ]
    ) {
      await assert.rejects(ask, (error: Error) => {
        assert.ok(error instanceof StorageDeniedError, `${error.stack}`);
        assert.match(
          error.message,
          /"gs:\/\/b\/f?" as .* \(status 40[13]\): set GOOGLE_APPLICATION_CREDENTIALS/,
        );
        return true;
      });
    }
    await server.shutdown();
  }
});

Deno.test("GcsStorageManager removes under a condition by its generation", async () => {
  const asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    asked.push(`${request.method} ${new URL(request.url).pathname}${new URL(request.url).search}`);
    return new Response(null, { status: 204 });
  });
  const storage = new GcsStorageManager("b", { endpoint: `http://127.0.0.1:${server.addr.port}` });
  await storage.remove("a/f", { ifVersion: "17" });
  await server.shutdown();
  assert.equal(asked.length, 1);
  assert.match(asked[0]!, /^DELETE \/storage\/v1\/b\/b\/o\/a%2Ff\?.*ifGenerationMatch=17/);
});
