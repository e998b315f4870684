/**
 * How tokens are divided into passes over the model.
 *
 * @module
 */
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
/** Prompts are padded to a multiple of this many tokens. */
const LENGTH_STEP = 16;

/**
 * Rows that begin with this call run as whole prompts, those of like length side by side: attention over a batch reads
 * each key once for many queries. A prompt is padded to at most twice the length of the shortest beside it. All other
 * tokens, such as the newest of each row, stand one behind the other in the order given, and each looks into the cache;
 * their number is rounded up, so that there are few programs.
 */
export function passesOf(tokens: readonly PlacedToken[]): Pass[] {
  const rows = [...Map.groupBy(tokens, ({ row }) => row).values()];
  const isPrompt = (row: readonly PlacedToken[]) =>
    row.length > 1 && row[0]!.position === 0 && paddedLength(row.length) <= MOST_TOKENS;
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
    const length = paddedLength(prompt.length), shortest = paddedLength(batch[0]?.length ?? prompt.length);
    if ((batch.length + 1) * length > MOST_TOKENS || length > 2 * shortest) close();
    batch.push(prompt);
  }
  close();
  return passes;
}

function promptPass(batch: readonly (readonly PlacedToken[])[]): Pass {
  const rowLength = paddedLength(batch.at(-1)!.length);
  const slots = Array<PlacedToken | null>(batch.length * rowLength).fill(null);
  batch.forEach((prompt, row) => prompt.forEach((token, t) => slots[row * rowLength + t] = token));
  return { slots, prompts: { rowLength, lengths: batch.map(({ length }) => length) } };
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

const paddedLength = (tokens: number) => Math.ceil(tokens / LENGTH_STEP) * LENGTH_STEP;

/** The least power of two that is not smaller. */
export function powerOf2(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}
