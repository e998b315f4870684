/**
 * A run of an earlier visit that stopped halfway: go on, look at it, or throw it away.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";
import { route } from "../page/router.ts";
import { ConfirmButton } from "./confirm_button.tsx";

export function WaitingRun({ session }: ViewProps) {
  const waiting = session.runs.value.find(({ status, resumable }) =>
    status !== "completed" && resumable !== null
  );
  if (!waiting || !session.isAble || route.value.view !== "train") return null;
  const { name, resumable, totalSteps } = waiting;
  return (
    <section class="notice waiting" aria-label="A run that waits">
      <p>
        The run <strong>{name}</strong> stopped after step {resumable} of {totalSteps}.
      </p>
      <div class="actions">
        <button id="resume" type="button" class="second" onClick={() => void session.resume(name)}>
          Continue from step {resumable}
        </button>
        <a class="button second" href={`#/run/${encodeURIComponent(name)}`}>Open</a>
        <ConfirmButton
          label="Discard"
          question="Remove all of it?"
          onConfirm={() => void session.remove(name)}
        />
      </div>
    </section>
  );
}
