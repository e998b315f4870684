import assert from "node:assert/strict";
import { checkRanks, RANK_ENV, rankVariables } from "../../src/cli/ranks.ts";
import { runCommand } from "../../src/cli/run.ts";
import { ConfigError } from "../../src/errors.ts";
import { fakeIo, FINISHED_EVENT, stepEvent, SUMMARY_EVENT } from "./fake_io.ts";

const launched = (rank: number, size: number) => ({
  OMPI_COMM_WORLD_SIZE: String(2 * size),
  OMPI_COMM_WORLD_RANK: String(size + rank),
  OMPI_COMM_WORLD_LOCAL_SIZE: String(size),
  OMPI_COMM_WORLD_LOCAL_RANK: String(rank),
});

Deno.test("rankVariables() shares the cores among the ranks of a machine, and gives each its variables", () => {
  assert.deepEqual(rankVariables({ [RANK_ENV]: "A=1" }, 8), {});
  assert.deepEqual(rankVariables(launched(0, 4), 9), { LP_NUM_THREADS: "2" });
  assert.deepEqual(rankVariables(launched(3, 4), 2), { LP_NUM_THREADS: "1" });
  assert.deepEqual(rankVariables({ ...launched(0, 4), LP_NUM_THREADS: "5" }, 4), { LP_NUM_THREADS: "5" });
  const named = {
    ...launched(1, 2),
    [RANK_ENV]: "VK_DRIVER_FILES=/a.json;VK_DRIVER_FILES=/b.json,DRI_PRIME=pci-0",
  };
  assert.deepEqual(rankVariables(named, 2), {
    LP_NUM_THREADS: "1",
    VK_DRIVER_FILES: "/b.json",
    DRI_PRIME: "pci-0",
  });
});

Deno.test("rankVariables() refuses a rank that is not named, and what is no variable", () => {
  const refused = (env: Record<string, string>, message: RegExp) =>
    assert.throws(() => rankVariables(env, 2), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, message);
      return true;
    });
  refused({ ...launched(2, 3), [RANK_ENV]: "A=1;A=2" }, /names 2 ranks, and this machine has 3/);
  refused({ ...launched(0, 1), [RANK_ENV]: "A" }, /"A" is not NAME=VALUE/);
});

Deno.test("checkRanks() wants as many processes as --ranks names", () => {
  checkRanks(undefined, {});
  checkRanks("1", {});
  checkRanks("4", launched(0, 2));
  const refused = (wanted: string, env: Record<string, string>, message: RegExp) =>
    assert.throws(() => checkRanks(wanted, env), message);
  refused(
    "2",
    {},
    /--ranks: is for \.\/lowrank, which starts them: or write mpirun -np 2 before the command/,
  );
  refused("2", launched(0, 2), /is 2, but mpirun has started 4/);
  for (const word of ["0", "two", "1.5", "-1"]) refused(word, {}, /must be a whole number from 1/);
});

Deno.test("train on a rank that does not lead runs the job and says nothing", async () => {
  const words = ["train", "--base-model", "m", "--output-model-name", "n", "--training-data-path", "t"];
  const ran = async (rank: number) => {
    const env = { OMPI_COMM_WORLD_SIZE: "2", OMPI_COMM_WORLD_RANK: String(rank) };
    const fake = fakeIo({ events: () => [SUMMARY_EVENT, stepEvent(1, 2), FINISHED_EVENT], env });
    const code = await runCommand(words, fake.io);
    return { code, jobs: fake.jobs.length, out: fake.stdout.text, err: fake.stderr.text };
  };
  assert.deepEqual(await ran(1), { code: 0, jobs: 1, out: "", err: "" });
  assert.match((await ran(0)).out, /step 1\//);
});
