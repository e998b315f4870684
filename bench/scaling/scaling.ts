/**
 * How a run scales over ranks: steps on one rank and on two, allreduces over shared memory and TCP, a model fitted to them,
 * and what it says of machines that are not here. Writes `bench/results/scaling.md` and its drawings.
 *
 *     deno task scaling                           SmolLM2's shape, 64 tokens a micro-batch
 *     deno task scaling --layers 4 --steps 10     a part of it
 *
 * @module
 */
import { parseArgs } from "node:util";
import { LINKS, mpirun } from "../../test/distributed/launched_runs.ts";
import { clusterLoad } from "./cluster_load.ts";
import { lineChart, type Series } from "../plot.ts";
import { spreadOf } from "../statistics.ts";
import { table } from "../table.ts";
import { fitLink, type Link, speedup, stepSeconds, type StepWork } from "./links.ts";
import type { RankFindings, RankOrder, StepParts } from "./rank.ts";
import { type Machine, MACHINES, RUNS } from "./predictions.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const RESULTS = `${ROOT}bench/results`;
const SIZES = [16, 64, 256, 1024, 4096, 16384, 65536].map((kib) => kib * 1024);
const MICRO_BATCHES = 2;
const EVENTS_OF_A_JOB = 20;

const RIGHTS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-ffi"];

/** What the ranks of one run found, by rank. */
async function measured(
  ranks: number,
  order: Omit<RankOrder, "into">,
  link: keyof typeof LINKS = "shared memory",
): Promise<RankFindings[]> {
  const into = await Deno.makeTempDir({ prefix: "lowrank-scaling-" });
  try {
    const own = [Deno.execPath(), "run", "--quiet", "--config", `${ROOT}deno.json`, ...RIGHTS];
    const command = [...own, `${ROOT}bench/scaling/rank.ts`, JSON.stringify({ ...order, into })];
    const [program, ...args] = ranks === 1 ? command : mpirun(ranks, command, link);
    const { success } = await new Deno.Command(program!, { args, env: { LP_NUM_THREADS: "1" } }).spawn()
      .status;
    if (!success) throw new Error(`The measurement on ${ranks} ranks over ${link} failed`);
    const found = Array.from({ length: ranks }, (_, rank) => Deno.readTextFile(`${into}/rank-${rank}.json`));
    return (await Promise.all(found)).map((text) => JSON.parse(text));
  } finally {
    await Deno.remove(into, { recursive: true });
  }
}

const PARTS = ["compute", "read", "wait", "allreduce", "update", "cpu"] as const;

/** The median step of all ranks, part by part. */
function median(found: readonly RankFindings[]): StepParts {
  const steps = found.flatMap(({ steps }) => steps);
  return Object.fromEntries(
    PARTS.map((part) => [part, spreadOf(steps.map((step) => step[part])).median]),
  ) as unknown as StepParts;
}

/** Wall time of a step without waiting for others. */
const busy = ({ compute, read, allreduce, update }: StepParts) => compute + read + allreduce + update;

/** Milliseconds: whatever else the machine does only adds to it. */
const fastest = (found: readonly RankFindings[]) =>
  1000 * Math.min(...found.flatMap(({ steps }) => steps.map(({ allreduce }) => allreduce)));

function stepRow(name: string, parts: StepParts): string[] {
  const ms = (part: number) => (1000 * part).toFixed(part < 0.1 ? 1 : 0);
  const { compute, read, wait, allreduce, update, cpu } = parts;
  const share = `${(100 * allreduce / busy(parts)).toFixed(2)} %`;
  return [name, ...[compute, read, wait, allreduce, update, cpu].map(ms), share];
}

function speedups(machine: Machine, work: StepWork): Series {
  const counts = [1, 2, 4, 8, 16, 32, 64].filter((count) => count <= machine.gpus);
  return {
    name: machine.name,
    points: counts.map((ranks) => [ranks, Number(speedup(ranks, work, machine.link).toFixed(2))]),
  };
}

function predictionRows(): string[][] {
  return RUNS.flatMap(({ name, work }) =>
    MACHINES.map((machine) => {
      const alone = stepSeconds(1, work, machine.link),
        together = stepSeconds(machine.gpus, work, machine.link);
      const exchange = together - Math.ceil(work.microBatches / machine.gpus) * work.microBatchSeconds;
      return [
        ...[name, machine.name, alone.toFixed(2), together.toFixed(3)],
        ...[(alone / together).toFixed(1), `${(100 * exchange / together).toFixed(0)} %`],
      ];
    })
  );
}

async function draw(name: string, svg: string): Promise<string> {
  const file = `scaling-${name}.svg`;
  await Deno.writeTextFile(`${RESULTS}/${file}`, svg);
  return `![${name}](${file})`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      layers: { type: "string", default: "30" },
      length: { type: "string", default: "64" },
      steps: { type: "string", default: "3" },
      jobs: { type: "string", default: "1000" },
    },
  });
  const [layers, length, steps] = [values.layers, values.length, values.steps].map(Number) as [
    number,
    number,
    number,
  ];
  const [load] = Deno.loadavg();
  const order = { layers, length, steps, microBatches: MICRO_BATCHES, bytes: SIZES };
  const alone = await measured(1, order), two = await measured(2, order);
  const tcp = await measured(2, { ...order, layers: 1, steps: 1 }, "TCP loopback");
  const cluster = await clusterLoad(Number(values.jobs), EVENTS_OF_A_JOB);
  const links = [["shared memory", two], ["TCP loopback", tcp]] as const;
  const fitted = links.map(([name, found]) => fitLink(name, 2, found[0]!.transfers));
  const [one, both] = [median(alone), median(two)];
  const { gradientBytes, adapter } = two[0]!;
  const work: StepWork = {
    microBatches: MICRO_BATCHES,
    microBatchSeconds: one.compute / MICRO_BATCHES,
    onceSeconds: both.read + both.update,
    bytes: gradientBytes,
  };
  const said = stepSeconds(2, work, fitted[0]!);
  const drawings = [
    await draw(
      "allreduce",
      lineChart({
        title: "Allreduce of two ranks on one machine",
        x: { label: "KiB", logarithmic: true },
        y: { label: "GB/s of gradients" },
        series: links.map(([name, found]) => ({
          name,
          points: found[0]!.transfers.map((
            { bytes, seconds },
          ) => [bytes / 1024, Number((bytes / seconds / 1e9).toFixed(3))]),
        })),
      }),
    ),
    ...await Promise.all(RUNS.map(({ id, name, work }) =>
      draw(
        id,
        lineChart({
          title: `Speedup, predicted: ${name}`,
          x: { label: "GPUs", logarithmic: true },
          y: { label: "times one GPU" },
          series: MACHINES.map((machine) => speedups(machine, work)),
        }),
      )
    )),
  ];
  const linkRow = (
    { name, latencySeconds, bytesPerSecond }: Link,
  ) => [name, (1e6 * latencySeconds).toFixed(0), (bytesPerSecond / 1e9).toFixed(2)];
  const report = [
    "# Scaling over ranks",
    "**SOFTWARE ADAPTER: measured steps compute on the CPU; predictions are the model's, with the assumptions given.**",
    `\`deno task scaling${Deno.args.map((word) => ` ${word}`).join("")}\`, ${
      new Date().toISOString().slice(0, 10)
    }, ${adapter}, ${navigator.hardwareConcurrency} cores, one thread a rank; ` +
    `load at the start ${load!.toFixed(1)}. [docs/scaling.md](../../docs/scaling.md) tells what it means.`,
    "## Measured",
    `A step of ${MICRO_BATCHES} micro-batches of ${length} tokens through ${layers} blocks of SmolLM2's shape, LoRA of ` +
    `rank 8 on all linear maps: ${
      (gradientBytes / 1e6).toFixed(1)
    } MB of gradients. Medians of ${steps} steps, ms.`,
    table(
      [
        "ranks",
        "compute",
        "read",
        "wait",
        "allreduce",
        "update",
        "cpu",
        "allreduce, of a step without waiting",
      ],
      [stepRow("1", one), stepRow("2", both)],
    ),
    `The fastest allreduce of the steps took ${fastest(two).toFixed(1)} ms.`,
    `The model says ${
      said.toFixed(2)
    } s for two ranks without waiting, from one rank's computing; measured: ` +
    `${busy(both).toFixed(2)} s. By processor time, on which other programs tell less, one rank took ` +
    `${one.cpu.toFixed(2)} s and each of two ${both.cpu.toFixed(2)} s, waiting with it: ` +
    `${(one.cpu / both.cpu).toFixed(2)} times as fast.`,
    "## Links",
    `Two ranks, the least of 19 allreduces each of ${SIZES.length} sizes, fitted.`,
    table(["link", "latency, µs", "GB/s a rank sends"], fitted.map(linkRow)),
    "## Predicted",
    table(
      ["run", "machine", "s a step on 1 GPU", "on all", "times", "exchange, of a step"],
      predictionRows(),
    ),
    ...drawings,
    "## Jobs on a cluster",
    `${cluster.jobs} jobs at a time through the server's launcher, with the API server of the tests in the same process: ` +
    `created in ${cluster.createSeconds.toFixed(1)} s; ${cluster.events} events heard within ` +
    `${cluster.relaySeconds.toFixed(1)} s, looks every 2 s and the removal of all Jobs with them; ` +
    `${cluster.requests} requests, ${cluster.cpuSeconds.toFixed(1)} s of processor time, ` +
    `${(cluster.residentBytes / 2 ** 20).toFixed(0)} MiB resident.`,
  ];
  const written = [
    "scaling.md",
    ...["allreduce", ...RUNS.map(({ id }) => id)].map((id) => `scaling-${id}.svg`),
  ]
    .map((name) => `${RESULTS}/${name}`);
  await Deno.writeTextFile(written[0]!, `${report.join("\n\n")}\n`);
  console.log(report.join("\n\n"));
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", ...written] }).output();
}

if (import.meta.main) await main();
