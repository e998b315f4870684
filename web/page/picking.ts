/**
 * Files that a person picked, as what the worker takes.
 *
 * @module
 */
import type { NamedContent } from "../protocol/data.ts";
import type { PickedFiles } from "../protocol/models.ts";

/** A file with its path where a folder was picked. */
type Picked = File & { readonly webkitRelativePath?: string };

/** One folder with all below it, or a file that is a model by itself; null for nothing. */
export function pickedFiles(files: readonly Picked[]): PickedFiles | null {
  const [first] = files;
  if (!first) return null;
  const folder = first.webkitRelativePath?.split("/")[0] ?? "";
  if (folder === "") {
    return {
      name: plainName(first.name.replace(/\.gguf$/i, "")),
      files: [{ path: first.name, file: first }],
    };
  }
  const below = files.map((file) => ({ path: file.webkitRelativePath!.slice(folder.length + 1), file }));
  return { name: plainName(folder), files: below };
}

/** Ending of a pasted text by what it begins with: JSON Lines, a JSON array, or CSV. */
export function pastedData(text: string): NamedContent {
  const first = text.trimStart()[0];
  const ending = first === "[" ? "json" : first === "{" ? "jsonl" : "csv";
  return { name: `pasted.${ending}`, content: new Blob([text]) };
}

/** A file as data, by a name that a path may hold. */
export function dataFile(file: File): NamedContent {
  return { name: plainName(file.name), content: file };
}

/** Separators and what paths read as patterns become dashes. */
function plainName(name: string): string {
  return name.replace(/[/\\*?,\0]/g, "-").replace(/^\.+/, "") || "unnamed";
}
