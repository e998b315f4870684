/**
 * The worker that runs a job, losing its device after the steps that its address names: `lossy_worker.ts?steps=2,3`.
 *
 * @module
 */
import { loseDevicesAfter } from "../helpers/lossy_scope.ts";

loseDevicesAfter(new URL(import.meta.url).searchParams.get("steps")!.split(",").map(Number));
await import("../../src/cli/job_worker.ts");
