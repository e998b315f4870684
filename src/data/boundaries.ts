import type { Tokenizer } from "./tokenizer.ts";

/** A text's token ids, and for each boundary in the text how many tokens end at or before it. */
export interface BoundedIds {
  readonly ids: readonly number[];
  readonly counts: readonly number[];
}

/**
 * Encodes a text as a whole and finds where boundaries in the text fall between its tokens. A token that straddles
 * a boundary belongs to the side where it ends.
 *
 * The encoder tells no offsets. Where the pieces between the boundaries, encoded one by one, join to the ids of the
 * whole, each piece's tokens are known. Where they do not (a token straddles, or the encoder treats the start of a
 * text apart), the text before a boundary is encoded: the ids it shares with the whole end before the boundary, and
 * the whole's next tokens do as long as what they spell stays a beginning of that text.
 *
 * @param boundaries Offsets in UTF-16 units, ascending, between characters.
 */
export function encodeWithBoundaries(
  tokenizer: Tokenizer,
  text: string,
  boundaries: readonly number[],
): BoundedIds {
  const ids = tokenizer.encode(text);
  const cuts = [0, ...boundaries, text.length];
  const pieces = cuts.slice(1).map((end, i) => tokenizer.encode(text.slice(cuts[i], end)));
  const joined = pieces.flat();
  if (joined.length === ids.length && joined.every((id, i) => id === ids[i])) {
    let count = 0;
    return { ids, counts: pieces.slice(0, -1).map((piece) => count += piece.length) };
  }
  return { ids, counts: boundaries.map((end) => countBefore(tokenizer, ids, text.slice(0, end))) };
}

/** How many of the first ids spell no more than the text before a boundary. */
function countBefore(tokenizer: Tokenizer, ids: readonly number[], before: string): number {
  const alone = tokenizer.encode(before);
  let count = 0;
  while (count < alone.length && alone[count] === ids[count]) count++;
  const target = tokenizer.decode(alone);
  for (let next = count + 1; next <= ids.length; next++) {
    const spelled = tokenizer.decode(ids.slice(0, next));
    if (target.startsWith(spelled)) {
      count = next;
      continue;
    }
    // Part of a character spells U+FFFD until its last byte is there.
    if (!target.startsWith(spelled.replace(/\uFFFD+$/, "")) || spelled.length > target.length) break;
  }
  return count;
}
