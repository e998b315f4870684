import assert from "node:assert/strict";
import { GpuLedger, textureBytes } from "../../bench/gpu_ledger.ts";
import { checkLosses } from "../../bench/mlp/contest.ts";
import { chosenParts, chosenQuantizations } from "../../bench/options.ts";
import { readPeakResident } from "../../bench/process_memory.ts";
import { productProblem, sampledError } from "../../bench/products/problem.ts";
import { type BenchHeading, formatResults, resultStem } from "../../bench/report.ts";
import { kernelTotals, mapsOf, shapeTimes } from "../../bench/smollm2/kernels.ts";
import peers from "../../bench/peers.json" with { type: "json" };
import sdks from "../../bench/sdks.json" with { type: "json" };
import config from "../../deno.json" with { type: "json" };
import lock from "../../deno.lock" with { type: "text" };
import type { DispatchTime } from "../../src/gpu/profile.ts";

const HEADING: BenchHeading = {
  date: "2026-11-24",
  lowrank: "0.1.0",
  adapter: "Made Up GPU",
  software: false,
  variants: "8x4 tiles",
  drivers: "libx.so",
  cpu: "2 x Made Up",
  runtime: "Deno",
  load: 0.125,
  command: "deno task bench",
};

Deno.test("chosenParts() takes names in any order and names what there is for one that is not", () => {
  const parts = ["matmul", "mlp", "step"].map((name) => ({ name }));
  assert.deepEqual(chosenParts(parts, null), { chosen: parts });
  assert.deepEqual(chosenParts(parts, "step, matmul"), { chosen: [parts[0], parts[2]] });
  assert.deepEqual(chosenParts(parts, "mlp,maths"), {
    problem: '--only takes matmul, mlp, step, with commas between: current value is "mlp,maths"',
  });
  assert.ok("problem" in chosenParts(parts, ""));
});

Deno.test("chosenQuantizations() takes one, all, or none that it does not know", () => {
  assert.deepEqual(["all", "4bit", "q4"].map(chosenQuantizations), [
    ["none", "8bit", "4bit"],
    ["4bit"],
    null,
  ]);
});

Deno.test("formatResults() tells machine, parts and failures, and links drawings by the file's own name", () => {
  const stem = resultStem("Made Up GPU", "peers");
  const text = formatResults(HEADING, [
    { name: "a", title: "First", seconds: 1.4, result: { markdown: "![x](FILE-speed.svg)", data: 1 } },
    { name: "b", title: "Second", seconds: 2, result: { failed: "it broke" } },
  ], stem);
  assert.match(text, /^# Benchmark on Made Up GPU\n\nLowrank 0\.1\.0, 2026-11-24, `deno task bench`\./);
  assert.match(text, /\n## First\n\n!\[x\]\(Made-Up-GPU-peers-speed\.svg\)\n\n\(1 s\)\n/);
  assert.match(text, /\n## Second\n\n\*\*Failed\*\*: it broke\n/);
  assert.doesNotMatch(text, /SOFTWARE/);
  assert.match(
    formatResults({ ...HEADING, software: true }, [], stem),
    /\n\*\*SOFTWARE ADAPTER: .*nothing about GPUs\.\*\*\n/,
  );
});

Deno.test("sampledError() sees a wrong value, a transposed factor and a NaN", () => {
  const size = 16;
  for (const transposed of [true, false]) {
    const problem = productProblem(size, transposed), { x, w } = problem;
    const product = (other: boolean) =>
      Float32Array.from({ length: size * size }, (_, at) => {
        const row = Math.floor(at / size), col = at % size;
        let sum = 0;
        for (let k = 0; k < size; k++) {
          sum += x[row * size + k]! * w[other ? col * size + k : k * size + col]!;
        }
        return sum;
      });
    assert.ok(sampledError(product(transposed), problem).share < 1);
    assert.ok(sampledError(product(!transposed), problem).share > 1e3);
    assert.ok(sampledError(product(transposed).fill(0, 100, 101), problem).share > 1e3);
    assert.equal(sampledError(product(transposed).fill(NaN, 7, 8), problem).share, Infinity);
  }
});

Deno.test("checkLosses() names who leaves whom, and where", () => {
  checkLosses(["ours", "theirs"], [[2, 1], [2.0001, 1]], 1e-4);
  assert.throws(
    () => checkLosses(["ours", "theirs", "others"], [[2, 1], [2, 1], [2, 1.01]], 1e-4),
    /^Error: Cannot compare ours with others as their losses differ at step 2: 1 and 1\.01/,
  );
  assert.throws(() => checkLosses(["ours", "theirs"], [[2], [NaN]], 1e-4), /differ at step 1/);
});

Deno.test("readPeakResident() reads the peak, not the present, and nothing from other texts", () => {
  const status = "Name:\tdeno\nVmPeak:\t  999 kB\nVmHWM:\t  123456 kB\nVmRSS:\t   100 kB\n";
  assert.equal(readPeakResident(status), 123456 * 1024);
  assert.equal(readPeakResident(""), null);
});

Deno.test("textureBytes() counts texels of both ways to give a size, and refuses a format it does not know", () => {
  assert.equal(textureBytes({ size: [3, 5], format: "rgba32float" }), 240);
  assert.equal(textureBytes({ size: { width: 3, height: 5 }, format: "rgba32float" }), 240);
  assert.throws(() => textureBytes({ size: [1, 1], format: "bc1-rgba-unorm" }), /bc1-rgba-unorm/);
});

Deno.test("GpuLedger counts what lives at once and each destroyed thing once", async () => {
  const made = () => ({ destroy() {} });
  const device = {
    createBuffer: made,
    createTexture: made,
    createComputePipelineAsync: () => Promise.resolve({}),
  } as unknown as GPUDevice;
  const ledger = new GpuLedger(device);
  const buffer = device.createBuffer({ size: 100, usage: 0 });
  device.createTexture({ size: [1, 1], format: "rgba32float", usage: 0 });
  buffer.destroy();
  buffer.destroy();
  device.createBuffer({ size: 50, usage: 0 });
  assert.deepEqual([ledger.liveBytes, ledger.peakBytes], [66, 116]);
  await Promise.all([1, 2].map(() => device.createComputePipelineAsync({} as GPUComputePipelineDescriptor)));
  assert.equal(ledger.pipelines, 2);
});

function launch(kernel: string, sizes: Record<string, number>, flops: number, ms: number): DispatchTime {
  return {
    kernel,
    sizes,
    flops,
    ms,
    output: "",
    section: "forward",
    constants: {},
    sources: {},
    bytesRead: 3,
    bytesWritten: 1,
  };
}

const LAUNCHES = [
  launch("matmul_forward", { rows: 4, cols: 2, x_cols: 8, w_cols: 8 }, 128, 1),
  launch("lora_forward_add", { rows: 4, cols: 8, x_cols: 8, w_cols: 8, u_cols: 2, b_cols: 2 }, 512, 4),
  launch("lora_forward_add", { rows: 4, cols: 8, x_cols: 8, w_cols: 8, u_cols: 2, b_cols: 2 }, 512, 6),
  launch("rms_norm_forward", { rows: 4, cols: 8 }, 0, 3),
];

Deno.test("kernelTotals() adds up launches by kernel, longest first", () => {
  assert.deepEqual(kernelTotals(LAUNCHES), [
    { kernel: "lora_forward_add", launches: 2, ms: 10, flops: 1024, bytes: 8 },
    { kernel: "rms_norm_forward", launches: 1, ms: 3, flops: 0, bytes: 4 },
    { kernel: "matmul_forward", launches: 1, ms: 1, flops: 128, bytes: 4 },
  ]);
});

Deno.test("shapeTimes() takes products only, and the best of a shape wherever it was", () => {
  const key = "lora_forward_add rows 4, cols 8, x_cols 8, w_cols 8, u_cols 2, b_cols 2";
  const [first, second, ...others] = shapeTimes(LAUNCHES, new Map([[key, 3]]));
  assert.deepEqual(others, []);
  assert.deepEqual([first!.launches, first!.ms, first!.bestMs, first!.flops], [2, 5, 3, 512]);
  assert.deepEqual([second!.kernel, second!.ms, second!.bestMs], ["matmul_forward", 1, 1]);
  assert.equal(shapeTimes(LAUNCHES, new Map([[key, 9]]))[0]!.bestMs, 4);
});

Deno.test("mapsOf() finds each linear map once, those with an update first", () => {
  assert.deepEqual(mapsOf(LAUNCHES), [
    { rows: 4, inputs: 8, outputs: 8, rank: 2 },
    { rows: 4, inputs: 8, outputs: 2, rank: 0 },
  ]);
});

Deno.test("peers are named for the benchmarks alone: what they share with the project has its versions", () => {
  const ours = config.imports as Record<string, string>;
  const only = ["@jax-js/jax", "@tensorflow/tfjs-backend-webgpu", "@tensorflow/tfjs-core"]
    .concat("@aws-sdk/client-s3", "@aws-sdk/lib-storage");
  const { jsx: _, jsxImportSource: __, ...strictness } = config.compilerOptions; // those of the page
  for (const { imports, compilerOptions } of [peers, sdks]) {
    for (const [name, target] of Object.entries(imports)) {
      assert.equal(ours[name], only.includes(name) ? undefined : target, name);
      assert.match(target, /@\d+\.\d+\.\d+$/);
    }
    assert.deepEqual(compilerOptions, strictness);
  }
  assert.doesNotMatch(lock, /@jax-js|@tensorflow|@aws-sdk/);
});

Deno.test("peers.json has every package that the benchmark's modules import", async () => {
  const missing = new Set<string>(), seen = new Set<string>(), known: Record<string, string> = peers.imports;
  const visit = async (module: URL): Promise<void> => {
    if (seen.has(module.href)) return;
    seen.add(module.href);
    const source = (await Deno.readTextFile(module)).replace(/\/\*[^]*?\*\//g, "");
    for (
      const [, isType, from] of source.matchAll(/^(?:import|export) (type )?(?:[^;"']*? from )?"([^"]+)"/gm)
    ) {
      if (isType) continue;
      const [name] = /^(?:@[^/]+\/)?[^/]+/.exec(from!) ?? [from!];
      const isPackage = !/^(\.|node:)/.test(from!);
      if (isPackage && !(name in known)) missing.add(`${from} in ${module.pathname}`);
      if (from!.startsWith(".") && from!.endsWith(".ts")) await visit(new URL(from!, module));
    }
  };
  await visit(new URL("../../bench/bench.ts", import.meta.url));
  assert.ok(seen.has(new URL("../../src/gpu/device.ts", import.meta.url).href));
  assert.deepEqual([...missing], []);
});
