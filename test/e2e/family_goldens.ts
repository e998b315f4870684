/**
 * The golden cases of families, and a folder of them that a browser can read.
 *
 * @module
 */
import { MODEL_FAMILIES } from "../../src/models/registry.ts";
import { LISTING_FILE } from "../../web/storage/http_folder.ts";

/** Where the goldens are, beside the checkout. */
export const GOLDENS = new URL("../../../shared/golden", import.meta.url).pathname;

/** What a step needs of a case. */
const NEEDED = {
  "": ["golden.safetensors"],
  "base": ["config.json", "model.safetensors"],
  "adapter": ["adapter_config.json", "adapter_model.safetensors"],
};

/** Names of the cases, one for each family that has a case of its name; none where the goldens are absent. */
export async function goldenCases(): Promise<string[]> {
  const names = [...MODEL_FAMILIES.keys()].map((modelType) => modelType.replace(/_text$/, ""));
  const found: string[] = [];
  for (const name of new Set(names)) {
    if (await Deno.stat(`${GOLDENS}/${name}`).then(() => true, () => false)) found.push(name);
  }
  return found;
}

/** Copies cases into a folder, each folder with the listing that HttpFolder reads. */
export async function serveGoldens(names: readonly string[], out: string): Promise<void> {
  for (const name of names) {
    for (const [folder, files] of Object.entries(NEEDED)) {
      const path = `${name}/${folder}`;
      await Deno.mkdir(`${out}/${path}`, { recursive: true });
      for (const file of files) {
        await Deno.writeFile(`${out}/${path}/${file}`, await Deno.readFile(`${GOLDENS}/${path}/${file}`));
      }
      await list(`${out}/${path}`, files);
    }
  }
  await list(out, names.map((name) => `${name}/`));
}

async function list(folder: string, names: readonly string[]): Promise<void> {
  await Deno.writeTextFile(`${folder}/${LISTING_FILE}`, JSON.stringify(names));
}
