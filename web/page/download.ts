/**
 * Handing bytes to the user as a file.
 *
 * @module
 */

/** Bytes that are saved later than this after the press are no longer kept, milliseconds. */
const KEPT_MS = 60_000;

export function saveAs(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  saveFrom(address, name);
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}

/** Has the browser fetch a file itself, from this origin. */
export function saveFrom(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

/** What some browsers have and TypeScript's types lack. */
interface FilePicker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

/**
 * Asks where a large file is to go, so that it is written there at once. To be called while a press is handled.
 *
 * @returns Null where the browser cannot be asked; undefined where the user wants no file after all.
 */
export async function pickTarget(suggestedName: string): Promise<FileSystemFileHandle | null | undefined> {
  const { showSaveFilePicker } = globalThis as FilePicker;
  if (!showSaveFilePicker) return null;
  try {
    return await showSaveFilePicker({ suggestedName });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return undefined;
    throw error;
  }
}
