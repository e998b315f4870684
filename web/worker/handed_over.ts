/**
 * Which runs of the page are on its server.
 *
 * @module
 */
import { type Folder, readText, writeFile } from "../../src/storage.ts";

/** In a run's folder while the server has the run. */
const FILE = "server_job.json";

/** Id of the server's job that a run is; null for one that is here. */
export async function handedOverTo(run: Folder): Promise<string | null> {
  return await run.exists(FILE) ? JSON.parse(await readText(run, FILE)).job : null;
}

/** Notes where a run is. @param job Id of the server's job; null for here. */
export async function noteHandedOver(run: Folder, job: string | null): Promise<void> {
  if (job !== null) await writeFile(run, FILE, JSON.stringify({ job }));
  else if (await run.exists(FILE)) await run.remove(FILE);
}
