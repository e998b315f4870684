/**
 * How tokens are divided into passes over the model.
 *
 * @module
 */
import { bucketLength } from "../data/collate.ts";

/** One token and where it stands. */
export interface PlacedToken {
  readonly id: number;
  /** Row of the cache. */
  readonly row: number;
  /** From 0; all earlier positions of the row are in the cache or come before it in the same call. */
  readonly position: number;
  /** Whether the logits that follow it are wanted. */
  readonly wanted: boolean;
}

/** Tokens that run together. */
export interface Pass {
  /** One entry for each token of the program; null for a filler. */
  readonly slots: readonly (PlacedToken | null)[];
  /** For whole prompts, which see no token but their own: padded rows of one length. */
  readonly prompts: { readonly rowLength: number; readonly lengths: readonly number[] } | null;
}

/** Tokens of one pass at most. */
export const MOST_TOKENS = 2048;

/**
 * Rows that begin with this call run as whole prompts, those of like length side by side: attention over a batch reads each
 * key once for many queries. All other tokens, such as the newest of each row, stand one behind the other in the order
 * given, and each looks into the cache. Sizes are rounded up, so that there are few programs.
 */
export function passesOf(tokens: readonly PlacedToken[]): Pass[] {
  const rows = [...Map.groupBy(tokens, ({ row }) => row).values()];
  const isPrompt = (row: readonly PlacedToken[]) =>
    row.length > 1 && row[0]!.position === 0 && bucketLength(row.length) <= MOST_TOKENS;
  const prompts = rows.filter(isPrompt).sort((a, b) => a.length - b.length);
  const others = rows.filter((row) => !isPrompt(row)).flat();
  return [...promptPasses(prompts), ...tokenPasses(others)];
}

/** Prompts sorted by length, as many a pass as fit. */
function promptPasses(prompts: readonly (readonly PlacedToken[])[]): Pass[] {
  const passes: Pass[] = [];
  let batch: (readonly PlacedToken[])[] = [];
  const close = () => {
    if (batch.length > 0) passes.push(promptPass(batch));
    batch = [];
  };
  for (const prompt of prompts) {
    if (powerOf2(batch.length + 1) * bucketLength(prompt.length) > MOST_TOKENS) close();
    batch.push(prompt);
  }
  close();
  return passes;
}

function promptPass(batch: readonly (readonly PlacedToken[])[]): Pass {
  const rowLength = bucketLength(batch.at(-1)!.length), rows = powerOf2(batch.length);
  const slots = Array<PlacedToken | null>(rows * rowLength).fill(null);
  batch.forEach((prompt, row) => prompt.forEach((token, t) => slots[row * rowLength + t] = token));
  const lengths = Array.from({ length: rows }, (_, row) => batch[row]?.length ?? 0);
  return { slots, prompts: { rowLength, lengths } };
}

function tokenPasses(tokens: readonly PlacedToken[]): Pass[] {
  const passes: Pass[] = [];
  for (let first = 0; first < tokens.length; first += MOST_TOKENS) {
    const slots: (PlacedToken | null)[] = tokens.slice(first, first + MOST_TOKENS);
    const fillers = powerOf2(slots.length) - slots.length;
    passes.push({ slots: [...slots, ...Array<null>(fillers).fill(null)], prompts: null });
  }
  return passes;
}

/** The least power of two that is not smaller. */
export function powerOf2(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}
