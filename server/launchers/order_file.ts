/**
 * The order of a job as a file in the job's folder, for processes that have no standard input of the server's.
 *
 * @module
 */
import type { JobOrder } from "./launcher.ts";

/** Writes the order. @returns Its path. */
export function writeOrder({ config, folder }: Pick<JobOrder, "config" | "folder">): string {
  const path = `${folder}/order.json`, temporary = `${path}.tmp`;
  Deno.writeTextFileSync(temporary, JSON.stringify({ config }), { mode: 0o600 });
  Deno.renameSync(temporary, path);
  return path;
}
