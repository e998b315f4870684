/**
 * What the page does for whoever waits for a run: the screen stays on, the tab's title tells how far it is, and its end is
 * told where that was asked for.
 *
 * @module
 */
import { effect } from "@preact/signals";
import { route } from "./router.ts";
import { ScreenWake } from "./screen_wake.ts";
import type { PageSession } from "./session.ts";
import { tabTitle } from "./tab_title.ts";

/** Attends to the session's runs from now on. */
export function attend(session: PageSession): void {
  const { wakeLock } = navigator as Partial<Pick<Navigator, "wakeLock">>;
  const wake = new ScreenWake({ wakeLock, page: document });
  effect(() => session.busy.value ? wake.hold() : wake.release());
  effect(() => {
    document.title = tabTitle(route.value.view, session.running.value, session.run.value);
  });
}
