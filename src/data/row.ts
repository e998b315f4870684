/**
 * A record of a data file before anything is known of it.
 *
 * @module
 */

/** A JSON object. */
export type Row = Readonly<Record<string, unknown>>;

/** Whether a JSON value is an object. */
export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a JSON value is, for messages: `a number`, `an array`, `null`. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "missing";
  return Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** The first keys of a row, quoted, for messages. */
export function keysOf(row: Row): string {
  return Object.keys(row).slice(0, 8).map((key) => JSON.stringify(key.slice(0, 40))).join(", ") || "no keys";
}

/** Where a value holds half of a surrogate pair, such as `messages[0].content`; null if nowhere. */
export function illFormedAt(value: unknown, path: string): string | null {
  if (typeof value === "string") return value.isWellFormed() ? null : path;
  if (typeof value !== "object" || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    const step = Array.isArray(value) ? `[${key}]` : path === "" ? key : `.${key}`;
    const found = illFormedAt(inner, path + step);
    if (found) return found;
  }
  return null;
}

/** Reads text as JSON where a table's cell holds a list or an object; other values stay. */
export function fromCell(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
