/**
 * The Kubernetes Job of a job: the operator's manifest, with the process to run put in.
 *
 * @module
 */
import type { V1Container, V1Job } from "@kubernetes/client-node";
import { load } from "js-yaml";
import { ConfigError } from "../../src/errors.ts";
import type { JobOrder } from "./launcher.ts";

/** Name of the container that trains; a manifest may have others beside it. */
export const CONTAINER = "train";

const LABELS = { "app.kubernetes.io/managed-by": "lowrank" } as const;

/** Selects the Jobs and pods that servers have made. */
export const SELECTOR = Object.entries(LABELS).map((label) => label.join("=")).join();

/** Name of the Job of a job: names of Kubernetes are in lower case, ids are not. */
export async function jobName(jobId: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(jobId));
  return `lowrank-${new Uint8Array(digest).toHex().slice(0, 32)}`;
}

/**
 * The operator's manifest of YAML or JSON text.
 *
 * @param path For messages.
 * @throws {ConfigError} If it is no Job with one container named `train` that has an image.
 */
export function readTemplate(text: string, path: string): V1Job {
  const fail = (message: string): never => {
    throw new ConfigError([{ path: "--job-template", message: `"${path}" ${message}` }]);
  };
  let manifest: V1Job | null = null;
  try {
    manifest = load(text) as V1Job | null;
  } catch (error) {
    fail(`is no YAML: ${(error as Error).message.split("\n")[0]}`);
  }
  if (manifest?.kind !== "Job" || manifest.apiVersion !== "batch/v1") fail("must be a Job of batch/v1");
  const containers = manifest!.spec?.template?.spec?.containers;
  const own = Array.isArray(containers) ? containers.filter(({ name }) => name === CONTAINER) : [];
  if (own.length !== 1) fail(`must have one container named ${CONTAINER}`);
  if (!own[0]!.image) fail(`must name the image of its container ${CONTAINER}`);
  return manifest!;
}

/** What goes into the manifest. */
export interface JobManifest {
  readonly template: V1Job;
  readonly name: string;
  readonly command: readonly string[];
  readonly order: Pick<JobOrder, "jobId" | "folder" | "slot">;
}

/**
 * The Job to create. Its pods are not started again by the cluster: the server does that, from the last checkpoint, and
 * counts.
 */
export function manifestOf({ template, name, command, order }: JobManifest): V1Job {
  const annotations = { "lowrank/job-id": order.jobId };
  const spec = template.spec!, pod = spec.template.spec!;
  const container = (one: V1Container): V1Container =>
    one.name !== CONTAINER ? one : {
      ...one,
      command: [...command],
      args: [],
      workingDir: order.folder,
      env: [
        { name: "NO_COLOR", value: "1" },
        ...one.env ?? [],
        ...Object.entries(order.slot.env).map(([name, value]) => ({ name, value })),
      ],
    };
  return {
    ...template,
    metadata: {
      ...template.metadata,
      name,
      labels: { ...template.metadata?.labels, ...LABELS },
      annotations: { ...template.metadata?.annotations, ...annotations },
    },
    spec: {
      ttlSecondsAfterFinished: 3600, // of a server that does not come back
      ...spec,
      backoffLimit: 0,
      template: {
        ...spec.template,
        metadata: { ...spec.template.metadata, labels: { ...spec.template.metadata?.labels, ...LABELS } },
        spec: { ...pod, restartPolicy: "Never", containers: pod.containers.map(container) },
      },
    },
  };
}
