/**
 * Verifies this machine's adapter and writes a report that can be sent:
 *
 *     deno task verify [--report FILE] [--base HF_DIR] [--no-timings]
 *
 * Tests of kernels, layers and models; PyTorch's goldens and a recorded run, where they lie beside the checkout (in
 * `../shared`, or elsewhere by --golden and --curve); products, copies and a training step by the clock. Under ten
 * minutes on a GPU. Exit code 1 where something differs, 5 without an adapter.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { thisMachine } from "../src/cli/doctor_machine.ts";
import { exitCodeOf } from "../src/cli/exit_codes.ts";
import { quietMesa } from "../src/cli/quiet_mesa.ts";
import { openGpu } from "../src/gpu/device.ts";
import { chooseVariants } from "../src/nn/variants.ts";
import { VERSION } from "../src/version.ts";
import { measureRoofline } from "./roofline.ts";
import { runGoldens, runReplay, runTests, type Skipped } from "./verify_checks.ts";
import { formatVerification, passed, reportName, type Verification } from "./verify_report.ts";

const ROOT = new URL("../", import.meta.url);
const REPLAY_STEPS = 5;

const { values: flags } = parseArgs({
  allowNegative: true,
  options: {
    report: { type: "string" },
    base: { type: "string" },
    golden: { type: "string" },
    curve: { type: "string" },
    timings: { type: "boolean", default: true },
    "require-gpu": { type: "boolean", default: false },
    "limit-minutes": { type: "string", default: "10" },
  },
});
const limitMinutes = Number(flags["limit-minutes"]);
if (!(limitMinutes > 0)) {
  console.error(
    `error: --limit-minutes must be a positive number: current value is "${flags["limit-minutes"]}"`,
  );
  Deno.exit(2);
}
const started = performance.now();
const leftMs = () => limitMinutes * 60_000 - (performance.now() - started);

/** A folder beside the checkout, where it is. */
async function beside(name: string): Promise<string | null> {
  const path = decodeURIComponent(new URL(`../shared/${name}`, ROOT).pathname);
  return await Deno.stat(path).then(() => path, () => null);
}

/** Runs a part, or names it as skipped once the time is up. What it throws becomes part of the report. */
async function part<T>(name: string, work: () => Promise<T>): Promise<T | Skipped> {
  if (leftMs() <= 0) return { skipped: `the limit of ${limitMinutes} minutes was reached before` };
  console.log(`${name} ...`);
  try {
    return await work();
  } catch (error) {
    return { skipped: error instanceof Error ? error.message : String(error), failed: true };
  }
}

async function verify(): Promise<Verification> {
  const gpu = await openGpu({ requireHardware: flags["require-gpu"] });
  const { name, software } = gpu;
  console.log(`on ${name}${software ? " (SOFTWARE: says nothing about a GPU)" : ""}`);
  try {
    console.log("tests ...");
    const tests = await runTests(leftMs);
    const golden = flags.golden ?? await beside("golden"),
      curve = flags.curve ?? await beside("curve-smollm2");
    return {
      date: new Date().toISOString().slice(0, 10),
      lowrank: VERSION,
      adapter: { name, software, variants: chooseVariants(gpu).reason, features: [...gpu.features] },
      machine: thisMachine(),
      tests,
      goldens: await part("goldens", () => runGoldens(gpu, golden)),
      replay: await part("replay", () => {
        return runReplay({ base: flags.base ?? null, curve, steps: REPLAY_STEPS, limitMs: leftMs() });
      }),
      roofline: flags.timings
        ? await part("speed", () => measureRoofline(gpu, leftMs()))
        : { skipped: "timings were not asked for (--no-timings)" },
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    gpu.close();
  }
}

quietMesa();
try {
  const found = await verify();
  const path = flags.report ??
    decodeURIComponent(new URL(`bench/results/${reportName(found.adapter.name)}`, ROOT).pathname);
  if (!flags.report) await Deno.mkdir(path.replace(/[^/]*$/, ""), { recursive: true });
  await Deno.writeTextFile(path, formatVerification(found));
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", path] }).output(); // aligns its tables
  console.log(`${passed(found) ? "passed" : "FAILED"}: ${path}`);
  Deno.exit(passed(found) ? 0 : 1);
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  Deno.exit(exitCodeOf(error));
}
