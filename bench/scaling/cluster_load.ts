/**
 * Many jobs on a cluster at a time, as the server's launcher has them: against the API server of the tests, in the same
 * process.
 *
 * @module
 */
import process from "node:process";
import { openCluster } from "../../server/launchers/cluster.ts";
import { readTemplate } from "../../server/launchers/job_manifest.ts";
import { KubernetesLauncher } from "../../server/launchers/kubernetes.ts";
import { FakeCluster } from "../../test/helpers/fake_cluster.ts";

/** What that takes; API server and launcher together. */
export interface ClusterLoad {
  readonly jobs: number;
  /** From the first order to the last Job that stands. */
  readonly createSeconds: number;
  /** From the first line of a log to the last event that was heard. */
  readonly relaySeconds: number;
  readonly events: number;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly requests: number;
}

/** Launches jobs that all run at once and say `eventsEach` lines each. */
export async function clusterLoad(jobs: number, eventsEach: number): Promise<ClusterLoad> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-cluster-load-" });
  const cluster = new FakeCluster();
  try {
    await Deno.writeTextFile(`${folder}/kubeconfig`, cluster.kubeconfig);
    Deno.env.set("KUBECONFIG", `${folder}/kubeconfig`);
    const manifest = new URL("../../deploy/kubernetes/server-job.yaml", import.meta.url);
    const launcher = new KubernetesLauncher({
      template: readTemplate(await Deno.readTextFile(manifest), "server-job.yaml"),
      command: ["deno"],
      open: () => openCluster(null),
    });
    const cpu = process.cpuUsage(), started = performance.now();
    const ends = Array.from({ length: jobs }, async (_, i) => {
      const place = `${folder}/${i}`;
      await Deno.mkdir(place);
      const slot = { name: "slot", env: {} };
      const { events, outcome } = launcher.launch({ jobId: `ftjob-${i}`, config: {}, folder: place, slot });
      let heard = 0;
      for await (const _ of events) heard++;
      await outcome;
      return heard;
    });
    while (cluster.created.length < jobs) await new Promise((resolve) => setTimeout(resolve, 10));
    const created = performance.now();
    for (const job of cluster.created) {
      job.runs();
      const event = { type: "event", event: { type: "phase", message: "a step" } };
      for (let i = 0; i < eventsEach; i++) job.say(event);
      job.say({ type: "over", error: null });
      job.ends(0);
    }
    const events = (await Promise.all(ends)).reduce((sum, heard) => sum + heard, 0);
    const { user, system } = process.cpuUsage(cpu);
    return {
      jobs,
      createSeconds: (created - started) / 1000,
      relaySeconds: (performance.now() - created) / 1000,
      events,
      cpuSeconds: (user + system) / 1e6,
      residentBytes: Deno.memoryUsage().rss,
      requests: cluster.requests.length,
    };
  } finally {
    await cluster.close();
    await Deno.remove(folder, { recursive: true });
  }
}
