/**
 * Records of jobs as lines of JSON, a line an update, for programs that follow a file.
 *
 *     lowrank train --plugin examples/plugins/json_lines_tracker.ts --tracker json_lines --job-id night-7 \
 *       --tracker-path runs/jobs.jsonl ...
 *
 * @module
 */
import { definePlugin, type JobRecord, type JobRecordStore, type JobUpdate, updatedRecord } from "lowrank";

class JsonLines implements JobRecordStore {
  constructor(readonly uri: string) {}

  async write(jobId: string, update: JobUpdate): Promise<void> {
    const folder = this.uri.slice(0, Math.max(0, this.uri.lastIndexOf("/")));
    if (folder !== "") await Deno.mkdir(folder, { recursive: true });
    // one write of a short line with O_APPEND is not torn apart by those of other processes
    await Deno.writeTextFile(this.uri, `${JSON.stringify({ jobId, ...update })}\n`, { append: true });
  }

  async read(jobId: string): Promise<JobRecord | null> {
    let record: JobRecord | null = null;
    for (const line of (await this.#text()).split("\n").filter(Boolean)) {
      const { jobId: of, ...update } = JSON.parse(line);
      if (of === jobId) record = updatedRecord(jobId, record, update);
    }
    return record;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #text(): Promise<string> {
    try {
      return await Deno.readTextFile(this.uri);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }
}

export default definePlugin({
  apiVersion: 1,
  name: "json-lines-tracker",
  trackers: [{ name: "json_lines", open: ({ trackerPath }) => new JsonLines(trackerPath) }],
});
