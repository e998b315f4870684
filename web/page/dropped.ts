/**
 * What was dropped onto the page: a model's folder or file, settings, or data.
 *
 * @module
 */
import type { NamedContent } from "../protocol/data.ts";
import type { PickedFiles } from "../protocol/models.ts";
import { isConfigName } from "./given_settings.ts";
import { dataFile, pickedFiles } from "./picking.ts";

/** Files as what they seem to be. */
export type Dropped =
  | { readonly kind: "model"; readonly picked: PickedFiles }
  | { readonly kind: "settings"; readonly file: File }
  | { readonly kind: "data"; readonly given: NamedContent };

/** Files that only models have. */
const OF_MODELS = /(^|\/)(config\.json|tokenizer\.json|[^/]*\.safetensors)$/;

/** A folder is a model, and so is a GGUF file; a config file is settings; null for nothing that can be used. */
export async function droppedOn({ items }: Pick<DataTransfer, "items">): Promise<Dropped | null> {
  // to be asked for before anything is waited for: the browser forgets them then
  const given = [...items].map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const files = given.map((one) => one instanceof File ? [one] : one ? filesBelow(one, "") : []);
  const found = (await Promise.all(files)).flat(), [first] = found;
  return first && isConfigName(pathOf(first)) && !pathOf(first).includes("/")
    ? { kind: "settings", file: first }
    : whatIs(found);
}

/** What files are, each with its path below what was dropped. */
export function whatIs(files: readonly File[]): Dropped | null {
  const paths = files.map(pathOf);
  const isModel = files.length > 0 &&
    (/\.gguf$/i.test(paths[0]!) || (paths[0]!.includes("/") && paths.some((path) => OF_MODELS.test(path))));
  const picked = isModel ? pickedFiles(files) : null;
  if (picked) return { kind: "model", picked };
  const [data] = files.filter(({ name }) => !name.startsWith("."));
  return data ? { kind: "data", given: dataFile(data) } : null;
}

function pathOf(file: File): string {
  return file.webkitRelativePath || file.name;
}

async function filesBelow(entry: FileSystemEntry, above: string): Promise<File[]> {
  const path = above + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject)
    );
    // as a folder that was chosen has it
    return [above === "" ? file : Object.defineProperty(file, "webkitRelativePath", { value: path })];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader(), below: FileSystemEntry[] = [];
  for (;;) { // a reader gives a hundred at a time
    const more = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    if (more.length === 0) break;
    below.push(...more);
  }
  return (await Promise.all(below.map((inner) => filesBelow(inner, `${path}/`)))).flat();
}
