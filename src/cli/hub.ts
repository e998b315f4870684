/**
 * The Hub of Hugging Face as the environment names it: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE. Files are kept in the
 * user's cache.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { DataPurpose } from "../storage/hub_address.ts";
import { HubDatasets } from "../storage/hub_datasets.ts";
import { cacheFolder } from "./cache_folder.ts";

let opened: HubDatasets | null = null;

/** The data sets of the Hub. @throws {ConfigError} Where there is no cache folder. */
export function hubDatasets(): HubDatasets {
  if (opened) return opened;
  const cache = cacheFolder();
  if (!cache) {
    throw new ConfigError([{
      path: "XDG_CACHE_HOME",
      message: "is missing, and HOME too: data sets of the Hub are kept in a cache folder",
    }]);
  }
  const { HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE } = Deno.env.toObject();
  return opened = new HubDatasets({
    endpoint: HF_ENDPOINT || "https://huggingface.co",
    token: HF_TOKEN?.trim() || null,
    cache,
    offline: /^(1|true|yes|on)$/i.test(HF_HUB_OFFLINE ?? ""),
  });
}

/** Files that a data path stands for; see {@link HubDatasets.dataFiles}. */
export async function dataFiles(path: string, purpose: DataPurpose): Promise<readonly string[]> {
  return path.startsWith("hf://") ? await hubDatasets().dataFiles(path, purpose) : [path];
}
