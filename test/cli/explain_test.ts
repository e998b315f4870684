import assert from "node:assert/strict";
import { explain, type ExplainOutside } from "../../src/cli/explain.ts";
import type { Machine } from "../../src/cli/doctor_machine.ts";
import { runCommand } from "../../src/cli/run.ts";
import { ConfigError, StorageNotFoundError } from "../../src/errors.ts";
import type { ExplainReport } from "../../src/explain/report.ts";
import type { OpenDevice } from "../../src/fine_tune_job.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { registerTile } from "../../kernels/matmul/kernel.ts";
import { readText, writeFile } from "../../src/storage.ts";
import type { MemoryFolder } from "../../src/storage/memory.ts";
import { assertSelfContained, assertWellFormed } from "../explain/well_formed.ts";
import { onGpu } from "../helpers/device.ts";
import { folderAt, jobDisk, runOn } from "../helpers/job_disk.ts";
import { fakeIo } from "./fake_io.ts";

const MACHINE = { runtime: "Deno 2", platform: "linux", nvidiaVersion: null } as Machine;
const ROOFLINE = { gigaflops: 20, matmulSize: 512, gigabytes: 10 };

function outside(root: MemoryFolder, { gpu, pipelines }: OpenDevice): ExplainOutside {
  return {
    files: (uri) => folderAt(root, uri),
    machine: () => MACHINE,
    roofline: () => Promise.resolve(ROOFLINE),
    gpu,
    pipelines,
  };
}

/** The same device as a driver shows it that has no timestamp queries. */
function withoutTimestamps(gpu: Gpu): Gpu {
  const features = new Set([...gpu.features].filter((feature) => feature !== "timestamp-query"));
  return new Proxy(gpu, {
    get(of, name) {
      const value = name === "features" ? features : Reflect.get(of, name, of);
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
}

let trained: Promise<MemoryFolder> | null = null;

/** A disk with a run of two steps, made once. */
function trainedDisk(): Promise<MemoryFolder> {
  return trained ??= (async () => {
    const root = await jobDisk();
    await runOn(root, { max_steps: 2, batch_size: 3, gradient_checkpointing: "on" });
    return root;
  })();
}

onGpu("explain writes a page of a run's micro-batch and prints the head of it", async (device) => {
  const root = await trainedDisk(), { io, stdout } = fakeIo();
  await explain(["runs/ember/"], io, outside(root, device));
  assert.match(stdout.text, /^run {7}disk\/runs\/ember$/m);
  assert.match(stdout.text, /^batch {5}3 x 16 tokens, forward and backward$/m);
  assert.match(stdout.text, /^page: runs\/ember\/explain\.html$/m);
  const page = await readText(folderAt(root, "runs/ember"), "explain.html");
  assertWellFormed(page);
  assertSelfContained(page);
  assert.ok(page.includes("attention_forward"));
  assert.ok(page.includes("nats a token"));
});

onGpu("explain --json prints what was measured and writes a page only where --out says", async (device) => {
  const root = await trainedDisk(), { io, stdout } = fakeIo();
  await folderAt(root, "runs/ember").remove("explain.html");
  await explain(["runs/ember", "--json"], io, outside(root, device));
  assert.equal(await folderAt(root, "runs/ember").exists("explain.html"), false);
  const { microBatch, times, memory, memoryRows, record, device: where } = JSON.parse(
    stdout.text,
  ) as ExplainReport;
  assert.deepEqual(microBatch, {
    rows: 3,
    length: 16,
    recomputedBlocks: record.micro_batch.recomputed_blocks,
  });
  assert.ok(microBatch.recomputedBlocks > 0);
  assert.equal(where.name, record.adapter.name);
  assert.ok(memoryRows.some(({ what, bytes }) => what === "base weights" && bytes > 0));
  assert.ok(memory.peak.bytes <= memory.slotBytes && memory.slotBytes > 0);
  assert.deepEqual(memory.sections.map(({ name }) => name), ["forward", "head 0", "backward"]);
  assert.ok(times);
  assert.ok(
    Math.abs(times.bySize.reduce((sum, { ms }) => sum + ms, 0) - times.kernelMs) < 1e-6 * times.kernelMs,
  );
  const product = times.byKernel.find(({ kernel }) => kernel.startsWith("lora_forward"))!;
  assert.ok(product.gigaflops! > 0 && product.roofShare! > 0);

  await explain(["runs/ember", "--json", "--out", "pages/x.html"], io, outside(root, device));
  assert.ok(await folderAt(root, "pages").exists("x.html"));
});

onGpu("explain tells plan and memory where the adapter has no timestamp queries", async (device) => {
  const root = await trainedDisk(), { io, stdout } = fakeIo();
  const blind = { ...device, gpu: withoutTimestamps(device.gpu) };
  await explain(["runs/ember"], io, outside(root, blind));
  assert.match(stdout.text, /^time {6}not told: the adapter has no timestamp queries$/m);
  const page = await readText(folderAt(root, "runs/ember"), "explain.html");
  assert.match(page, /has no timestamp queries/);
  assert.match(page, /Intermediates need at most/);
});

onGpu("explain computes as the run did, with its tiles and the lines of its tuner", async (device) => {
  const root = await trainedDisk(), run = folderAt(root, "runs/ember"), { io, stdout } = fakeIo();
  const recorded = await readText(run, "run.json");
  const told = JSON.parse(recorded);
  told.kernels = {
    reason:
      "operands from there (a; b); measured: x·wᵀ 4x8 at 9.0 GFLOP/s (16x8 8.0; 2x2 not used); dy·w 4x1",
    tiles: { ...told.kernels.tiles, narrow: registerTile(4, 8, 8) },
  };
  await writeFile(run, "run.json", JSON.stringify(told));
  await explain(["runs/ember", "--json"], io, outside(root, device));
  await writeFile(run, "run.json", recorded);
  const { choices, times } = JSON.parse(stdout.text) as ExplainReport;
  assert.deepEqual(choices, [
    "operands from there (a; b)",
    "measured: x·wᵀ 4x8 at 9.0 GFLOP/s (16x8 8.0; 2x2 not used)",
    "dy·w 4x1",
  ]);
  const heights = times!.bySize.filter(({ kernel }) => kernel.startsWith("lora_forward"))
    .map(({ variant }) => /TILE_ROWS (\d+)/.exec(variant)?.[1]);
  assert.ok(heights.length > 0 && heights.every((height) => height === "4"), `${heights}`);
});

onGpu("explain takes a base model that has moved, and says so where it is gone", async (device) => {
  const root = await trainedDisk(), { io } = fakeIo();
  for (const name of await root.folder("base").list()) {
    const file = await root.folder("base").open(name);
    const copy = await root.folder("moved").create(name);
    await copy.write(await file.read(0, file.size));
    await copy.commit();
    await root.folder("base").remove(name);
  }
  await assert.rejects(explain(["runs/ember"], io, outside(root, device)), (error: Error) => {
    assert.ok(error instanceof StorageNotFoundError);
    assert.match(
      error.message,
      /^Cannot explain "disk\/runs\/ember" without its base model: Cannot find a model at "base"/,
    );
    assert.match(error.message, /or name the model's folder with --base-model$/);
    return true;
  });
  await explain(["runs/ember", "--base-model", "moved"], io, outside(root, device));
});

Deno.test("explain wants the folder of one run, and only flags that it knows", async () => {
  const { io } = fakeIo();
  const cases: [string[], string][] = [
    [[], "RUN is missing: name the folder of a run"],
    [["a", "b"], '"b" is not expected: one run is explained at a time'],
    [["a", "--ot", "x"], "--ot is not a flag"],
  ];
  for (const [args, message] of cases) {
    await assert.rejects(explain(args, io), (error: Error) => {
      assert.ok(error instanceof ConfigError);
      const [{ path, message: said }] = error.issues as [ConfigError["issues"][number]];
      assert.ok(`${path} ${said}`.startsWith(message), `${path} ${said}`);
      return true;
    });
  }
});

Deno.test("lowrank explain exits with 4 for a folder that is no run's, and has a help text", async () => {
  const { io, stdout, stderr } = fakeIo();
  assert.equal(await runCommand(["explain", "no/such/run"], io), 4);
  assert.match(
    stderr.text,
    /error: Cannot find a run at "no\/such\/run": the folder is empty or does not exist/,
  );
  assert.equal(await runCommand(["explain", "--help"], io), 0);
  assert.equal(await runCommand(["help", "explain"], io), 0);
  assert.equal(stdout.text.split("Usage: lowrank explain RUN [options]").length, 3);
});
