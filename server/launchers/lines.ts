/**
 * Text in lines.
 *
 * @module
 */

/** Characters of a line, at most: a process that prints without end does not fill the memory. */
const LONGEST_LINE = 1 << 24;

/** Cuts text at its line ends; what comes after the last one is a line too. */
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
