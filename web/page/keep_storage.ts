/**
 * Asking the browser not to forget what the page keeps on the device.
 *
 * @module
 */

/** Asks once a visit: browsers answer by themselves, or ask the user, who is not to be asked twice. */
let asked: Promise<boolean> | null = null;

/**
 * To be called when something is about to be kept. Without the browser's promise it may remove runs and models where the
 * disk is full.
 *
 * @returns Whether the browser promises it; false where it cannot be asked.
 */
export function keepStorage(): Promise<boolean> {
  return asked ??= Promise.resolve(navigator.storage?.persist?.() ?? false).catch(() => false);
}

/** Whether the browser has promised it already; nobody is asked. */
export async function isStorageKept(): Promise<boolean> {
  return await navigator.storage?.persisted?.().catch(() => false) ?? false;
}
