/**
 * Choices that the browser keeps for the next visit, where it lets the page keep anything.
 *
 * @module
 */

/** What was kept; null for nothing. @param name Of the choice, such as `theme`. */
export function keptChoice(name: string): string | null {
  try {
    return localStorage.getItem(key(name));
  } catch {
    return null; // the browser keeps nothing for this page
  }
}

/** Keeps a choice; null forgets it. */
export function keepChoice(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key(name));
    else localStorage.setItem(key(name), value);
  } catch {
    // for this visit only, then
  }
}

function key(name: string): string {
  return `lowrank ${name}`;
}
