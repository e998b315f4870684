/**
 * Ranks as Open MPI starts them, from the command to the adapter.
 */
import assert from "node:assert/strict";
import { device } from "../helpers/device.ts";
import { hasMpi, mpirun, Runs } from "./launched_runs.ts";

Deno.test({
  name: hasMpi && device
    ? "two ranks save on a signal, end with the reason of one that is killed, and one rank goes on to the bits of a run alone"
    : "ranks of mpirun (no Open MPI or no adapter)",
  ignore: !hasMpi || !device,
  fn: () =>
    Runs.use(async (runs) => {
      await runs.done(await runs.train("alone"));
      const train = await runs.train("shared");

      const stopped = await runs.disturbed([...train, "--ranks", "2"], "step 2/10", (child) =>
        child.kill("SIGINT"));
      assert.equal(stopped.code, 130, stopped.out + stopped.err);
      const [, step] = /stopped after step (\d+): the same command with --resume auto/.exec(stopped.out) ??
        [];
      assert.ok(Number(step) >= 2 && Number(step) < 8, stopped.out);
      assert.match(stopped.out, /2 ranks share the 2 micro-batches of a step/);

      const killed = await runs.disturbed(
        mpirun(2, train, "TCP loopback"),
        `step ${Number(step) + 2}/10`,
        async () =>
          Deno.kill(await runs.rank("shared", 1), "SIGKILL"),
      );
      assert.notEqual(killed.code, 0, killed.out);
      assert.match(killed.err, /rank 1 .*exited on signal 9/);
      await runs.done(train);
      assert.deepEqual(await runs.adapter("shared"), await runs.adapter("alone"));
      const metrics = async (name: string) =>
        (await Deno.readTextFile(`${runs.folder}/runs/${name}/metrics.jsonl`)).trimEnd().split("\n")
          .map((line) => ({ ...JSON.parse(line), tokens_per_second: null }));
      assert.deepEqual(await metrics("shared"), await metrics("alone"));
    }),
});
