/**
 * Keeping the screen on while a run goes on: a device that sleeps does not train.
 *
 * @module
 */

/** What the browser grants; it takes it back when the tab is hidden. */
type Grant = Pick<WakeLockSentinel, "release">;

/** Where it comes from: the browser's, or a test's. */
export interface WakeDeps {
  /** Absent where the browser cannot. */
  readonly wakeLock?: { request(type: "screen"): Promise<Grant> } | undefined;
  /** The page. */
  readonly page: Pick<Document, "visibilityState" | "addEventListener">;
}

export class ScreenWake {
  readonly #deps: WakeDeps;
  #wanted = false;
  #grant: Promise<Grant | null> = Promise.resolve(null);

  constructor(deps: WakeDeps) {
    this.#deps = deps;
    deps.page.addEventListener("visibilitychange", () => this.#wanted && this.#ask());
  }

  /** From now on the screen stays on whenever the page is seen. */
  hold(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#ask();
  }

  release(): void {
    this.#wanted = false;
    void this.#grant.then((grant) => grant?.release()).catch(() => {});
    this.#grant = Promise.resolve(null);
  }

  #ask(): void {
    const { wakeLock, page } = this.#deps;
    if (!wakeLock || page.visibilityState !== "visible") return;
    // refused where the battery is low, say: the run goes on all the same
    this.#grant = wakeLock.request("screen").catch(() => null);
  }
}
