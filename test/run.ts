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

import { DENO_ONLY } from "./helpers/architecture.ts";
import { installForTests } from "./helpers/emulators.ts";
import { LANES, runLanes, type Totals, totalsLine } from "./helpers/test_lanes.ts";

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

async function runAll(): Promise<Totals> {
  for await (const line of installForTests()) console.log(`       ${line}`);
  const checks = [
    await check("deno fmt --check", ["fmt", "--check"]),
    await check("deno lint", ["lint"]),
    await check("types for Deno", ["check"]),
    await check("licences of packages", ["task", "--quiet", "licenses", "--check"]),
    await check("types for the browser", ["check", "--config", "deno.browser.json", ...await browserFiles()]),
  ];
  let failedChecks = checks.filter((success) => !success).length;
  const totals = await runLanes(LANES, navigator.hardwareConcurrency);
  if (totals.ranOnGpu === 0) {
    console.log(
      "FAILED no test of test/gpu ran: install a Vulkan driver (mesa-vulkan-drivers computes on the CPU)",
    );
    failedChecks++;
  }
  return { ...totals, failed: totals.failed + failedChecks };
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
