/**
 * Plants each fault of `mutants.ts` in a copy of the tree and runs the tests that should notice it:
 *
 *     deno task mutants [--only WORDS]
 *
 * The tests must pass without a fault first. Exit code 1 where a fault survives, does not run, or has lost its place. A
 * survivor is a missing test.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { quietMesa } from "../../src/cli/quiet_mesa.ts";
import { judge, type TestRun, type Verdict } from "./judge.ts";
import { type Mutant, MUTANTS, occurrences } from "./mutants.ts";

const ROOT = new URL("../../", import.meta.url);
/** The slowest file of tests takes some seconds. */
const TIMEOUT_MS = 180_000;
const PERMISSIONS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-run"]
  .concat("--allow-net=127.0.0.1,localhost");

/** Copies what git tracks or would track, as it lies here. */
async function copyTree(to: string): Promise<void> {
  const { stdout, success } = await new Deno.Command("git", {
    args: ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd: ROOT,
  }).output();
  if (!success) throw new Error("Cannot list the files of the project: git ls-files failed");
  for (const path of new TextDecoder().decode(stdout).split("\0").filter(Boolean)) {
    await Deno.mkdir(`${to}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(new URL(path, ROOT), `${to}/${path}`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // removed here, but not in git yet
    });
  }
}

/** Runs test files of a tree on one device, with the least limits that WebGPU grants. */
async function runTests(tree: string, tests: readonly string[]): Promise<TestRun> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS * tests.length);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-check", "--no-prompt", "--fail-fast", ...PERMISSIONS, ...tests],
    cwd: tree,
    env: { NO_COLOR: "1", LOWRANK_TEST_ADAPTERS: "deno-default" },
    signal: timeout,
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return { success, timedOut: timeout.aborted, output };
}

async function plant(tree: string, mutant: Mutant): Promise<Verdict | "misplaced"> {
  const path = `${tree}/${mutant.file}`;
  const text = await Deno.readTextFile(path);
  if (occurrences(text, mutant.find) !== 1) return "misplaced";
  await Deno.writeTextFile(path, text.replace(mutant.find, () => mutant.replace));
  try {
    return judge(mutant, await runTests(tree, mutant.tests));
  } finally {
    await Deno.writeTextFile(path, text);
  }
}

/** Plants the faults one by one; true when all were killed. */
async function plantAll(tree: string, mutants: readonly Mutant[]): Promise<boolean> {
  const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))];
  const faultless = await runTests(tree, tests);
  if (!faultless.success) {
    console.log(`${faultless.output}\nFAILED the tests do not pass without a fault: mend them first`);
    return false;
  }
  let killed = 0;
  for (const mutant of mutants) {
    const verdict = await plant(tree, mutant);
    if (verdict === "killed") killed++;
    console.log(`${verdict.padEnd(9)}  ${mutant.name} (${mutant.file})`);
  }
  console.log(`${killed} of ${mutants.length} killed`);
  return killed === mutants.length;
}

const { values: { only } } = parseArgs({ options: { only: { type: "string", default: "" } } });
const chosen = MUTANTS.filter(({ name, file }) => name.includes(only) || file.includes(only));
if (chosen.length === 0) {
  console.error(`error: no fault has "${only}" in its name or file`);
  Deno.exit(2);
}
quietMesa();
const tree = await Deno.makeTempDir({ prefix: "lowrank-mutants-" });
try {
  await copyTree(tree);
  Deno.exitCode = await plantAll(tree, chosen) ? 0 : 1;
} finally {
  await Deno.remove(tree, { recursive: true });
}
