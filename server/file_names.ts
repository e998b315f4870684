/**
 * Names that clients give to files: kept for display, never used as paths.
 *
 * @module
 */

const LONGEST = 200;

/** Kinds of data files by the end of their name; what has none of these is read as JSON Lines. */
const ENDINGS = [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt"];

/** A name without folders, control characters and what breaks headers; `upload` if nothing is left. */
export function displayName(given: string): string {
  const last = given.split(/[/\\]/).at(-1)!;
  // deno-lint-ignore no-control-regex -- they are what is removed
  const plain = last.normalize("NFC").replace(/[\u0000-\u001f\u007f-\u009f"\u2028\u2029\u202a-\u202e]/g, "")
    .trim();
  const short = Array.from(plain).slice(0, LONGEST).join("");
  return short === "" || short === "." || short === ".." ? "upload" : short;
}

/** The ending under which a file's bytes are kept, from a closed set. */
export function keptEnding(filename: string): string {
  return ENDINGS.find((ending) => filename.toLowerCase().endsWith(ending)) ?? ".jsonl";
}

/** The header that has a browser save a file instead of showing it (RFC 6266, RFC 8187). */
export function attachment(filename: string): string {
  const ascii = filename.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const encoded = encodeURIComponent(filename.toWellFormed()).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
