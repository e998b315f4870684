/**
 * Takes a job of the page's server into this browser: a run that was handed over back, and any other as a new one.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";
import type { ServerJob } from "../lowrank_server.ts";
import { BringBack } from "./bring_back.tsx";

export function TakeJob({ session, job }: ViewProps & { job: ServerJob }) {
  const mine = session.runs.value.find(({ serverJob }) => serverJob === job.id);
  return mine ? <BringBack session={session} name={mine.name} label="Bring back to this browser" /> : null;
}
