/**
 * Trains the same run on one and on several ranks, and compares the adapters.
 *
 *     deno task ranks                    the bundled model, 20 steps: 2 ranks over each link, 4 ranks, 4 gone on with by 2
 *     deno task ranks --model FOLDER     5 steps of another model: one rank, and two
 *
 * @module
 */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { LINKS, mpirun, Runs } from "./launched_runs.ts";

/** Of four ranks, whose gradients are added in another order. */
const TOLERANCE = 1e-5;

async function bundled(runs: Runs): Promise<void> {
  const steps = { max_steps: 20, logging_steps: 5, save_steps: 10 };
  await runs.done(await runs.train("alone", steps));
  for (const [i, link] of (Object.keys(LINKS) as (keyof typeof LINKS)[]).entries()) {
    await runs.done(mpirun(2, await runs.train(`two-${i}`, steps), link));
    assert.deepEqual(await runs.adapter(`two-${i}`), await runs.adapter("alone"));
    console.log(`ok  20 steps on 2 ranks over ${link}: bit for bit those of one`);
  }
  const passes = { ...steps, gradient_accumulation_steps: 4 };
  await runs.done(await runs.train("alone-4", passes));
  for (const [i, link] of (Object.keys(LINKS) as (keyof typeof LINKS)[]).entries()) {
    await runs.done(mpirun(4, await runs.train(`four-${i}`, passes), link));
    const difference = await runs.difference(`four-${i}`, "alone-4");
    assert.ok(difference <= TOLERANCE, `${difference}`);
    console.log(`ok  20 steps on 4 ranks over ${link}: ${difference.toExponential(1)} from one`);
  }
  // what stands after a kill at step 10
  await Deno.remove(`${runs.folder}/runs/four-0/checkpoint-20`, { recursive: true });
  await Deno.remove(`${runs.folder}/runs/four-0/adapter`, { recursive: true });
  const { out } = await runs.done(mpirun(2, await runs.train("four-0", passes)));
  assert.match(out, /step 20\/20/);
  const difference = await runs.difference("four-0", "alone-4");
  assert.ok(difference <= TOLERANCE, `${difference}`);
  console.log(
    `ok  10 steps on 4 ranks, 10 on 2 from their checkpoint: ${difference.toExponential(1)} from one`,
  );
}

async function other(runs: Runs, model: string): Promise<void> {
  const options = { base_model: await Deno.realPath(model), max_steps: 5, batch_size: 1, save_steps: 5 };
  const before = performance.now();
  await runs.done(await runs.train("alone", options));
  const between = performance.now();
  await runs.done(mpirun(2, await runs.train("two", options)));
  const seconds = [between - before, performance.now() - between].map((ms) => (ms / 1000).toFixed(0));
  assert.deepEqual(await runs.adapter("two"), await runs.adapter("alone"));
  console.log(
    `ok  5 steps of ${model} on 2 ranks: bit for bit those of one (${seconds[1]} s, one: ${seconds[0]} s)`,
  );
}

if (import.meta.main) {
  const { values: { model } } = parseArgs({ args: Deno.args, options: { model: { type: "string" } } });
  await Runs.use((runs) => model ? other(runs, model) : bundled(runs));
}
