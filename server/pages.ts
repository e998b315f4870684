/**
 * Lists in pages, as OpenAI's clients walk them: `after` the last id that they have, while `has_more`.
 *
 * @module
 */

/** Which part of a list is wanted. */
export interface PageRequest {
  /** Id of the entry before the first one; null to begin with the first. */
  readonly after: string | null;
  readonly limit: number;
  readonly order: "asc" | "desc";
}

export interface Page<T> {
  readonly entries: readonly T[];
  readonly hasMore: boolean;
}

/** A page of what was found when one more than fits was asked for. */
export function pageOf<T>(found: readonly T[], limit: number): Page<T> {
  return { entries: found.slice(0, limit), hasMore: found.length > limit };
}

/** A page on the wire. @param withEnds Whether first and last id stand beside it, as for files and checkpoints. */
export function pageToWire(data: readonly { readonly id: string }[], hasMore: boolean, withEnds = false) {
  const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  return { object: "list" as const, data, has_more: hasMore, ...(withEnds ? ends : {}) };
}
