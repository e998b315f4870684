/**
 * What the server's own processes say on standard output: a JSON object a line.
 *
 * @module
 */
const encoder = new TextEncoder();

/** Writes a word as a line, at once. @throws If nobody reads it. */
export function say(word: unknown): void {
  let bytes = encoder.encode(`${JSON.stringify(word)}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}
