/**
 * What the page's scripts take in place of what the command takes: kernels without comments and indentation, and loggers
 * that are silent. Deno only.
 *
 * @module
 */
import { pathToFileURL } from "node:url";

const ROOT = new URL("../../", import.meta.url);

/**
 * Writes an import map, and what it points to, into a folder.
 *
 * @returns The map's path.
 */
export async function writePageImports(folder: string): Promise<string> {
  const config: { imports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", ROOT)),
  );
  const imports = { ...config.imports };
  for (const [name, target] of Object.entries(imports)) {
    if (target.startsWith("./")) imports[name] = new URL(target, ROOT).href;
  }
  imports["@logtape/logtape"] = new URL("web/build/silent_logger.ts", ROOT).href;
  for (const path of await kernelTexts("kernels")) {
    const copy = `${folder}/${path.replaceAll("/", "_")}`;
    await Deno.writeTextFile(copy, withoutComments(await Deno.readTextFile(new URL(path, ROOT))));
    imports[new URL(path, ROOT).href] = pathToFileURL(copy).href;
  }
  const map = `${folder}/imports.json`;
  await Deno.writeTextFile(map, JSON.stringify({ imports }));
  return map;
}

/** WGSL as short as it gets without being understood. The kernels have no block comments. */
export function withoutComments(wgsl: string): string {
  return wgsl.replace(/\/\/.*/g, "").split("\n").map((line) => line.trim()).filter(Boolean).join("\n");
}

async function kernelTexts(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await kernelTexts(path));
    else if (name.endsWith(".wgsl")) found.push(path);
  }
  return found;
}
