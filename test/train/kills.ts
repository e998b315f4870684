/**
 * Kills runs with SIGKILL at seeded moments, resumes them, and compares what they leave with what an undisturbed run
 * leaves, bit for bit.
 *
 *     deno task kills        20 runs, each killed once
 *
 * @module
 */
import assert from "node:assert/strict";
import { threefry2x32 } from "../../src/random.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { ROWS } from "../helpers/job_disk.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";
import { type Operation, OPERATIONS, OPTIONS } from "./doomed_run.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PERMISSIONS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-run"];

/** When a run is killed: in the midst of its n-th operation, or after a time. */
export type Kill = { readonly operation: Operation; readonly count: number } | { readonly afterMs: number };

/** What an undisturbed run took and left. */
export interface Undisturbed {
  readonly counts: Readonly<Record<Operation, number>>;
  readonly ms: number;
  readonly left: unknown;
}

/** Makes a folder with model and rows for one run. */
export async function runFolder(): Promise<string> {
  const path = await Deno.makeTempDir({ prefix: "lowrank-kill-" });
  await writeTinyModel(new LocalFolder(`${path}/base`));
  await Deno.writeTextFile(`${path}/train.jsonl`, ROWS);
  return path;
}

function command(folder: string, ...doom: string[]): Deno.Command {
  const script = `${ROOT}test/train/doomed_run.ts`;
  const args = [
    "run",
    "--config",
    `${ROOT}deno.json`,
    "--no-prompt",
    ...PERMISSIONS,
    script,
    folder,
    ...doom,
  ];
  return new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped" });
}

/** Runs to the end, from wherever the folder's run stands. */
export async function finish(
  folder: string,
): Promise<{ counts: Undisturbed["counts"]; resumedAfter: number }> {
  const { success, stdout, stderr } = await command(folder).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1)!);
}

/** Runs until it is killed. False where the run was quicker than the kill. */
export async function runAndKill(folder: string, kill: Kill): Promise<boolean> {
  if ("operation" in kill) {
    const { signal } = await command(folder, kill.operation, String(kill.count)).output();
    return signal === "SIGKILL";
  }
  const child = command(folder).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), kill.afterMs);
  const { signal } = await child.output();
  clearTimeout(timer);
  return signal === "SIGKILL";
}

/** What a finished run leaves, without what depends on the clock. */
export async function leftIn(folder: string): Promise<unknown> {
  const run = `${folder}/runs/${OPTIONS.output_model_name}`;
  const lines = (await Deno.readTextFile(`${run}/metrics.jsonl`)).trimEnd().split("\n");
  const names = [...Deno.readDirSync(run)].map(({ name }) => name).sort();
  return {
    names,
    adapter: await Deno.readFile(`${run}/adapter/adapter_model.safetensors`),
    adapterConfig: await Deno.readTextFile(`${run}/adapter/adapter_config.json`),
    moments: await Deno.readFile(`${run}/checkpoint-${OPTIONS.max_steps}/optimizer.safetensors`),
    metrics: lines.map((line) => ({ ...JSON.parse(line), tokens_per_second: null })),
  };
}

/** Runs once without a kill. */
export async function undisturbed(): Promise<Undisturbed> {
  const folder = await runFolder();
  try {
    const before = performance.now();
    const { counts } = await finish(folder);
    return { counts, ms: performance.now() - before, left: await leftIn(folder) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A list of kills drawn by seed: each kind of operation once, then times. */
export function drawKills(seed: number, count: number, { counts, ms }: Undisturbed): Kill[] {
  return Array.from({ length: count }, (_, i): Kill => {
    const share = threefry2x32(seed, 0, i, 0)[0] / 2 ** 32;
    const operation = OPERATIONS[i];
    return operation
      ? { operation, count: 1 + Math.floor(share * counts[operation]) }
      : { afterMs: Math.floor(share * ms) };
  });
}

export function describe(kill: Kill): string {
  return "operation" in kill ? `${kill.operation} ${kill.count}` : `after ${kill.afterMs} ms`;
}

if (import.meta.main) {
  const seed = Number(Deno.args[0] ?? 1);
  const want = await undisturbed();
  console.log(`seed ${seed}; undisturbed: ${Math.round(want.ms)} ms, ${JSON.stringify(want.counts)}`);
  let failed = 0;
  for (const kill of drawKills(seed, 20, want)) {
    const folder = await runFolder();
    try {
      const killed = await runAndKill(folder, kill);
      const { resumedAfter } = await finish(folder);
      assert.deepEqual(await leftIn(folder), want.left);
      console.log(
        `ok     ${describe(kill)}${killed ? "" : " (was done before)"}, resumed after step ${resumedAfter}`,
      );
    } catch (error) {
      failed++;
      console.log(`FAILED ${describe(kill)}: ${(error as Error).message}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  Deno.exit(failed > 0 ? 1 : 0);
}
