/**
 * The parts of a verification that pass or fail: tests, goldens, a replayed run.
 *
 * @module
 */
import type { Gpu } from "../src/gpu/device.ts";
import { MODEL_FAMILIES } from "../src/models/registry.ts";
import { LocalFolder } from "../src/storage/local.ts";
import { type GoldenResult, runGolden } from "../test/golden/golden_cases.ts";
import { type JunitCase, readJunit } from "../test/helpers/junit.ts";

const ROOT = new URL("../", import.meta.url);
/** Everything that computes on an adapter, but not the other implementations of WebGPU that tests bring along. */
const SUITES = ["test/gpu", "test/kernels", "test/nn", "test/models", "test/optim", "test/generate"];
const OTHER_IMPLEMENTATIONS = "test/gpu/dawn_test.ts";
const PERMISSIONS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-run"];

/** PyTorch's own noise is 1e-6 here; the curve asks for 1e-3. */
const REPLAY_LIMIT = 1e-4;

/** A part that was not run, and why. */
export interface Skipped {
  readonly skipped: string;
  /** Whether it was run and broke off: then the verification failed. */
  readonly failed?: boolean;
}

/** What the tests of one folder came to; `stopped` says why they did not end by themselves. */
export interface SuiteOutcome {
  readonly suite: string;
  readonly cases: readonly JunitCase[];
  readonly stopped: string | null;
}

/** Runs the tests of kernels, layers, models and engine on the adapter at hand, folder by folder. */
export async function runTests(leftMs: () => number): Promise<SuiteOutcome[]> {
  const outcomes: SuiteOutcome[] = [];
  for (const suite of SUITES) outcomes.push({ suite, ...await runSuite(suite, leftMs()) });
  return outcomes;
}

async function runSuite(suite: string, limitMs: number): Promise<Omit<SuiteOutcome, "suite">> {
  if (limitMs <= 0) return { cases: [], stopped: "the time limit was reached before" };
  const junitPath = await Deno.makeTempFile({ suffix: ".xml" });
  const junit = `--junit-path=${junitPath}`, ignore = `--ignore=${OTHER_IMPLEMENTATIONS}`;
  const timeout = AbortSignal.timeout(limitMs);
  try {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--no-prompt", junit, ignore, ...PERMISSIONS, suite],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      signal: timeout,
    }).output();
    const cases = readJunit(await Deno.readTextFile(junitPath));
    if (timeout.aborted) return { cases, stopped: "the time limit ended it" };
    if (success || cases.some(({ failure }) => failure !== null)) return { cases, stopped: null };
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    return { cases, stopped: `deno test ended without a report: ${output.trim().slice(-500)}` };
  } finally {
    await Deno.remove(junitPath);
  }
}

/** Compares with PyTorch's numbers, for the families that this version trains. */
export async function runGoldens(gpu: Gpu, folder: string | null): Promise<GoldenResult[] | Skipped> {
  if (folder === null) return { skipped: "the goldens are not beside this checkout (--golden DIR)" };
  const root = new LocalFolder(folder);
  const cases: string[] = [];
  for (const name of (await root.folders()).sort()) {
    const base = root.folder(name).folder("base");
    if (!await base.exists("config.json")) continue;
    const config = JSON.parse(await Deno.readTextFile(`${folder}/${name}/base/config.json`));
    if (MODEL_FAMILIES.has(config.model_type)) cases.push(name);
  }
  // Where the folder lies on this machine is nobody's business who reads the report.
  return await Array.fromAsync(runGolden(gpu, root, { cases }), (result) => {
    return { ...result, detail: result.detail.replaceAll(`${folder.replace(/\/$/, "")}/`, "") };
  });
}

/** Losses of a replayed run, and how far they are from the recorded ones, relatively. */
export interface ReplayOutcome {
  readonly losses: readonly number[];
  readonly distances: readonly number[];
  readonly limit: number;
  readonly ok: boolean;
}

/** Repeats the first steps of a recorded run in a process of its own. */
export async function runReplay(
  { base, curve, steps, limitMs }: {
    base: string | null;
    curve: string | null;
    steps: number;
    limitMs: number;
  },
): Promise<ReplayOutcome | Skipped> {
  if (curve === null) return { skipped: "the recorded run is not beside this checkout (--curve DIR)" };
  if (base === null) return { skipped: "no base model was given (--base HF_DIR)" };
  const out = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const flags = ["--base", base, "--curve", curve, "--steps", String(steps), "--out", out];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--no-prompt", ...PERMISSIONS, "test/golden/replay.ts", ...flags],
      cwd: ROOT,
      signal: AbortSignal.timeout(Math.max(1, limitMs)),
    }).output();
    if (!success) {
      throw new Error(`The replay failed: ${new TextDecoder().decode(stderr).trim().slice(-500)}`);
    }
    const { loss } = JSON.parse(await Deno.readTextFile(out)) as { loss: number[] };
    const recorded = JSON.parse(await Deno.readTextFile(`${curve}/losses-f32-20.json`)) as { loss: number[] };
    return compareLosses(loss, recorded.loss);
  } finally {
    await Deno.remove(out);
  }
}

/** Relative distances of losses from recorded ones. */
export function compareLosses(losses: readonly number[], recorded: readonly number[]): ReplayOutcome {
  const distances = losses.map((loss, step) => Math.abs(loss - recorded[step]!) / recorded[step]!);
  const ok = distances.length > 0 && distances.every((distance) => distance <= REPLAY_LIMIT);
  return { losses, distances, limit: REPLAY_LIMIT, ok };
}
