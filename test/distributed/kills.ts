/**
 * Kills a rank with SIGKILL at seeded moments, has the ranks go on from their checkpoint, and compares the adapter with
 * that of an undisturbed run, bit for bit.
 *
 *     deno task kills:ranks [SEED]        10 runs of 2 ranks, each killed once
 *
 * @module
 */
import assert from "node:assert/strict";
import { threefry2x32 } from "../../src/random.ts";
import { mpirun, Runs } from "./launched_runs.ts";

const KILLS = 10;

/** Options beyond those of all runs: long enough not to be over before the last moment. */
const STEPS = { max_steps: 60, save_steps: 5 };
const LAST_STEP = 40, LONGEST_DELAY_MS = 300;

interface Kill {
  readonly rank: number;
  /** Told before; 0 is the start of the run. */
  readonly step: number;
  readonly delayMs: number;
}

function drawKill(seed: number, i: number): Kill {
  const draw = (index: number, below: number) =>
    Math.floor(threefry2x32(seed, 1, i, index)[0] / 2 ** 32 * below);
  return { rank: draw(0, 2), step: draw(1, LAST_STEP), delayMs: draw(2, LONGEST_DELAY_MS) };
}

async function killed(runs: Runs, name: string, { rank, step, delayMs }: Kill): Promise<string> {
  const train = await runs.train(name, STEPS), text = step === 0 ? "planning" : `step ${step}/`;
  const first = await runs.disturbed(mpirun(2, train), text, async () => {
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    Deno.kill(await runs.rank(name, rank), "SIGKILL");
  });
  assert.notEqual(first.code, 0);
  const reason = new RegExp(`process rank ${rank} [^]*exited on signal 9`).test(first.err);
  assert.ok(reason, first.err);
  const { out } = await runs.done(mpirun(2, train));
  return /(?:resum\w*|goes on|going on)[^\n]*/i.exec(out)?.[0] ?? "from the start";
}

if (import.meta.main) {
  const seed = Number(Deno.args[0] ?? 1);
  let failed = 0;
  await Runs.use(async (runs) => {
    await runs.done(mpirun(2, await runs.train("undisturbed", STEPS)));
    const want = await runs.adapter("undisturbed");
    for (let i = 0; i < KILLS; i++) {
      const kill = drawKill(seed, i), name = `killed-${i}`;
      const what = `rank ${kill.rank} killed ${kill.delayMs} ms after step ${kill.step}`;
      try {
        const wentOn = await killed(runs, name, kill);
        assert.deepEqual(await runs.adapter(name), want);
        console.log(`ok     ${what}: ${wentOn}, same adapter`);
      } catch (error) {
        failed++;
        console.log(`FAILED ${what}: ${(error as Error).message}`);
      }
    }
  });
  Deno.exit(failed > 0 ? 1 : 0);
}
