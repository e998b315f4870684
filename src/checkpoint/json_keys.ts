/**
 * Repeated keys in JSON text, of which `JSON.parse` silently keeps the last.
 *
 * @module
 */

/** A string, or one character that opens, closes or separates. */
const TOKEN = /"(?:[^"\\]+|\\.)*"|[{}[\]:,]/gs;

/**
 * The first key that one object of the text holds twice, or undefined.
 *
 * @param json Text that `JSON.parse` accepts.
 */
export function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  let lastString = "";
  for (const [token] of json.matchAll(TOKEN)) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (token.startsWith('"')) lastString = token;
    else if (token === ":") {
      const key = JSON.parse(lastString) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}
