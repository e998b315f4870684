/**
 * A line of a terminal that is drawn again in place, and gives way to whole lines.
 *
 * @module
 */

/** Empties the line under the cursor. */
export const CLEAR_LINE = "\r\x1b[K";

export class LiveLine {
  readonly #write: (text: string) => void;
  #isOpen = false;

  /** Draws nothing yet. */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Draws it anew and leaves it open. */
  redraw(text: string): void {
    this.#write(CLEAR_LINE + text);
    this.#isOpen = true;
  }

  /** A whole line, in place of an open one. */
  line(text: string): void {
    this.#write(`${this.#isOpen ? CLEAR_LINE : ""}${text}\n`);
    this.#isOpen = false;
  }

  /** Ends an open one, so that what follows starts on a line of its own. */
  close(): void {
    if (this.#isOpen) this.#write("\n");
    this.#isOpen = false;
  }
}
