/**
 * Knowing that a worker is gone, of which browsers tell nothing: it holds a lock for as long as it lives.
 *
 * @module
 */

/** A worker, and its end. */
export interface LivingWorker {
  readonly port: Pick<Worker, "postMessage" | "addEventListener">;
  /** Resolves once it is gone; never where the browser has no locks. */
  readonly ended: Promise<void>;
}

/** Starts a worker that calls {@link holdLife}. */
export function startWorker(script: URL): LivingWorker {
  const name = `lowrank worker ${crypto.randomUUID()}`;
  const port = new Worker(script, { type: "module", name });
  const ended = new Promise<void>((resolve) => {
    const watch = () => void navigator.locks?.request(name, () => resolve());
    port.addEventListener("message", watch, { once: true }); // from then on it holds its lock
  });
  return { port, ended };
}

/** In a worker, before its first message. */
export function holdLife(): Promise<void> {
  return new Promise((held) => {
    if (!self.name || !navigator.locks) return held();
    void navigator.locks.request(self.name, () => {
      held();
      return new Promise(() => {});
    });
  });
}
