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

/** An id such as `file-AbC…`: the prefix and 24 letters and digits, 142 bits. */
export function newId(prefix: "file-" | "ftjob-"): string {
  return prefix + randomWord(24);
}
