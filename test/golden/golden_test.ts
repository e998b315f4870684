import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { openGpu } from "../../src/gpu/device.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { type GoldenResult, runGolden } from "./golden_cases.ts";

const dir = new URL("../../../shared/golden", import.meta.url).pathname;
const present = existsSync(dir);
const CASES = ["llama", "llama3rope"];

async function run(cases: readonly string[]): Promise<GoldenResult[]> {
  const gpu = await openGpu();
  try {
    return await Array.fromAsync(runGolden(gpu, new LocalFolder(dir), { cases }));
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
  fn: async () => {
    const results = await run(CASES);
    assertAllPassed(results);
    const skipped = results.filter(({ outcome }) => outcome === "skipped");
    assert.deepEqual(skipped.map(({ name }) => name), [] as string[]);
  },
});

Deno.test({
  name: "runGolden() trains on every quantised tensor as it is packed (needs shared data)",
  ignore: !present,
  fn: async () => {
    const results = await run(["quant"]);
    assert.deepEqual(results.filter(({ outcome }) => outcome !== "passed"), []);
    assert.equal(results.length, 23); // 8 of NF4, 2 of int8, 8 of GGUF blocks, 5 of tiny.gguf
  },
});

Deno.test({
  name: "runGolden() finds PyTorch's numbers for every other family (needs shared data)",
  ignore: !present,
  fn: async () => {
    const cases = ["qwen2", "qwen3", "gemma2", "gemma3", "mistral", "phi3"];
    const results = await run(cases);
    assert.deepEqual(results.filter(({ outcome }) => outcome !== "passed"), []);
    for (const name of cases) {
      assert.ok(results.some((result) => result.name.startsWith(`${name} lora grad`)));
    }
  },
});
