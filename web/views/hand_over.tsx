/**
 * What can be done with a run of the page where a server is behind it.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";
import type { RunState } from "../page/run_state.ts";
import { BringBack } from "./bring_back.tsx";

/** Has the server go on with a run; or leads to it there, and takes it back. */
export function HandOver({ session, run }: ViewProps & { run: RunState }) {
  const entry = session.runs.value.find(({ name }) => name === run.name), isMoving = session.moving.value;
  if (!session.server || !entry) return null;
  if (entry.serverJob !== null) {
    return (
      <>
        <a class="button second" href={`#/server/${entry.serverJob}`}>On the server</a>
        <BringBack session={session} name={run.name} label="Bring back" />
      </>
    );
  }
  if (entry.resumable === null) return null;
  return (
    <button
      id="hand-over"
      type="button"
      class="second"
      disabled={isMoving || session.busy.value}
      onClick={() => void session.handOver(run.name)}
    >
      {isMoving ? "Handing over …" : "Go on on the server"}
    </button>
  );
}
