/**
 * Loads plugins from files.
 *
 * @module
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ConfigError, type ConfigIssue } from "../errors.ts";
import { type Plugin, pluginIssues, withPlugins } from "../plugin.ts";
import { STORAGE_BACKENDS } from "../storage/open.ts";
import { TRACKER_BACKENDS } from "./open_tracker.ts";

/**
 * The plugins in files, each the default export of one.
 *
 * @param paths Relative to the current folder.
 * @throws {ConfigError} Listing every file that cannot be loaded or holds no plugin for this Lowrank, and names that clash.
 */
export async function loadPlugins(paths: readonly string[]): Promise<readonly Plugin[]> {
  const plugins: Plugin[] = [], issues: ConfigIssue[] = [];
  for (const path of paths) {
    try {
      const { default: value } = await import(pathToFileURL(resolve(path)).href);
      const found = pluginIssues(value, path);
      if (found.length === 0) plugins.push(value);
      issues.push(...found);
    } catch (error) {
      issues.push({ path, message: `cannot be loaded as a plugin: ${firstLine(error)}` });
    }
  }
  if (issues.length > 0) throw new ConfigError(issues);
  withPlugins(plugins, { storage: STORAGE_BACKENDS, trackers: TRACKER_BACKENDS });
  return plugins;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}
