/**
 * The worker that runs a job, losing its device after the steps that its address names: `lossy_worker.ts?steps=2,3`.
 *
 * @module
 */
import { loseDevicesAfter } from "../helpers/lossy_scope.ts";

const scope = globalThis as unknown as { onmessage: ((message: MessageEvent) => void) | null };
const early: MessageEvent[] = [];
scope.onmessage = (message) => early.push(message); // what comes while the job's modules load
loseDevicesAfter(new URL(import.meta.url).searchParams.get("steps")!.split(",").map(Number));
await import("../../src/cli/job_worker.ts");
for (const message of early) scope.onmessage(message);
