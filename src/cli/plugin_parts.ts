/**
 * What a command reads models and data with: Lowrank's own parts, and those of the plugins that it names.
 *
 * @module
 */
import { type Plugin, type Registries, withPlugins } from "../plugin.ts";
import type { OpenStorage } from "../storage_manager.ts";
import { openStorage, STORAGE_BACKENDS } from "../storage/open.ts";

/** Parts to read with. */
export interface PluginParts extends Pick<Registries, "dataFormats" | "modelFamilies"> {
  /** Opens buckets, those of plugins too. */
  readonly open: OpenStorage;
}

/** @throws {ConfigError} If a plugin takes a name that is taken. */
export function partsOf(plugins: readonly Plugin[]): PluginParts {
  const { dataFormats, modelFamilies, storage } = withPlugins(plugins, { storage: STORAGE_BACKENDS });
  return { dataFormats, modelFamilies, open: (uri) => openStorage(uri, storage) };
}
