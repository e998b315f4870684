import { LocalStorageManager } from "../../src/storage/local_store.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { ObjectStorageManager } from "../../src/storage/object_storage_manager.ts";
import { MemoryStore } from "../../src/storage/memory_store.ts";
import { noBucket } from "../../src/storage/failures.ts";
import { storageContract } from "./storage_contract.ts";

/** A bucket that is not there. */
class NoStore extends MemoryStore {
  override head = (name: string) => this.#refused(name);
  override page = () => this.#refused("");
  #refused(name: string): Promise<never> {
    const advice = { bucket: "bucket", denied: "" };
    return Promise.reject(noBucket({ verb: "look at", uri: `${this.uri}/${name}` }, advice));
  }
}

storageContract("MemoryStorageManager", async (check) => {
  await check({ storage: new MemoryStorageManager(), elsewhere: new ObjectStorageManager(new NoStore()) });
});

storageContract("LocalStorageManager", async (check) => {
  const path = await Deno.makeTempDir();
  try {
    await check({
      storage: new LocalStorageManager(path),
      elsewhere: new LocalStorageManager(`${path}/none`),
    });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
