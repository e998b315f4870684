/**
 * A notification at a run's end, for whoever asked for it and looks elsewhere by then.
 *
 * @module
 */
import { signal } from "@preact/signals";
import type { RunState } from "./run_state.ts";

/** Whether the end of a run is told: `refused` by the browser's user, `missing` where the browser has none. */
export type NoticeState = "off" | "on" | "refused" | "missing";

export class FinishNotice {
  readonly state = signal<NoticeState>(typeof Notification === "undefined" ? "missing" : "off");

  /** Turns it on, which the browser may ask the user about, or off. To be called while a press is handled. */
  async toggle(): Promise<void> {
    if (this.state.value === "on") this.state.value = "off";
    else if (this.state.value === "off") {
      this.state.value = await Notification.requestPermission() === "granted" ? "on" : "refused";
    }
  }

  /** Tells of a run that has just ended. */
  async tell(run: RunState): Promise<void> {
    if (this.state.value !== "on" || document.visibilityState === "visible") return;
    const { title, body } = noticeOf(run), options = { body, tag: "lowrank run" };
    try {
      const notice = new Notification(title, options);
      notice.addEventListener("click", () => focus());
    } catch {
      // phones take them from a service worker alone
      await (await navigator.serviceWorker?.getRegistration())?.showNotification(title, options);
    }
  }
}

/** The words for a run's end. */
export function noticeOf(run: RunState): { readonly title: string; readonly body: string } {
  const { status, name, problem, summary } = run;
  if (status.value === "failed") return { title: `${name} failed`, body: problem.value?.message ?? "" };
  if (status.value === "completed") return { title: `${name} is trained`, body: summary.value };
  return { title: `${name} is paused`, body: summary.value };
}
