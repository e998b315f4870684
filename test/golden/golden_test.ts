import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { type GoldenResult, runGolden } from "./golden_cases.ts";

const dir = new URL("../../../shared/golden", import.meta.url).pathname;
const present = existsSync(dir);
const CASES = ["llama", "llama3rope"];

async function run(gpu: Gpu, variants?: (typeof VARIANTS)[keyof typeof VARIANTS]): Promise<GoldenResult[]> {
  try {
    const options = variants ? { cases: CASES, variants } : { cases: CASES };
    return await Array.fromAsync(runGolden(gpu, new LocalFolder(dir), options));
  } finally {
    await gpu.close();
  }
}

function assertAllPassed(results: readonly GoldenResult[]): void {
  assert.deepEqual(results.filter(({ outcome }) => outcome === "failed"), []);
  assert.ok(
    results.filter(({ outcome }) => outcome === "passed").length >= 36,
    "fewer comparisons than expected",
  );
}

Deno.test({
  name: "runGolden() finds PyTorch's numbers for the llama cases (needs shared data)",
  ignore: !present,
  fn: async () => assertAllPassed(await run(await openGpu())),
});

// the default of each kind of adapter; that the other tiles give the same answers is shown by the kernels' tests
for (const name of ["llvmpipe", "software", "hardware"] as const) {
  Deno.test({
    name:
      `runGolden() finds PyTorch's numbers within WebGPU's default limits, ${name} variants (needs shared data)`,
    ignore: !present,
    fn: async () => assertAllPassed(await run(await openGpu({ limits: "default" }), VARIANTS[name])),
  });
}

Deno.test({
  name: "runGolden() finds PyTorch's numbers for every other family (needs shared data)",
  ignore: !present,
  fn: async () => {
    const gpu = await openGpu(), cases = ["qwen2", "qwen3", "gemma2", "gemma3", "mistral", "phi3"];
    const results = await Array.fromAsync(runGolden(gpu, new LocalFolder(dir), { cases }));
    await gpu.close();
    assert.deepEqual(results.filter(({ outcome }) => outcome !== "passed"), []);
    for (const name of cases) {
      assert.ok(results.some((result) => result.name.startsWith(`${name} lora grad`)));
    }
  },
});
