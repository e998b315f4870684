/**
 * The Hub of Hugging Face as the environment names it: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE. Files are kept in the
 * user's cache, of which LOWRANK_CACHE_LIMIT_GB says how large it may become.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { HubStorageManager } from "../storage/hub.ts";
import type { DataPurpose } from "../storage/hub_address.ts";
import { HubDatasets } from "../storage/hub_datasets.ts";
import { HubSnapshots } from "../storage/hub_snapshots.ts";
import { HubToolsCache } from "../storage/hub_tools_cache.ts";
import { SnapshotCache } from "../storage/snapshot_cache.ts";
import { cacheFolder } from "./cache_folder.ts";

let hub: HubSnapshots | null = null;
let datasets: HubDatasets | null = null;

/** Repositories of the Hub and the cache. @throws {ConfigError} Where there is no cache folder, or its limit is no number. */
export function hubSnapshots(): HubSnapshots {
  return hub ??= new HubSnapshots({
    cache: snapshotCache(),
    open: (repository) => new HubStorageManager(repository),
    offline: isOn(Deno.env.get("HF_HUB_OFFLINE")),
    kept: (repository, revision) => new HubToolsCache().snapshot(repository, revision),
  });
}

/** The data sets of the Hub. @throws {ConfigError} As {@link hubSnapshots}. */
export function hubDatasets(): HubDatasets {
  return datasets ??= new HubDatasets(hubSnapshots());
}

/** Files that a data path stands for; see {@link HubDatasets.dataFiles}. */
export async function dataFiles(path: string, purpose: DataPurpose): Promise<readonly string[]> {
  return path.startsWith("hf://") ? await hubDatasets().dataFiles(path, purpose) : [path];
}

function snapshotCache(): SnapshotCache {
  const folder = cacheFolder();
  if (!folder) {
    throw new ConfigError([{
      path: "XDG_CACHE_HOME",
      message: "is missing, and HOME too: models and data sets of the Hub are kept in a cache folder",
    }]);
  }
  return new SnapshotCache(folder, { limitBytes: cacheLimit(Deno.env.get("LOWRANK_CACHE_LIMIT_GB")) });
}

/** Bytes; null for no limit. @throws {ConfigError} */
export function cacheLimit(text: string | undefined): number | null {
  if (!text) return null;
  const limit = Number(text);
  if (limit > 0 && Number.isFinite(limit)) return limit * 1e9;
  throw new ConfigError([{
    path: "LOWRANK_CACHE_LIMIT_GB",
    message: `must be a number of GB above 0: current value is "${text}"`,
  }]);
}

function isOn(text: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(text ?? "");
}
