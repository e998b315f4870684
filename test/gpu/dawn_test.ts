import assert from "node:assert/strict";
import { TABLE_MARK } from "../golden/variant_table.ts";
import { ADAPTERS_VARIABLE } from "../helpers/gpu.ts";
import { type JunitCase, readJunit } from "../helpers/junit.ts";

/**
 * Runs the suites of kernels, layers, optimizer, model, engine and variants once more through Dawn and Tint, on SwiftShader, in a process
 * of its own: the driver is picked by an environment variable that Deno's WebGPU reads too.
 */
const DRIVER = "/usr/lib/chromium/vk_swiftshader_icd.json";
const ROOT = new URL("../../", import.meta.url);
const SUITES = [
  "test/kernels",
  "test/nn",
  "test/optim/adamw_test.ts",
  "test/models/trainable_model_test.ts",
  "test/generate/generator_test.ts",
  "test/gpu/program_test.ts",
  "test/gpu/tint_test.ts",
  "test/golden/variants_test.ts",
];
const PERMISSIONS = ["--allow-read", "--allow-env", "--allow-sys", "--allow-ffi"];

const present = await Deno.stat(DRIVER).then(() => true, () => false);
const asked = (Deno.env.get(ADAPTERS_VARIABLE) || "deno").split(",").includes("deno");

async function runSuites(junitPath: string): Promise<{ results: JunitCase[]; output: string }> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-check", "--no-prompt", `--junit-path=${junitPath}`, ...PERMISSIONS, ...SUITES],
    cwd: ROOT,
    env: { [ADAPTERS_VARIABLE]: "dawn", VK_ICD_FILENAMES: DRIVER },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  const xml = await Deno.readTextFile(junitPath).catch(() => "");
  return {
    results: readJunit(xml).filter(({ name, skipped }) => !skipped && name.includes("[dawn]")),
    output,
  };
}

Deno.test({
  name: `suites of kernels, layers and model pass on Dawn and SwiftShader${present ? "" : ` (no ${DRIVER})`}`,
  ignore: !present || !asked,
  fn: async (t) => {
    const junitPath = await Deno.makeTempFile({ suffix: ".xml" });
    try {
      const { results, output } = await runSuites(junitPath);
      assert.ok(results.length > 0, `no test ran on Dawn:\n${output.slice(-2000)}`);
      for (const line of output.split("\n")) if (line.startsWith(TABLE_MARK)) console.log(line);
      for (const { name, failure } of results) await t.step(name, () => assert.equal(failure, null));
    } finally {
      await Deno.remove(junitPath);
    }
  },
});
