/**
 * Takes a job of the page's server into this browser: a run that was handed over back, and any other as a new one.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";
import type { ServerJob } from "../lowrank_server.ts";
import { isOver } from "../page/server_jobs.ts";
import { isTunedOnServer, serverModelPath } from "../server_model.ts";
import { BringBack } from "./bring_back.tsx";
import { ConfirmButton } from "./confirm_button.tsx";

export function TakeJob({ session, job, hasSaved }: ViewProps & {
  readonly job: ServerJob;
  /** Whether it has left something to go on from, or will when it is paused. */
  readonly hasSaved: boolean;
}) {
  const mine = session.runs.value.find(({ serverJob }) => serverJob === job.id);
  if (mine) return <BringBack session={session} name={mine.name} label="Bring back to this browser" />;
  if (!hasSaved || isTunedOnServer(serverModelPath(job.model))) return null;
  const isMoving = session.moving.value, label = isMoving ? "Fetching …" : "Take into this browser";
  const take = () => void session.takeJob(job.id);
  if (!isOver(job)) {
    return (
      <ConfirmButton
        id="take-job"
        label={label}
        question="It ends on the server. Take it?"
        disabled={isMoving}
        onConfirm={take}
      />
    );
  }
  return (
    <button id="take-job" type="button" class="second" disabled={isMoving} onClick={take}>{label}</button>
  );
}
