/**
 * Ids that nobody guesses.
 *
 * @module
 */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** `length` letters and digits from the system's random generator, 5.95 bits each. */
export function randomWord(length: number): string {
  let word = "";
  while (word.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      // bytes beyond the last whole multiple of 62 would favour the first letters
      if (byte < 248 && word.length < length) word += ALPHABET[byte % 62];
    }
  }
  return word;
}

/** What ids of each kind are. */
export const ID_PATTERNS = {
  file: /^file-[A-Za-z0-9]{24}$/,
  job: /^ftjob-[A-Za-z0-9]{24}$/,
  event: /^ftevent-[A-Za-z0-9]{24}-[0-9]{1,15}$/,
  checkpoint: /^ftckpt_[A-Za-z0-9]{24}$/,
} as const;

/** An id such as `file-AbC…`: the prefix and 24 letters and digits, 142 bits. */
export function newId(prefix: "file-" | "ftjob-"): string {
  return prefix + randomWord(24);
}
