/**
 * What the browser's tab says: how far a run is, or which view is shown.
 *
 * @module
 */
import type { View } from "./router.ts";
import type { RunState } from "./run_state.ts";

/** What the navigation calls a view. */
export const VIEW_TITLES: Readonly<Record<View, string>> = {
  train: "Train",
  run: "Run",
  chat: "Chat",
  history: "History",
  server: "Server",
  device: "Device",
};

const NAME = "Lowrank";

/** @param running The run that goes on in this tab; null for none. @param shown The run that is shown. */
export function tabTitle(view: View, running: RunState | null, shown: RunState | null): string {
  if (running) return [...courseOf(running), NAME].join(" · ");
  if (view === "run" && shown) return `${END_MARKS[shown.status.value] ?? ""}${shown.name} · ${NAME}`;
  return view === "train" ? NAME : `${VIEW_TITLES[view]} · ${NAME}`;
}

/** For whoever looks at another tab. */
const END_MARKS: Readonly<Record<string, string>> = { completed: "✓ ", failed: "✕ " };

function courseOf({ step, totalSteps, last }: RunState): string[] {
  if (step.value === 0 || totalSteps.value === 0) return ["Starting"];
  const share = `${Math.floor(100 * step.value / totalSteps.value)} %`;
  return last.value ? [share, `loss ${last.value.loss.toFixed(2)}`] : [share];
}
