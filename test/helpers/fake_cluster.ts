/**
 * An API server of Kubernetes with Jobs that the test drives: it takes what the published schema allows, and makes a pod
 * for each Job.
 *
 * @module
 */
import type { V1Job, V1Pod } from "@kubernetes/client-node";
import { Job } from "kubernetes-models/batch/v1/Job";

/** A Job and its pod, as the test has them. */
export class FakeJob {
  readonly job: V1Job;
  readonly pod: V1Pod;
  readonly #text: string[] = [];
  readonly #readers = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #isOver = false;
  /** What is done when it is deleted; default nothing, and it is gone. */
  onDelete: (() => void) | null = null;
  /** Breaks the connections of the log after each line. */
  breaks = false;

  constructor(job: V1Job, count: number) {
    this.job = { ...job, status: {} };
    this.pod = {
      metadata: {
        name: `${job.metadata!.name}-${count}`,
        uid: `${count}`,
        creationTimestamp: new Date(count * 1000),
        labels: {
          ...job.spec!.template.metadata!.labels,
          "batch.kubernetes.io/job-name": job.metadata!.name!,
        },
      },
      spec: job.spec!.template.spec!,
      status: { phase: "Pending" },
    };
  }

  /** The container that trains, as it was asked for. */
  get container() {
    return this.pod.spec!.containers.find(({ name }) => name === "train")!;
  }

  waits(reason: string, message: string): void {
    this.pod.status = {
      phase: "Pending",
      containerStatuses: [this.#status({ waiting: { reason, message } })],
    };
  }

  runs(): void {
    this.pod.status = { phase: "Running", containerStatuses: [this.#status({ running: {} })] };
  }

  /** Writes lines to the log. */
  say(...lines: (object | string)[]): void {
    for (const line of lines) {
      const text = `${typeof line === "string" ? line : JSON.stringify(line)}\n`;
      this.#text.push(text);
      for (const reader of [...this.#readers]) {
        reader.enqueue(new TextEncoder().encode(text));
        if (this.breaks) this.#end(reader, true);
      }
    }
  }

  ends(exitCode: number, reason = exitCode === 0 ? "Completed" : "Error"): void {
    const phase = exitCode === 0 ? "Succeeded" : "Failed";
    this.pod.status = { phase, containerStatuses: [this.#status({ terminated: { exitCode, reason } })] };
    this.job.status = { conditions: [{ type: exitCode === 0 ? "Complete" : "Failed", status: "True" }] };
    this.#isOver = true;
    for (const reader of [...this.#readers]) this.#end(reader, false);
  }

  log(): ReadableStream<Uint8Array> {
    let own: ReadableStreamDefaultController<Uint8Array>;
    return new ReadableStream({
      start: (controller) => {
        own = controller;
        for (const text of this.#text) controller.enqueue(new TextEncoder().encode(text));
        if (this.#isOver) controller.close();
        else this.#readers.add(controller);
      },
      cancel: () => void this.#readers.delete(own),
    });
  }

  #end(reader: ReadableStreamDefaultController<Uint8Array>, isBroken: boolean): void {
    this.#readers.delete(reader);
    if (isBroken) reader.error(new Error("the connection broke"));
    else reader.close();
  }

  #status(state: object) {
    return { name: "train", image: "lowrank", imageID: "", ready: false, restartCount: 0, state };
  }
}

/** The server. */
export class FakeCluster {
  /** By name. */
  readonly jobs = new Map<string, FakeJob>();
  /** Every Job that was created, in order. */
  readonly created: FakeJob[] = [];
  /** Method and path of each request. */
  readonly requests: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#answer(request),
    );
  }

  /** A kubeconfig for it. */
  get kubeconfig(): string {
    const server = `http://127.0.0.1:${this.#server.addr.port}`;
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "fake", cluster: { server, "insecure-skip-tls-verify": true } }],
      users: [{ name: "tester", user: { token: "opensesame" } }],
      contexts: [{ name: "tests", context: { cluster: "fake", user: "tester", namespace: "tuning" } }],
      "current-context": "tests",
    });
  }

  async close(): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    this.requests.push(`${request.method} ${pathname}`);
    if (request.headers.get("authorization") !== "Bearer opensesame") return refusal(401, "Unauthorized");
    const [, jobName] = /^\/apis\/batch\/v1\/namespaces\/tuning\/jobs(?:\/([^/]+))?$/.exec(pathname) ??
      [null];
    const [isPods, podName] = /^\/api\/v1\/namespaces\/tuning\/pods(?:\/([^/]+)\/log)?$/.exec(pathname) ?? [];
    if (isPods && podName) return this.#log(podName, searchParams);
    if (isPods) {
      return Response.json({ kind: "PodList", apiVersion: "v1", items: this.#selected(searchParams, "pod") });
    }
    if (jobName === null) return refusal(404, `there is nothing at ${pathname}`);
    if (request.method === "POST") return this.#create(await request.json());
    if (jobName === undefined) {
      return Response.json({
        kind: "JobList",
        apiVersion: "batch/v1",
        items: this.#selected(searchParams, "job"),
      });
    }
    const found = this.jobs.get(jobName);
    if (!found) return refusal(404, `jobs.batch "${jobName}" not found`);
    if (request.method === "GET") return Response.json(found.job);
    if (searchParams.get("propagationPolicy") !== "Foreground") {
      return refusal(422, "pods would be left behind");
    }
    found.job.metadata!.deletionTimestamp = new Date();
    if (found.onDelete) found.onDelete();
    else this.jobs.delete(jobName);
    return Response.json(found.job);
  }

  #create(body: V1Job): Response {
    try {
      new Job(body as never).validate();
    } catch (error) {
      return refusal(422, (error as Error).message);
    }
    const name = body.metadata!.name!;
    if (this.jobs.has(name)) return refusal(409, `jobs.batch "${name}" already exists`);
    const job = new FakeJob(body, this.created.length + 1);
    this.jobs.set(name, job);
    this.created.push(job);
    return Response.json(job.job, { status: 201 });
  }

  #log(pod: string, query: URLSearchParams): Response {
    const found = [...this.jobs.values()].find((job) => job.pod.metadata!.name === pod);
    if (!found) return refusal(404, `pods "${pod}" not found`);
    if (query.get("container") !== "train" || query.get("follow") !== "true") {
      return refusal(400, "another log");
    }
    return new Response(found.log() as ReadableStream<Uint8Array<ArrayBuffer>>);
  }

  #selected(query: URLSearchParams, what: "job" | "pod"): (V1Job | V1Pod)[] {
    const wanted = query.get("labelSelector")!.split(",").map((label) => label.split("="));
    return [...this.jobs.values()].map((job) => job[what]).filter(({ metadata }) =>
      wanted.every(([name, value]) => metadata?.labels?.[name!] === value)
    );
  }
}

function refusal(code: number, message: string): Response {
  return Response.json({ kind: "Status", apiVersion: "v1", status: "Failure", code, message }, {
    status: code,
  });
}
