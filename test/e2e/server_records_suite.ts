/**
 * What Firestore is told of the browser's own runs, through the server. Run by `server_records_test.ts`, in a process of its
 * own.
 */
import assert from "node:assert/strict";
import type { JobRecord } from "../../src/job_tracker.ts";
import { FirestoreJobRecords } from "../../src/job_tracker/firestore.ts";
import { CuttingProxy } from "../helpers/cutting_proxy.ts";
import { startFirestoreEmulator } from "../helpers/firestore.ts";
import { inChromium, WEBGPU_FLAGS } from "./browser.ts";
import { SHORT_JOB, withServedPage } from "./served_page.ts";

// no credentials are looked for
Deno.env.set("METADATA_SERVER_DETECTION", "none");

/** No program listens there. */
const NOWHERE = 1;

/** What a run tells of itself, be it of the command line or of a page. */
const FACTS = [
  ...["adapter", "base_model", "eval_loss_after", "eval_loss_before", "model_type", "seconds", "steps"],
  ...["total_steps", "train_examples", "trainable_parameters"],
];

inChromium(
  "a run in the browser is in Firestore as the command's is, also where that was down meanwhile",
  async () => {
    const emulator = await startFirestoreEmulator();
    await using proxy = new CuttingProxy();
    const port = Number(emulator.host.split(":")[1]);
    proxy.target = port;
    const where = { projectId: "test", collection: "jobs", emulatorHost: emulator.host };
    const records = new FirestoreJobRecords(where);
    const until = async (isSo: (record: JobRecord) => boolean): Promise<JobRecord> => {
      const end = performance.now() + 180_000;
      for (;;) {
        const { records: [record] } = await records.list({ limit: 1 });
        if (record && isSo(record)) return record;
        if (performance.now() > end) throw new Error(`Firestore has ${JSON.stringify(record)}`);
        await new Promise((wake) => setTimeout(wake, 200));
      }
    };
    const options = {
      job: { ...SHORT_JOB, max_steps: 12 },
      flags: WEBGPU_FLAGS,
      args: ["--firestore-project", "test"],
      env: { FIRESTORE_EMULATOR_HOST: `127.0.0.1:${proxy.port}`, METADATA_SERVER_DETECTION: "none" },
      expected: /503/,
      mayFail: () => true, // while Firestore is down
    };
    try {
      await withServedPage(options, async (page) => {
        await page.locator("#start:not([disabled])").click();
        const running = await until(({ status, progress }) => status === "running" && progress > 0.05);
        assert.match(running.jobId, /^page-/);
        proxy.target = NOWHERE;
        proxy.drop();
        await page.locator("#run[data-status=completed]").waitFor({ timeout: 180_000 });
        proxy.target = port;
        const done = await until(({ status }) => status === "completed");
        assert.deepEqual([done.jobId, done.progress, done.error], [running.jobId, 1, null]);
        assert.deepEqual(Object.keys(done.metadata).sort(), FACTS);
        assert.deepEqual([done.metadata.base_model, done.metadata.steps], [SHORT_JOB.base_model, 12]);
      });
    } finally {
      await records.close();
      emulator.stop();
    }
  },
);
