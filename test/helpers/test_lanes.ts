/**
 * All tests as two `deno test` side by side: one computes nearly all the time, the other mostly waits for processes,
 * servers and pages.
 *
 * @module
 */

/** What a run of `deno test` came to. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What a lane came to, and how many tests of `test/gpu` ran in it. */
export interface LaneTotals extends Totals {
  readonly ranOnGpu: number;
}

/** One `deno test`: what it runs, and what below that it leaves to others. */
export interface Lane {
  readonly name: string;
  readonly paths: readonly string[];
  readonly ignored: readonly string[];
}

const COMPUTING = [
  "gpu",
  "kernels",
  "nn",
  "golden",
  "models",
  "optim",
  "quant",
  "generate",
  "tuning",
  "export",
  "trainer",
  "train",
  "fine_tune_job",
  "distributed",
].map((folder) => `test/${folder}`);

/** Every test file is in exactly one of them. */
export const LANES: readonly Lane[] = [
  { name: "kernels and models", paths: COMPUTING, ignored: [] },
  { name: "everything else", paths: ["test/"], ignored: COMPUTING },
];

const PERMISSIONS = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys",
  "--allow-run", // browsers and this command itself
  "--allow-ffi", // npm:webgpu, a second WGSL compiler
  "--allow-net=127.0.0.1,localhost", // servers that speak the protocols of the cloud
];

/** Shows text of a running lane. */
export type Show = (text: string) => void;

/**
 * Runs lanes side by side where there are processors for it. One is shown as it comes, another's output in one piece when
 * that has ended, so that lines do not mix.
 */
export async function runLanes(
  lanes: readonly Lane[],
  processors: number,
  { run = runLane, show = write }: { run?: (lane: Lane, show: Show) => Promise<LaneTotals>; show?: Show } =
    {},
): Promise<LaneTotals> {
  const totals: LaneTotals[] = [];
  const together = Math.max(1, Math.min(lanes.length, processors));
  for (let first = 0; first < lanes.length; first += together) {
    let shown = Promise.resolve();
    const running = lanes.slice(first, first + together).map((lane) => {
      const turn = shown;
      const output = new HeldOutput(show);
      const ended = run(lane, (text) => output.write(text));
      shown = turn.then(() => {
        show(`\n--- ${lane.name}\n`);
        output.release();
      }).then(() => ended.then(() => {}, () => {}));
      return ended;
    });
    totals.push(...await Promise.all(running));
    await shown;
  }
  return sumOf(totals);
}

/** Keeps text until it may be shown. */
class HeldOutput {
  readonly #show: Show;
  #held: string[] | null = [];

  constructor(show: Show) {
    this.#show = show;
  }

  write(text: string): void {
    if (this.#held) this.#held.push(text);
    else this.#show(text);
  }

  /** Shows what was kept, and from now on everything at once. */
  release(): void {
    this.#held?.forEach(this.#show);
    this.#held = null;
  }
}

const write: Show = (text) => void Deno.stdout.writeSync(new TextEncoder().encode(text));

function sumOf(totals: readonly LaneTotals[]): LaneTotals {
  const sum = (of: (lane: LaneTotals) => number) => totals.reduce((total, lane) => total + of(lane), 0);
  return {
    passed: sum(({ passed }) => passed),
    failed: sum(({ failed }) => failed),
    skipped: sum(({ skipped }) => skipped),
    ranOnGpu: sum(({ ranOnGpu }) => ranOnGpu),
  };
}

async function runLane(lane: Lane, show: Show): Promise<LaneTotals> {
  const junitPath = await Deno.makeTempFile({ prefix: "lowrank-tests-", suffix: ".xml" });
  try {
    const totals = await runTests(lane, junitPath, show);
    return { ...totals, ranOnGpu: countRan(await Deno.readTextFile(junitPath), "test/gpu") };
  } finally {
    await Deno.remove(junitPath);
  }
}

/**
 * Runs a lane's tests and returns deno's own count. A process that a signal ended is started once more, and said so:
 * Mesa's software rasteriser can corrupt its heap while a process with many devices exits.
 */
async function runTests(lane: Lane, junitPath: string, show: Show, retries = 1): Promise<Totals> {
  const ignore = lane.ignored.length > 0 ? [`--ignore=${lane.ignored.join(",")}`] : [];
  const args = ["test", "--no-check", `--junit-path=${junitPath}`, ...ignore, ...PERMISSIONS, ...lane.paths];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "inherit" }).spawn();
  const decoder = new TextDecoder();
  let output = "";
  for await (const bytes of child.stdout) {
    const text = decoder.decode(bytes, { stream: true });
    show(text);
    output += text;
  }
  const { success, signal } = await child.status;
  const totals = readTotals(output);
  if (totals && (success || totals.failed > 0)) return totals;
  if (signal && retries > 0) {
    show(
      `\n${signal} ended the tests${
        totals ? ` after ${totalsLine(totals)}` : ""
      }: running them once more\n\n`,
    );
    return await runTests(lane, junitPath, show, retries - 1);
  }
  show(`FAILED deno test ended ${signal ? `by ${signal}` : ""} without saying what failed\n`);
  return { passed: 0, skipped: 0, ...totals, failed: 1 };
}

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
