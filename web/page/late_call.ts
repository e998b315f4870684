/**
 * Something that is done soon, and once for all that want it meanwhile.
 *
 * @module
 */

/**
 * @param act Never runs twice at a time.
 * @returns What asks for it.
 */
export function lateCall(act: () => Promise<void>, ms: number): () => void {
  let isAsked = false, isRunning = false;
  const run = async () => {
    if (isRunning) return;
    isRunning = true;
    while (isAsked) {
      await new Promise((wake) => setTimeout(wake, ms));
      isAsked = false;
      await act();
    }
    isRunning = false;
  };
  return () => {
    isAsked = true;
    void run();
  };
}
