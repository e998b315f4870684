import assert from "node:assert/strict";
import { agree, agreeOnParameters, type RankFacts } from "../../src/fine_tune_job/agreement.ts";
import { memoryRanks } from "../../src/distributed/memory.ts";
import { ConfigError } from "../../src/errors.ts";

const FACTS = {
  identity: {
    config: { learning_rate: 1e-4, output_dir: "runs/a" },
    total_steps: 5,
    data: { train: "aa", eval: null },
    rows: "bb",
    base_model: "cc",
    lowrank: "0.1.0",
  },
  step: 0,
} as unknown as RankFacts;

const all = (facts: readonly RankFacts[]) =>
  Promise.allSettled(memoryRanks(facts.length).map((own, rank) => agree(own, facts[rank]!)));

Deno.test("agree() lets ranks of the same run go on", async () => {
  for (const { status } of await all([FACTS, FACTS, FACTS])) assert.equal(status, "fulfilled");
});

Deno.test("agree() tells every rank of all that differs, and which ranks differ", async () => {
  const { identity } = FACTS;
  const other: RankFacts = {
    identity: {
      ...identity,
      config: { ...identity.config, learning_rate: 2e-4 },
      data: { train: "ab", eval: null },
      base_model: "cd",
    },
    step: 4,
  };
  for (const end of await all([FACTS, other, FACTS, other])) {
    const error = (end as PromiseRejectedResult).reason;
    assert.ok(error instanceof ConfigError);
    assert.deepEqual(error.issues.map(({ path }) => path), [
      ...["learning_rate", "base_model", "training_data_path", "output_dir"],
    ]);
    assert.match(
      error.message,
      /learning_rate: differs between ranks: 0.0001 on rank 0, 0.0002 on rank 1, 3/,
    );
    assert.match(
      error.message,
      /output_dir: .*0 on rank 0, 4 on rank 1, 3; put it on storage that all ranks share/,
    );
  }
});

Deno.test("agreeOnParameters() tells of a rank whose parameters are off by one bit", async () => {
  const values = (last: number) => [Float32Array.of(1, 2), Float32Array.of(last)];
  const compare = (lasts: readonly number[]) =>
    Promise.allSettled(
      memoryRanks(2).map((own, rank) => agreeOnParameters(own, values(lasts[rank]!), "after the last step")),
    );
  for (const { status } of await compare([3, 3])) assert.equal(status, "fulfilled");
  for (const end of await compare([0, -0])) {
    assert.match(
      String((end as PromiseRejectedResult).reason),
      /of rank 1 are not those of rank 0 after the last step/,
    );
  }
});
