/**
 * Checks one data file in a thread of its own.
 *
 * @module
 */
import { checkData } from "./data_check.ts";

const scope = globalThis as unknown as {
  onmessage: ((message: MessageEvent<string>) => void) | null;
  postMessage(message: unknown): void;
};

scope.onmessage = async ({ data: path }) => {
  try {
    scope.postMessage({ verdict: await checkData(path) });
  } catch (error) {
    scope.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
};
