/**
 * A bad line's text, as far as it helps to see what is wrong with it.
 *
 * @module
 */
import type { LineExcerpt } from "../errors.ts";

/** Letters that are shown, and how many of them may come before the place that is wrong. */
const [SHOWN, BEFORE] = [600, 300];

/**
 * The text around the place that is wrong.
 *
 * @param at The place, in UTF-16 units; null where it is not known.
 */
export function excerptOf(text: string, at: number | null = null): LineExcerpt {
  const start = text.length <= SHOWN ? 0 : Math.max(0, Math.min((at ?? 0) - BEFORE, text.length - SHOWN));
  const shown = text.slice(start, start + SHOWN);
  return {
    text: shown.toWellFormed(),
    before: start,
    after: text.length - start - shown.length,
    ...(at === null ? {} : { at: at - start }),
  };
}
