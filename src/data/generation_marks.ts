/**
 * `{% generation %}` of a chat template: what it encloses is what the assistant writes, so it is what is trained.
 *
 * The interpreter drops the tag. Here it becomes a mark in the rendered text, a code point that Unicode reserves for
 * inner use, and the marks become spans.
 *
 * @module
 */

const [OPEN, CLOSE] = ["\uFDD2", "\uFDD3"];

/** From where to where, in UTF-16 units. */
export interface TextSpan {
  /** First unit of the text. */
  readonly start: number;
  /** One past the last. */
  readonly end: number;
}

/** The same template, whose `generation` tags write marks. White space control stays as it was. */
export function markGenerations(source: string): string {
  return source.replace(
    /\{%(-?)\s*(end)?generation\s*(-?)%\}/g,
    (_, left: string, end: string | undefined, right: string) =>
      `{%${left} if true %}${end ? CLOSE : OPEN}{% endif ${right}%}`,
  );
}

/** A rendered text without its marks, and the spans that they enclosed; null where it has none. */
export function takeGenerations(text: string): { text: string; spans: TextSpan[] | null } {
  if (!text.includes(OPEN!)) return { text, spans: null };
  let plain = "", start = 0;
  const spans: TextSpan[] = [];
  for (const piece of text.split(/([\uFDD2\uFDD3])/)) {
    if (piece === OPEN) start = plain.length;
    else if (piece === CLOSE) spans.push({ start, end: plain.length });
    else plain += piece;
  }
  return { text: plain, spans };
}
