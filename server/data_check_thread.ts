/**
 * Checks data files apart from the thread that answers requests, which a large file would hold up for seconds.
 *
 * @module
 */
import type { CheckData, DataVerdict } from "./data_check.ts";

/** One file after the other: two at a time would only take twice the memory. */
export function checkInThread(): CheckData {
  let last: Promise<unknown> = Promise.resolve();
  return (path) => {
    const verdict = last.then(() => checkOne(path));
    last = verdict.catch(() => {});
    return verdict;
  };
}

async function checkOne(path: string): Promise<DataVerdict> {
  const worker = new Worker(new URL("./data_check_worker.ts", import.meta.url), { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<DataVerdict>();
  worker.onmessage = ({ data }: MessageEvent<{ verdict: DataVerdict } | { error: string }>) =>
    "verdict" in data ? resolve(data.verdict) : reject(new Error(data.error));
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(`The check of a data file failed: ${event.message}`));
  };
  worker.postMessage(path);
  try {
    return await promise;
  } finally {
    worker.terminate();
  }
}
