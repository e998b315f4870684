/**
 * Runs every check and every test, and says at the very end, on a line of its own, `N passed, N failed`.
 *
 *     deno task ok
 *
 * A failed check (formatting, lint, types) counts as one failure. A run in which no test of `test/gpu` ran fails too:
 * it would say nothing about the kernels.
 *
 * @module
 */

import { type EmulatorName, EMULATORS, installEmulator } from "./helpers/emulators.ts";

/** What a run of `deno test` came to. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const TEST_PERMISSIONS = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys",
  "--allow-run", // browsers and this command itself
  "--allow-ffi", // npm:webgpu, a second WGSL compiler
  "--allow-net=127.0.0.1,localhost", // servers that speak the protocols of the cloud
];

/** What the browser cannot have: the command line, files of this machine, the page's build and server. */
const DENO_ONLY =
  /^(src\/(main\.ts|cli\/|storage\/(local|local_lock|local_scratch|local_store|gcs|azure|azure_client|azure_requests|azure_upload|hub|hub_token|node_digests|open)\.ts|job_tracker\/(sqlite|firestore)\.ts|distributed\/mpi\.ts)|web\/(build|serve)\.ts)/;

/** Reads deno's last line, such as `ok | 12 passed (3 steps) | 0 failed | 2 ignored (1s)`; null when there is none. */
export function readTotals(output: string): Totals | null {
  const steps = String.raw`(?: \(\d+ steps?\))?`;
  const pattern = new RegExp(
    String.raw`\| (\d+) passed${steps} \| (\d+) failed${steps}(?: \| (\d+) ignored)?`,
    "g",
  );
  const last = [...output.matchAll(pattern)].at(-1);
  return last ? { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0) } : null;
}

/** How many tests below a folder ran, skipped ones left out, by deno's JUnit report. */
export function countRan(junit: string, folder: string): number {
  let ran = 0;
  for (
    const [, name, tests, disabled] of junit.matchAll(
      /<testsuite name="([^"]*)" tests="(\d+)" disabled="(\d+)"/g,
    )
  ) {
    if (name!.startsWith(`./${folder}/`)) ran += Number(tests) - Number(disabled);
  }
  return ran;
}

/** The line that ends a run. */
export function totalsLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** Source files that must type-check for the browser, relative to the root. */
export async function browserFiles(): Promise<string[]> {
  const files: string[] = [];
  for (const folder of ["src", "kernels", "web"]) await collect(folder, files);
  return files.filter((file) => !DENO_ONLY.test(file)).sort();
}

async function collect(folder: string, files: string[]): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) await collect(`${folder}/${name}`, files);
    else if (/\.tsx?$/.test(name)) files.push(`${folder}/${name}`);
  }
}

/** Runs one check, silent unless it fails. */
async function check(name: string, args: readonly string[]): Promise<boolean> {
  const command = new Deno.Command(Deno.execPath(), { args: [...args], stdout: "piped", stderr: "piped" });
  const { success, stdout, stderr } = await command.output();
  console.log(`${success ? "ok    " : "FAILED"} ${name}`);
  if (!success) {
    await Deno.stdout.write(stdout);
    await Deno.stderr.write(stderr);
  }
  return success;
}

/**
 * Runs all tests, shows their output as it comes, and returns deno's own count. A process that a signal ended is started
 * once more, and said so: Mesa's software rasteriser can corrupt its heap while a process with many devices exits.
 */
async function runTests(junitPath: string, retries = 1): Promise<Totals> {
  const args = ["test", "--no-check", `--junit-path=${junitPath}`, ...TEST_PERMISSIONS, "test/"];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "inherit" }).spawn();
  const decoder = new TextDecoder();
  let output = "";
  for await (const bytes of child.stdout) {
    await Deno.stdout.write(bytes);
    output += decoder.decode(bytes, { stream: true });
  }
  const { success, signal } = await child.status;
  const totals = readTotals(output);
  if (totals && (success || totals.failed > 0)) return totals;
  if (signal && retries > 0) {
    console.log(
      `\n${signal} ended the tests${totals ? ` after ${totalsLine(totals)}` : ""}: running them once more\n`,
    );
    return await runTests(junitPath, retries - 1);
  }
  console.log(`FAILED deno test ended ${signal ? `by ${signal}` : ""} without saying what failed`);
  return { passed: 0, skipped: 0, ...totals, failed: 1 };
}

async function runAll(): Promise<Totals> {
  for (const name of Object.keys(EMULATORS) as EmulatorName[]) {
    console.log(`       ${name} ${await installEmulator(name)}`);
  }
  const checks = [
    await check("deno fmt --check", ["fmt", "--check"]),
    await check("deno lint", ["lint"]),
    await check("types for Deno", ["check"]),
    await check("licences of packages", ["task", "--quiet", "licenses", "--check"]),
    await check("types for the browser", ["check", "--config", "deno.browser.json", ...await browserFiles()]),
  ];
  let failedChecks = checks.filter((success) => !success).length;
  const junitPath = await Deno.makeTempFile({ prefix: "lowrank-tests-", suffix: ".xml" });
  try {
    const totals = await runTests(junitPath);
    if (countRan(await Deno.readTextFile(junitPath), "test/gpu") === 0) {
      console.log(
        "FAILED no test of test/gpu ran: install a Vulkan driver (mesa-vulkan-drivers computes on the CPU)",
      );
      failedChecks++;
    }
    return { ...totals, failed: totals.failed + failedChecks };
  } finally {
    await Deno.remove(junitPath);
  }
}

if (import.meta.main) {
  Deno.chdir(new URL("..", import.meta.url));
  if (Deno.args[0] === "browser-types") {
    Deno.exit(
      await check("types for the browser", [
          "check",
          "--config",
          "deno.browser.json",
          ...await browserFiles(),
        ])
        ? 0
        : 1,
    );
  }
  const totals = await runAll();
  console.log(`\n${totalsLine(totals)}`);
  Deno.exit(totals.failed > 0 ? 1 : 0);
}
