/**
 * The state of a server's job in a word.
 *
 * @module
 */
import type { ServerJob } from "../lowrank_server.ts";

const WORDS: Readonly<Record<ServerJob["status"], string>> = {
  queued: "Queued",
  validating_files: "Starting",
  running: "Running",
  paused: "Paused",
  succeeded: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

/** Those that look like another word's, or like none. */
const LOOKS: Readonly<Partial<Record<ServerJob["status"], string>>> = {
  succeeded: "completed",
  validating_files: "starting",
  cancelled: "",
  queued: "",
  paused: "",
};

export function ServerJobState({ status }: Pick<ServerJob, "status">) {
  return <span class={`state ${LOOKS[status] ?? status}`}>{WORDS[status]}</span>;
}
