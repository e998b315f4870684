/**
 * Runs whose device is destroyed at moments drawn by seed against one that is left alone: every file bit for bit.
 */
import assert from "node:assert/strict";
import { openCheckpoint } from "../../src/checkpoint/resume.ts";
import { GpuLostError, GpuMemoryError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { Decoder } from "../../src/models/decoder.ts";
import { TrainableModel } from "../../src/models/trainable_model.ts";
import { ParameterPool } from "../../src/nn/parameter_pool.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { threefry2x32 } from "../../src/random.ts";
import type { MemoryFolder } from "../../src/storage/memory.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk, jobOn, runOn } from "../helpers/job_disk.ts";
import { ofType, readJson, type Wire } from "../helpers/job_runs.ts";
import { beforeCalls, DeviceWatch } from "../helpers/lost_devices.ts";
import { left } from "../helpers/run_leavings.ts";

const SEED = 7;

/** 9 rows to train on: 14 micro-batches in 8 steps; reports, evaluations and checkpoints do not coincide. */
const WIRE: Wire = {
  max_steps: 8,
  batch_size: 2,
  gradient_accumulation_steps: 2,
  eval_batch_size: 2,
  eval_steps: 2,
  save_steps: 3,
  save_total_limit: 10,
  logging_steps: 3,
  learning_rate: 0.01,
  neftune_noise_alpha: 5,
};

/** Methods in whose midst a device can be lost, by what the run does then. */
const MOMENTS = {
  "while the base is loaded": [Decoder.prototype, "load"],
  "in a forward and backward pass": [TrainableModel.prototype, "accumulate"],
  "in an optimizer step": [AdamW.prototype, "step"],
  "in an evaluation": [TrainableModel.prototype, "evaluate"],
  "while weights and moments are read for a checkpoint": [ParameterPool.prototype, "read"],
} as const;
type Moment = keyof typeof MOMENTS;

/** Acts whenever one of these moments comes. */
function at(moment: Moment, act: () => void) {
  const [prototype, method] = MOMENTS[moment];
  return beforeCalls(prototype as object, method as never, act);
}

/** Runs a job on devices of its own. The first is destroyed when the moment comes the `nths[0]`th time on it, and so on. */
async function runLosing(
  root: MemoryFolder,
  moment: Moment,
  nths: readonly number[],
  wire: Wire = {},
): Promise<{ events: TrainingEvent[]; devices: number; error: unknown }> {
  const watch = new DeviceWatch();
  const gpu = await openGpu({ entry: watch.entry });
  const given = { gpu, pipelines: new PipelineCache(gpu) };
  const patched = at(moment, () => watch.destroyAt(nths));
  const events: TrainingEvent[] = [];
  try {
    const job = jobOn(root, { ...WIRE, ...wire }, { device: given, gpu: { entry: watch.entry } });
    for await (const event of job.run()) events.push(event);
    return { events, devices: watch.devices.length, error: null };
  } catch (error) {
    return { events, devices: watch.devices.length, error };
  } finally {
    patched.undo();
  }
}

interface Undisturbed {
  readonly left: Awaited<ReturnType<typeof left>>;
  readonly calls: Readonly<Record<string, number>>;
  readonly finished: TrainingEvent;
}

let straight: Promise<Undisturbed> | null = null;

function undisturbed(): Promise<Undisturbed> {
  return straight ??= (async () => {
    const root = await jobDisk();
    const watched = (Object.keys(MOMENTS) as Moment[]).map((moment) =>
      [moment, at(moment, () => {})] as const
    );
    try {
      const events = await runOn(root, WIRE);
      const calls = Object.fromEntries(watched.map(([moment, { calls }]) => [moment, calls]));
      return { left: await left(root), calls, finished: events.at(-1)! };
    } finally {
      for (const [, patched] of watched) patched.undo();
    }
  })();
}

/** A call among so many, by seed. */
function drawn(index: number, count: number): number {
  return 1 + Math.floor(threefry2x32(SEED, 0, index, 0)[0] / 2 ** 32 * count);
}

const record = (root: MemoryFolder) => readJson(root.folder("runs/ember"), "run.json");
const lastSaved = (events: readonly TrainingEvent[]) => ofType(events, "checkpointed").at(-1)?.step ?? 0;

for (const [i, moment] of (Object.keys(MOMENTS) as Moment[]).entries()) {
  onGpu(`a device lost ${moment} changes nothing of what the run leaves`, async () => {
    const want = await undisturbed();
    const root = await jobDisk();
    const nth = drawn(i, want.calls[moment]!);
    const { events, devices, error } = await runLosing(root, moment, [nth]);
    assert.equal(error, null, `${moment}, call ${nth}: ${error}`);
    assert.equal(devices, 2);
    const at = events.findIndex(({ type }) => type === "device_lost"), lost = events[at];
    assert.ok(lost?.type === "device_lost");
    assert.deepEqual([lost.recovery, lost.mostRecoveries], [1, 3]);
    assert.match(lost.message, /^The GPU ".+" was lost \(destroyed\): /);
    assert.equal(lost.step, lastSaved(events.slice(0, at)));
    assert.deepEqual(
      ofType(events.slice(at), "resumed").map(({ step }) => step),
      lost.step > 0 ? [lost.step] : [],
    );
    assert.equal(ofType(events, "started").length, 1);
    const finished = events.at(-1)!;
    assert.ok(finished.type === "finished" && want.finished.type === "finished");
    assert.deepEqual({ ...finished, seconds: 0 }, { ...want.finished, seconds: 0 });
    assert.deepEqual(await left(root), want.left);
    const { status, device_recoveries } = await record(root);
    assert.equal(status, "completed");
    assert.deepEqual(
      device_recoveries.map(({ step, message }: { step: number; message: string }) => [step, message]),
      [[lost.step, lost.message]],
    );
  });
}

onGpu(
  "devices lost twice in a row, the second before it has done a step, change nothing either",
  async () => {
    const want = await undisturbed();
    const root = await jobDisk();
    const { events, devices } = await runLosing(root, "in a forward and backward pass", [8, 1]);
    assert.deepEqual(
      ofType(events, "device_lost").map(({ step, recovery }) => [step, recovery]),
      [[3, 1], [3, 2]],
    );
    assert.equal(devices, 3);
    assert.deepEqual(await left(root), want.left);
  },
);

onGpu("a device lost while the merged model is looked at lets the run save everything again", async () => {
  const want = await undisturbed();
  const root = await jobDisk();
  const { events } = await runLosing(root, "while the base is loaded", [2], { save: "both" });
  assert.deepEqual(ofType(events, "device_lost").map(({ step }) => step), [8]);
  assert.deepEqual(ofType(events, "saved").map(({ what }) => what), ["adapter", "adapter", "merged"]);
  assert.equal(events.at(-1)!.type, "finished");
  assert.deepEqual(await left(root), want.left);
});

onGpu("a device lost before the first checkpoint lets the run begin anew", async () => {
  const want = await undisturbed();
  const root = await jobDisk();
  const { events } = await runLosing(root, "in a forward and backward pass", [2]);
  assert.deepEqual(ofType(events, "device_lost").map(({ step }) => step), [0]);
  assert.deepEqual(ofType(events, "evaluated").map(({ step }) => step), [0, 0, 2, 4, 6, 8]);
  assert.deepEqual(await left(root), want.left);
});

onGpu("a run that loses more devices than it may is failed, and its last checkpoint goes on", async () => {
  const want = await undisturbed();
  const root = await jobDisk();
  const wire = { max_device_recoveries: 1 };
  const { events, error } = await runLosing(root, "in an optimizer step", [5, 4], wire);
  assert.ok(error instanceof GpuLostError);
  assert.match(
    error.message,
    /^The GPU ".+" was lost \(destroyed\): .+\. Cannot go on as the run has lost its GPU 2 times and max_device_recoveries is 1: the checkpoint after step 6 is intact, resume auto goes on from it$/,
  );
  assert.deepEqual(ofType(events, "device_lost").map(({ step }) => step), [3]);
  const { status, error: told } = await record(root);
  assert.deepEqual([status, told], ["failed", error.message]);
  const output = root.folder("runs/ember");
  assert.equal((await openCheckpoint(output.folder("checkpoint-6"))).record.step, 6);
  const resumed = await runOn(root, { ...WIRE, resume: "auto" });
  assert.deepEqual(ofType(resumed, "resumed").map(({ step }) => step), [6]);
  assert.deepEqual(await left(root), want.left);
});

onGpu(
  "a run that may lose no device fails at the first, and leaves an older run's checkpoints alone",
  async () => {
    const root = await jobDisk();
    await runOn(root, { ...WIRE, max_steps: 2 });
    const wire = { overwrite: true, max_device_recoveries: 0, max_steps: 2 };
    const { error, events } = await runLosing(root, "while the base is loaded", [1], wire);
    assert.ok(error instanceof GpuLostError);
    assert.match(
      error.message,
      /has lost its GPU once and max_device_recoveries is 0: no checkpoint was written/,
    );
    assert.deepEqual(ofType(events, "device_lost"), []);
    assert.deepEqual(await root.folder("runs/ember").folders(), ["adapter", "checkpoint-2"]);
  },
);

onGpu("a device that reports that it is out of memory is replaced, too", async () => {
  const want = await undisturbed();
  const root = await jobDisk();
  const watch = new DeviceWatch();
  let steps = 0;
  const complain = () => {
    if (++steps !== 4) return;
    const error = new GPUOutOfMemoryError("not enough memory left");
    watch.devices.at(-1)!.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
  };
  const patched = at("in an optimizer step", complain);
  try {
    const gpu = await openGpu({ entry: watch.entry });
    const device = { gpu, pipelines: new PipelineCache(gpu) };
    const job = jobOn(root, WIRE, { device, gpu: { entry: watch.entry } });
    const events = await Array.fromAsync(job.run());
    const [lost] = ofType(events, "device_lost");
    assert.match(lost!.message, /^The GPU ".+" is out of memory: not enough memory left\./);
    assert.deepEqual(await left(root), want.left);
    assert.throws(() => gpu.check(), GpuMemoryError);
    await gpu.close();
  } finally {
    patched.undo();
  }
});
