/**
 * The cache of Hugging Face's own tools: what is in it is not downloaded again, and serves where the Hub is not asked.
 */
import assert from "node:assert/strict";
import { ModelSource } from "../../src/model_source.ts";
import { readText } from "../../src/storage.ts";
import { HubStore } from "../../src/storage/hub.ts";
import { HubSnapshots } from "../../src/storage/hub_snapshots.ts";
import { HubToolsCache } from "../../src/storage/hub_tools_cache.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { ObjectStorageManager } from "../../src/storage/object_storage_manager.ts";
import { SnapshotCache } from "../../src/storage/snapshot_cache.ts";
import { COMMIT, gitName, type HubServer, sha256, startHub } from "./hub_server.ts";

const CONFIG = '{"model_type":"llama"}', WEIGHTS = "weights ".repeat(40_000);

/** Puts a repository's files where the tools put them. */
async function keep(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  const place = `${root}/models--owner--ember`;
  for (const folder of ["blobs", "refs", `snapshots/${COMMIT}`]) {
    await Deno.mkdir(`${place}/${folder}`, { recursive: true });
  }
  await Deno.writeTextFile(`${place}/refs/main`, COMMIT);
  for (const [name, text] of Object.entries(files)) {
    const bytes = new TextEncoder().encode(text);
    const hex = name.endsWith(".safetensors") ? sha256(bytes) : gitName(bytes);
    await Deno.writeFile(`${place}/blobs/${hex}`, bytes);
    await Deno.symlink(`../../blobs/${hex}`, `${place}/snapshots/${COMMIT}/${name}`);
  }
}

async function withKept(
  files: Readonly<Record<string, string>>,
  body: (root: string, hub: HubServer, open: (repository: string) => Repository) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "lowrank-kept-" });
  await using hub = startHub();
  try {
    await keep(root, files);
    const kept = new HubToolsCache(root);
    await body(
      root,
      hub,
      (repository) => new Repository(new HubStore(repository, { endpoint: hub.endpoint }, kept)),
    );
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** As `HubStorageManager`, over a store that was made by hand. */
class Repository extends ObjectStorageManager {
  constructor(readonly hub: HubStore) {
    super(hub);
  }
  state(signal?: AbortSignal) {
    return this.hub.state(signal);
  }
  similar(signal?: AbortSignal) {
    return this.hub.similar(signal);
  }
}

const downloads = ({ asked }: HubServer) =>
  asked.filter((line) => line.startsWith("GET") && /resolve|cdn/.test(line)).map((line) =>
    line.split("/").at(-1)
  );

Deno.test("files that the Hub's tools have are not asked for, the others are, and damaged ones too", () =>
  withKept({ "config.json": CONFIG, "model.safetensors": WEIGHTS }, async (root, hub, open) => {
    const to = new MemoryFolder("to");
    await open("owner/ember").downloadFolder("", to, { include: (path) => !path.includes("/") });
    assert.deepEqual(downloads(hub), ["README.md"]);
    assert.deepEqual([await readText(to, "config.json"), await readText(to, "model.safetensors")], [
      CONFIG,
      WEIGHTS,
    ]);

    const blob = `${root}/models--owner--ember/blobs/${sha256(new TextEncoder().encode(WEIGHTS))}`;
    await Deno.writeTextFile(blob, WEIGHTS.replace("w", "W"));
    hub.asked.length = 0;
    const other = new Repository(
      new HubStore("owner/ember", { endpoint: hub.endpoint }, new HubToolsCache(root)),
    );
    await other.downloadFile("model.safetensors", to);
    assert.equal(await readText(to, "model.safetensors"), WEIGHTS);
    assert.deepEqual([...new Set(downloads(hub))], ["model.safetensors"]);
  }));

Deno.test("where the Hub is not to be asked, or does not answer, a snapshot of its tools serves", () =>
  withKept({ "config.json": CONFIG, "model.safetensors": WEIGHTS }, async (root, hub, open) => {
    const kept = new HubToolsCache(root);
    const source = (offline: boolean, folder: MemoryFolder) => {
      const cache = new SnapshotCache(folder);
      const snapshots = new HubSnapshots({
        cache,
        offline,
        open: (name) => open(name),
        kept: (repository, revision) => kept.snapshot(repository, revision),
      });
      return new ModelSource({ files: (path) => new LocalFolder(`${root}/${path}`), hub: () => snapshots });
    };
    const own = new MemoryFolder("cache");
    const { folder } = await source(true, own).find("owner/ember");
    assert.equal(await readText(folder, "model.safetensors"), WEIGHTS);
    assert.deepEqual(hub.asked, []);
    await assert.rejects(
      source(true, own).find("owner/other"),
      /HF_HUB_OFFLINE is set and the cache does not hold it/,
    );

    // later, with the Hub: the whole state, of which no byte comes twice
    const whole = await source(false, own).find("owner/ember");
    assert.ok(await whole.folder.exists("README.md"));
    assert.deepEqual(downloads(hub), ["README.md"]);
  }));

Deno.test("HubToolsCache passes by what is not there, and names that are none", async () => {
  const kept = new HubToolsCache("/no/such/folder");
  const file = { name: "a", size: 1, version: "1", checksum: { algorithm: "sha256", hex: "00" } } as const;
  assert.equal(await kept.open("owner/ember", file), null);
  assert.equal(
    await kept.open("../../etc", { ...file, checksum: { algorithm: "sha256", hex: "../passwd" } }),
    null,
  );
  assert.equal(await kept.snapshot("datasets/owner/rows", "main"), null);
  assert.equal(await new HubToolsCache(null).snapshot("owner/ember", "main"), null);
});
