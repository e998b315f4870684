import assert from "node:assert/strict";
import { launchedRank, refuseOtherLaunchers } from "../../src/distributed/launched.ts";
import { memoryRanks } from "../../src/distributed/memory.ts";
import { ConfigError } from "../../src/errors.ts";

Deno.test("memoryRanks() adds up and gathers, call by call, whoever comes first", async () => {
  const ranks = memoryRanks(3);
  const done = await Promise.all(ranks.map(async (own) => {
    const values = Float32Array.of(own.rank, 10), more = Float64Array.of(0.1);
    if (own.rank === 0) await new Promise((later) => setTimeout(later, 1));
    await own.sum(values);
    await own.sum(more);
    const texts = await own.gather(`rank ${own.rank}`);
    await own.close();
    return { values: [...values], more: more[0], texts };
  }));
  for (const { values, more, texts } of done) {
    assert.deepEqual(values, [3, 30]);
    assert.equal(more, 0.1 + 0.1 + 0.1);
    assert.deepEqual(texts, ["rank 0", "rank 1", "rank 2"]);
  }
});

Deno.test("launchedRank() reads Open MPI's variables, and is the only one without them", () => {
  const launched = {
    OMPI_COMM_WORLD_SIZE: "4",
    OMPI_COMM_WORLD_RANK: "3",
    OMPI_COMM_WORLD_LOCAL_SIZE: "2",
    OMPI_COMM_WORLD_LOCAL_RANK: "1",
  };
  assert.deepEqual(launchedRank(launched), { rank: 3, size: 4, localRank: 1, localSize: 2 });
  assert.deepEqual(launchedRank({}), { rank: 0, size: 1, localRank: 0, localSize: 1 });
});

Deno.test("refuseOtherLaunchers() tells of an mpirun that is not Open MPI's", () => {
  refuseOtherLaunchers({});
  refuseOtherLaunchers({ OMPI_COMM_WORLD_SIZE: "2", PMI_SIZE: "2" });
  assert.throws(() => refuseOtherLaunchers({ PMI_SIZE: "2", PMI_RANK: "1" }), ConfigError);
});
