/**
 * Text of another process, line by line.
 *
 * @module
 */

/** Characters of a line, at most: a process that prints without end does not fill the memory. */
const LONGEST_LINE = 1 << 24;

/** Cuts text at its line ends; what comes after the last one is a line too, unless it is empty. */
export class TextLineStream extends TransformStream<string, string> {
  constructor() {
    let rest = "";
    super({
      transform(chunk, controller) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop()!.slice(-LONGEST_LINE);
        for (const line of lines) controller.enqueue(line);
      },
      flush(controller) {
        if (rest !== "") controller.enqueue(rest);
      },
    });
  }
}

/** The lines of a stream of bytes. */
export function linesOf(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<string> {
  return bytes.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
}
