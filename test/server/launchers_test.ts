/**
 * Jobs on Kubernetes against an API server that takes what the published schema allows, and on ranks of Open MPI.
 */
import assert from "node:assert/strict";
import { ClusterRole } from "kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRole";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { Job } from "kubernetes-models/batch/v1/Job";
import { PersistentVolumeClaim } from "kubernetes-models/v1/PersistentVolumeClaim";
import { Pod } from "kubernetes-models/v1/Pod";
import { Role } from "kubernetes-models/rbac.authorization.k8s.io/v1/Role";
import { RoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1/RoleBinding";
import { Service } from "kubernetes-models/v1/Service";
import { ServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import { loadAll } from "js-yaml";
import { launcherOptions, openLauncher } from "../../server/cli/open_launcher.ts";
import { openCluster } from "../../server/launchers/cluster.ts";
import { readTemplate } from "../../server/launchers/job_manifest.ts";
import { KubernetesLauncher } from "../../server/launchers/kubernetes.ts";
import type { JobOrder, JobProcess } from "../../server/launchers/launcher.ts";
import { MpiLauncher, ranksOf, rankThatDied } from "../../server/launchers/mpi.ts";
import { parseFlags } from "../../src/cli/flags.ts";
import { SERVE_FLAGS } from "../../src/cli/server_flags.ts";
import type { ConfigIssue } from "../../src/errors.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { hasMpi, OPTIONS, rankOf } from "../distributed/launched_runs.ts";
import { device } from "../helpers/device.ts";
import { FakeCluster, type FakeJob } from "../helpers/fake_cluster.ts";
import { until } from "../helpers/server_app.ts";

/** Pods of one kind of a manifest's MPIJob. */
interface Replicas {
  readonly replicas: number;
  readonly template: { readonly spec: NonNullable<Pod["spec"]> };
}

/** What a manifest's MPIJob holds, of which Kubernetes itself knows nothing. */
interface MpiJob {
  readonly apiVersion: string;
  readonly spec: {
    readonly slotsPerWorker: number;
    readonly mpiReplicaSpecs: { readonly Launcher: Replicas; readonly Worker: Replicas };
  };
}

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const MANIFESTS = `${ROOT}deploy/kubernetes`;

/** A launcher over a cluster of its own, and a folder for a job. */
async function onCluster(
  work: (context: { cluster: FakeCluster; launcher: KubernetesLauncher; order: JobOrder }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-cluster-" });
  const cluster = new FakeCluster(), before = Deno.env.get("KUBECONFIG");
  try {
    await Deno.writeTextFile(`${folder}/kubeconfig`, cluster.kubeconfig);
    Deno.env.set("KUBECONFIG", `${folder}/kubeconfig`);
    const template = readTemplate(await Deno.readTextFile(`${MANIFESTS}/server-job.yaml`), "server-job.yaml");
    const launcher = new KubernetesLauncher({
      template,
      command: ["deno", "run", "job_process.ts"],
      open: () => openCluster(null),
      pollMs: 5,
    });
    const slot = { name: "slot 0", env: { DRI_PRIME: "1" } };
    await work({ cluster, launcher, order: { jobId: "ftjob-AbC", config: { lora_r: 4 }, folder, slot } });
  } finally {
    if (before === undefined) Deno.env.delete("KUBECONFIG");
    else Deno.env.set("KUBECONFIG", before);
    await cluster.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Reads the events as they come. */
function followed(process: JobProcess): { events: TrainingEvent[]; outcome: JobProcess["outcome"] } {
  const events: TrainingEvent[] = [];
  const read = (async () => {
    for await (const event of process.events) events.push(event);
  })();
  return { events, outcome: read.then(() => process.outcome) };
}

async function created(cluster: FakeCluster, count = 1): Promise<FakeJob> {
  await until(() => cluster.created.length === count);
  return cluster.created[count - 1]!;
}

const word = (step: number) => ({ type: "event", event: { type: "phase", message: `step ${step}` } });
const steps = (events: readonly TrainingEvent[]) =>
  events.map((event) => "message" in event ? event.message : "");

Deno.test("KubernetesLauncher creates what the schema allows, relays events over a broken log, and removes the Job", () =>
  onCluster(async ({ cluster, launcher, order }) => {
    const { events, outcome } = followed(launcher.launch(order));
    const job = await created(cluster);
    const { command, workingDir, env, resources } = job.container;
    assert.deepEqual(command, ["deno", "run", "job_process.ts", `${order.folder}/order.json`]);
    assert.equal(workingDir, order.folder);
    assert.deepEqual(env, [{ name: "NO_COLOR", value: "1" }, { name: "DRI_PRIME", value: "1" }]);
    assert.equal(resources!.limits!["nvidia.com/gpu"], "1");
    assert.equal(job.job.spec!.backoffLimit, 0);
    assert.equal(job.job.metadata!.annotations!["lowrank/job-id"], "ftjob-AbC");
    assert.deepEqual(JSON.parse(await Deno.readTextFile(`${order.folder}/order.json`)), {
      config: order.config,
    });

    job.breaks = true;
    job.runs();
    for (let step = 1; step <= 3; step++) {
      job.say(word(step), "a line of a driver");
      await until(() => events.length === step);
    }
    job.breaks = false;
    job.say(word(4), { type: "over", error: null });
    job.ends(0);
    assert.deepEqual(await outcome, { type: "completed" });
    assert.deepEqual(steps(events), ["step 1", "step 2", "step 3", "step 4"]);
    assert.equal(cluster.jobs.size, 0);
    assert.ok(
      cluster.requests.every((request) => / \/api(s\/batch)?\/v1\/namespaces\/tuning\//.test(request)),
    );
  }));

Deno.test("KubernetesLauncher tells why a pod waits, and how it ended where it said nothing", () =>
  onCluster(async ({ cluster, launcher, order }) => {
    const { events, outcome } = followed(launcher.launch(order));
    const job = await created(cluster);
    job.pod.status = {
      phase: "Pending",
      conditions: [{ type: "PodScheduled", status: "False", message: "0/3 nodes have nvidia.com/gpu" }],
    };
    await until(() => events.length === 1);
    job.waits("ImagePullBackOff", "no such image");
    await until(() => events.length === 2);
    assert.deepEqual(steps(events), [
      "the pod waits for a place: 0/3 nodes have nvidia.com/gpu",
      "the pod waits: ImagePullBackOff: no such image",
    ]);
    job.runs();
    job.say(word(1), "out of something");
    job.ends(137, "OOMKilled");
    const how = "ended with code 137 (OOMKilled)";
    assert.deepEqual(await outcome, { type: "crashed", how, logEnd: "out of something\n" });
  }));

Deno.test("KubernetesLauncher stops a job by deleting it, and hears that it has saved", () =>
  onCluster(async ({ cluster, launcher, order }) => {
    const process = launcher.launch(order), { outcome } = followed(process);
    const job = await created(cluster);
    job.onDelete = () => {
      job.say({ type: "stopped" });
      job.ends(0);
      cluster.jobs.delete(job.job.metadata!.name!);
    };
    job.runs();
    job.say(word(1));
    process.stop();
    assert.deepEqual(await outcome, { type: "stopped" });

    const waiting = launcher.launch({ ...order, jobId: "ftjob-other" }), end = followed(waiting).outcome;
    await created(cluster, 2);
    waiting.stop();
    assert.deepEqual(await end, { type: "stopped" }, "of a pod that has not begun");
  }));

Deno.test("KubernetesLauncher follows a Job that an earlier server left at work, and replaces one that is over", () =>
  onCluster(async ({ cluster, launcher, order }) => {
    followed(launcher.launch(order));
    const job = await created(cluster);
    job.runs();
    job.say(word(1));
    const again = followed(launcher.launch(order));
    await until(() => again.events.length === 1);
    assert.equal(cluster.created.length, 1);
    job.say({ type: "over", error: { name: "DivergedError", message: "no" } });
    job.onDelete = () => {}; // it takes its time to go
    job.ends(0);
    assert.equal((await again.outcome).type, "failed");
    const third = followed(launcher.launch(order));
    setTimeout(() => cluster.jobs.clear(), 50);
    const fresh = await created(cluster, 2);
    fresh.runs();
    fresh.say({ type: "over", error: null });
    fresh.ends(0);
    assert.deepEqual(await third.outcome, { type: "completed" });
  }));

Deno.test("KubernetesLauncher tells of a cluster that refuses", () =>
  onCluster(async ({ launcher, order, cluster }) => {
    await Deno.writeTextFile(
      `${order.folder}/kubeconfig`,
      cluster.kubeconfig.replace("opensesame", "sesame"),
    );
    const outcome = await followed(launcher.launch(order)).outcome;
    assert.equal(outcome.type, "crashed");
    assert.match(JSON.stringify(outcome), /cannot be followed: The cluster answered 401: Unauthorized/);
  }));

Deno.test("readTemplate() refuses what is no Job with a container to fill", () => {
  const refused = (text: string, message: RegExp) =>
    assert.throws(() => readTemplate(text, "a.yaml"), message);
  refused("a: [", /--job-template: "a.yaml" is no YAML/);
  refused("kind: Pod", /must be a Job of batch\/v1/);
  refused("kind: Job\napiVersion: batch/v1", /must have one container named train/);
  const containers =
    "kind: Job\napiVersion: batch/v1\nspec: {template: {spec: {containers: [{name: train}]}}}";
  refused(containers, /must name the image/);
});

Deno.test("launcherOptions() reads what a launcher needs, and refuses what another one knows", async () => {
  const read = (...words: string[]) => {
    const issues: ConfigIssue[] = [];
    const options = launcherOptions(parseFlags(words, SERVE_FLAGS), (_, fallback) => fallback, issues);
    return { options, issues: issues.map(({ path, message }) => `${path} ${message}`).join("\n") };
  };
  assert.deepEqual(read(), {
    options: { kind: "local", ranks: 2, template: null, namespace: null },
    issues: "",
  });
  assert.match(read("--launcher", "kubernets").issues, /must be one of local, .*did you mean "kubernetes"/);
  assert.match(
    read("--launcher", "kubernetes", "--ranks", "4").issues,
    /--ranks is for .* mpi\n--job-template is missing/,
  );
  assert.match(read("--namespace", "a").issues, /--namespace is for --launcher kubernetes/);
  const { options } = read("--launcher", "kubernetes", "--job-template", "/nowhere.yaml");
  await assert.rejects(
    openLauncher(options, () => ["deno"]),
    /--job-template: "\/nowhere.yaml" cannot be read/,
  );
});

Deno.test("manifests of deploy/kubernetes are valid by the published schema", async () => {
  const models = {
    ClusterRole,
    Deployment,
    Job,
    PersistentVolumeClaim,
    Role,
    RoleBinding,
    Service,
    ServiceAccount,
  };
  let count = 0;
  for await (const { name } of Deno.readDir(MANIFESTS)) {
    if (!name.endsWith(".yaml")) continue;
    for (const document of loadAll(await Deno.readTextFile(`${MANIFESTS}/${name}`))) {
      const { kind, ...manifest } = document as { readonly kind: string };
      count++;
      if (kind === "MPIJob") {
        const { apiVersion, spec } = manifest as MpiJob;
        assert.equal(apiVersion, "kubeflow.org/v2beta1");
        const { Launcher, Worker } = spec.mpiReplicaSpecs;
        for (const { template: { spec } } of [Launcher, Worker]) new Pod({ spec }).validate();
        const args = Launcher.template.spec.containers[0]!.args!;
        assert.ok(args.includes(`--ranks=${Worker.replicas * spec.slotsPerWorker}`));
        continue;
      }
      const Model = models[kind as keyof typeof models];
      assert.ok(Model, `${name}: ${kind}`);
      new Model({ kind, ...manifest } as never).validate();
    }
  }
  assert.ok(count >= 9, `${count}`);
});

Deno.test("ranksOf() gives each rank of a job a micro-batch at least", () => {
  assert.deepEqual(
    [{}, { gradient_accumulation_steps: 3 }, { gradient_accumulation_steps: 9 }].map((config) =>
      ranksOf(config, 4)
    ),
    [1, 3, 4],
  );
});

Deno.test("rankThatDied() reads mpirun's words over their line ends", () => {
  const log = "mpirun noticed that process rank 1 with PID 0 on node a-b exited on\nsignal 9 (Killed).\n";
  assert.equal(rankThatDied(log), "had its rank 1 ended by signal 9 (Killed)");
  assert.equal(rankThatDied("nothing of the kind"), null);
});

Deno.test({
  name: hasMpi && device
    ? "MpiLauncher trains on two ranks, tells which one died, stops on a word, and goes on from the checkpoint"
    : "MpiLauncher (no Open MPI or no adapter)",
  ignore: !hasMpi || !device,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "lowrank-mpi-" });
    try {
      const rights = [
        "--no-prompt",
        "--allow-read",
        "--allow-write",
        "--allow-env",
        "--allow-sys",
        "--allow-ffi",
      ];
      const launcher = new MpiLauncher({
        command: [
          ...[Deno.execPath(), "run", "--quiet", "--config", `${ROOT}deno.json`, ...rights] as const,
          `${ROOT}server/job_process.ts`,
        ] as [string, ...string[]],
        ranks: 2,
      });
      const config = { ...OPTIONS, max_steps: 40, output_model_name: "a", output_dir: `${folder}/run` };
      const order = { jobId: "a", config, folder, slot: { name: "slot 0", env: {} } };
      const trained = async (disturb: ((process: JobProcess) => void | Promise<void>) | null) => {
        const process = launcher.launch(order), told: TrainingEvent[] = [];
        for await (const event of process.events) {
          told.push(event);
          if (event.type === "step" && told.filter(({ type }) => type === "step").length === 4) {
            await disturb?.(process);
          }
        }
        return { told, outcome: await process.outcome };
      };
      const killed = await trained(async () => Deno.kill(await rankOf(`${folder}/order.json`, 1), "SIGKILL"));
      assert.equal(killed.outcome.type, "crashed");
      assert.match(JSON.stringify(killed.outcome), /"how":"had its rank 1 ended by signal 9 \(Killed\)"/);
      const stopped = await trained((process) => process.stop());
      assert.deepEqual(stopped.outcome, { type: "stopped" });
      const { told, outcome } = await trained(null);
      assert.deepEqual(outcome, { type: "completed" });
      const resumed = told.find((event) => event.type === "resumed");
      assert.ok(resumed && resumed.step >= 8 && resumed.step < 40, JSON.stringify(resumed));
      assert.equal(told.at(-1)!.type, "finished");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
