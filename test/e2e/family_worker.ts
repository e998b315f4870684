/**
 * A worker that runs one training step of every golden case of its server, one after the other on one device. Posts a
 * single message: the device's name and the steps by case, or what went wrong.
 *
 * @module
 */
import { openGpu } from "../../src/gpu/device.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import { HttpFolder } from "../../web/storage/http_folder.ts";
import { type FamilyStep, familyStep } from "./family_step.ts";

/** What the worker posts. */
export type FamilyMessage =
  | { readonly adapter: string; readonly steps: Readonly<Record<string, FamilyStep>> }
  | { readonly problem: string };

async function steps(): Promise<FamilyMessage> {
  const gpu = await openGpu(), pipelines = new PipelineCache(gpu);
  const goldens = new HttpFolder(new URL("golden/", self.location.href));
  const made: Record<string, FamilyStep> = {};
  for (const name of await goldens.folders()) {
    made[name] = await familyStep(gpu, pipelines, goldens.folder(name));
    gpu.check();
  }
  await gpu.close();
  return { adapter: gpu.name, steps: made };
}

self.postMessage(
  await steps().catch((error: Error): FamilyMessage => ({ problem: String(error.stack ?? error) })),
);
