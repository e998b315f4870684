/**
 * Bodies of requests to Google Cloud Storage, sent from where their bytes are: a body of bytes would be copied whole, twice.
 *
 * @module
 */

/** Parts of an upload must be multiples of it. */
export const PIECE = 256 << 10;

/** Some bytes after others, in pieces; `moved` is called for each that is taken. */
export function piecesOf(all: readonly Uint8Array[], moved: () => void): ReadableStream<Uint8Array> {
  const pieces = all.values().flatMap(function* (bytes) {
    for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
  });
  return new ReadableStream({
    pull(controller) {
      moved();
      const { value, done } = pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  }, { highWaterMark: 0 });
}

/** What is said about a file and the file, as one body of type `multipart/related`. */
export function relatedParts(
  metadata: Readonly<Record<string, string>>,
  contentType: string,
  bytes: Uint8Array,
): { readonly type: string; readonly parts: readonly Uint8Array[] } {
  const boundary = crypto.randomUUID();
  const head = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${JSON.stringify(metadata)}\r\n` +
    `--${boundary}\r\ncontent-type: ${contentType}\r\n\r\n`;
  const encoder = new TextEncoder();
  return {
    type: `multipart/related; boundary=${boundary}`,
    parts: [encoder.encode(head), bytes, encoder.encode(`\r\n--${boundary}--\r\n`)],
  };
}
