/**
 * Handing bytes to the user as a file.
 *
 * @module
 */

/** Bytes that are saved later than this after the press are no longer kept, milliseconds. */
const KEPT_MS = 60_000;

export function saveAs(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
