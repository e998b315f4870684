import assert from "node:assert/strict";
import { ScreenWake } from "../../web/page/screen_wake.ts";

/** A page that can be hidden, and a browser that tells what it granted. */
class FakePage {
  visibilityState: DocumentVisibilityState = "visible";
  requests = 0;
  held = 0;
  #changed = () => {};

  addEventListener(_: string, listener: unknown): void {
    this.#changed = listener as () => void;
  }

  readonly wakeLock = {
    request: () => {
      this.requests++;
      this.held++;
      return Promise.resolve({ release: () => Promise.resolve(void this.held--) });
    },
  };

  turn(visibilityState: DocumentVisibilityState): void {
    if (visibilityState === "hidden") this.held = 0; // as browsers do
    this.visibilityState = visibilityState;
    this.#changed();
  }
}

const turns = () => new Promise((wake) => setTimeout(wake, 0));

Deno.test("ScreenWake holds the screen until it is released, and takes it again when the page is seen again", async () => {
  const page = new FakePage(), wake = new ScreenWake({ wakeLock: page.wakeLock, page });
  page.turn("visible");
  assert.equal(page.requests, 0, "nobody wanted it yet");
  wake.hold();
  wake.hold();
  await turns();
  assert.deepEqual([page.requests, page.held], [1, 1]);
  page.turn("hidden");
  assert.equal(page.requests, 1);
  page.turn("visible");
  await turns();
  assert.deepEqual([page.requests, page.held], [2, 1]);
  wake.release();
  await turns();
  assert.equal(page.held, 0);
  page.turn("visible");
  assert.equal(page.requests, 2);
});

Deno.test("ScreenWake lets a grant go that comes after its release, and does without a browser that has none", async () => {
  const page = new FakePage(), wake = new ScreenWake({ wakeLock: page.wakeLock, page });
  wake.hold();
  wake.release();
  await turns();
  assert.deepEqual([page.requests, page.held], [1, 0]);
  const none = new ScreenWake({ page });
  none.hold();
  none.release();
  const refusing = new ScreenWake({
    wakeLock: { request: () => Promise.reject(new Error("battery")) },
    page,
  });
  refusing.hold();
  await turns();
  refusing.release();
});
