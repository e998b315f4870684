/**
 * The part of Kubernetes that jobs need, through Kubernetes' own client, which is loaded when a job is launched.
 *
 * @module
 */
import type { KubeConfig, V1Job, V1Pod } from "@kubernetes/client-node";

/** A namespace of a cluster. */
export interface Cluster {
  /** @throws {ClusterError} Of code 409 if there is one of that name. */
  createJob(job: V1Job): Promise<void>;
  /** Null where there is none. */
  readJob(name: string): Promise<V1Job | null>;
  /** Asks the job's processes to end, then removes it. Nothing where there is none. */
  deleteJob(name: string): Promise<void>;
  /** Jobs and pods with these labels: `name=value,...`. */
  list(labels: string): Promise<{ jobs: readonly V1Job[]; pods: readonly V1Pod[] }>;
  /** What a pod's container has written and writes, until it ends or the signal is aborted. */
  log(pod: string, container: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
}

/** What the cluster's API server refused. */
export class ClusterError extends Error {
  override readonly name = "ClusterError";

  /** @param code HTTP status. */
  constructor(readonly code: number, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/**
 * The cluster of a kubeconfig (`KUBECONFIG`, `~/.kube/config`), or in a pod the one that it runs in.
 *
 * @param namespace Default that of the kubeconfig's context, or of the pod.
 */
export async function openCluster(namespace: string | null): Promise<Cluster> {
  const { KubeConfig, BatchV1Api, CoreV1Api, RequestContext, HttpMethod } = await import(
    "@kubernetes/client-node"
  );
  const config = new KubeConfig();
  config.loadFromDefault();
  const space = namespace ?? config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
  const batch = config.makeApiClient(BatchV1Api), core = config.makeApiClient(CoreV1Api);
  const inSpace = { namespace: space };
  let client: Deno.HttpClient | null = null;
  // the library's own stream does not end where a connection breaks, so logs come through Deno's
  const http = async () => client ??= await httpClient(config);
  return {
    createJob: (body) => told(async () => void await batch.createNamespacedJob({ ...inSpace, body })),
    readJob: (name) => orNull(told(() => batch.readNamespacedJob({ ...inSpace, name }))),
    deleteJob: async (name) => {
      const propagationPolicy = "Foreground"; // the job is there until its pods are gone
      await orNull(told(() => batch.deleteNamespacedJob({ ...inSpace, name, propagationPolicy })));
    },
    list: (labelSelector) =>
      told(async () => {
        const request = { ...inSpace, labelSelector };
        const [jobs, pods] = await Promise.all([
          batch.listNamespacedJob(request),
          core.listNamespacedPod(request),
        ]);
        return { jobs: jobs.items, pods: pods.items };
      }),
    log: async (pod, container, signal) => {
      const path = `/api/v1/namespaces/${space}/pods/${pod}/log?container=${container}&follow=true`;
      const url = `${config.getCurrentCluster()!.server}${path}`;
      const request = new RequestContext(url, HttpMethod.GET);
      await config.applySecurityAuthentication(request);
      const options = { headers: request.getHeaders(), client: await http(), signal };
      const response = await fetch(url, options as RequestInit);
      if (response.ok) return response.body!;
      throw refusal(response.status, await response.text());
    },
  };
}

/** Errors of the client as those of the cluster, with what it said. */
async function told<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const { code, body } = error as { code?: unknown; body?: unknown };
    if (typeof code !== "number") throw error;
    throw refusal(code, body ?? /^Message: (.+)$/m.exec((error as Error).message)?.[1], error);
  }
}

function refusal(code: number, body: unknown, cause?: unknown): ClusterError {
  return new ClusterError(code, `The cluster answered ${code}: ${messageOf(body ?? "nothing")}`, { cause });
}

/** With the certificates of the kubeconfig: given there, or as files. */
async function httpClient(config: KubeConfig): Promise<Deno.HttpClient> {
  const pem = async (data: string | undefined, file: string | undefined) =>
    data ? atob(data) : file ? await Deno.readTextFile(file) : undefined;
  const cluster = config.getCurrentCluster()!, user = config.getCurrentUser();
  const authority = await pem(cluster.caData, cluster.caFile);
  const [cert, key] = [await pem(user?.certData, user?.certFile), await pem(user?.keyData, user?.keyFile)];
  return Deno.createHttpClient({
    ...(authority ? { caCerts: [authority] } : {}),
    ...(cert && key ? { cert, key } : {}),
  });
}

function messageOf(body: unknown): string {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  try {
    const { message } = JSON.parse(text);
    return typeof message === "string" ? message : text;
  } catch {
    return text;
  }
}

async function orNull<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof ClusterError && error.code === 404) return null;
    throw error;
  }
}
