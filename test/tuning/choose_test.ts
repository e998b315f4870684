import assert from "node:assert/strict";
import { type Candidate, chooseTile, type Measurement } from "../../src/tuning/choose.ts";

const times = (table: Readonly<Record<string, Measurement | Error>>) => {
  const measured: string[] = [];
  const measure = (tile: string) => {
    measured.push(tile);
    const result = table[tile]!;
    return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
  };
  return { measure, measured };
};
const candidate = (tile: string, compileSeconds: number): Candidate<string> => ({ tile, compileSeconds });

Deno.test("chooseTile() takes the fastest of a long run, whatever it costs to compile", async () => {
  const { measure } = times({
    old: { seconds: 10, compileSeconds: 1 },
    wide: { seconds: 8, compileSeconds: 3 },
    huge: { seconds: 5, compileSeconds: 20 },
  });
  const choose = (microBatches: number) =>
    chooseTile("old", [candidate("wide", 3), candidate("huge", 20)], { microBatches, pipelines: 3 }, measure);
  assert.equal((await choose(1000)).tile, "huge");
});

Deno.test("chooseTile() compiles nothing that a short run could not pay for, and says so", async () => {
  const { measure, measured } = times({ old: { seconds: 1, compileSeconds: 1 } });
  const { tile, trials } = await chooseTile(
    "old",
    [candidate("wide", 3), candidate("huge", 20)],
    { microBatches: 10, pipelines: 3 },
    measure,
  );
  assert.equal(tile, "old");
  assert.deepEqual(measured, ["old"]);
  assert.deepEqual(trials[1], {
    tile: "wide",
    result: { skipped: "the run is too short: compiling takes about 9 s and could save 5 s at most" },
  });
});

Deno.test("chooseTile() counts the compilation of the other pipelines against a faster tile", async () => {
  const table = { old: { seconds: 1, compileSeconds: 0.5 }, wide: { seconds: 0.8, compileSeconds: 10 } };
  const choose = async (microBatches: number) =>
    (await chooseTile("old", [candidate("wide", 0)], { microBatches, pipelines: 3 }, times(table).measure))
      .tile;
  // 2 pipelines more at 10 s against 0.5 s: worth it once 0.2 s a micro-batch sum up to 19 s
  assert.deepEqual([await choose(94), await choose(96)], ["old", "wide"]);
});

Deno.test("chooseTile() keeps the incumbent against a lead below a tenth", async () => {
  const choose = async (seconds: number) => {
    const { measure } = times({
      old: { seconds: 1, compileSeconds: 0 },
      new: { seconds, compileSeconds: 0 },
    });
    const run = { microBatches: 1e6, pipelines: 1 };
    return (await chooseTile("old", [candidate("new", 0)], run, measure)).tile;
  };
  assert.deepEqual([await choose(0.91), await choose(0.89)], ["old", "new"]);
});

Deno.test("chooseTile() excludes what is wrong or does not compile, with the reason, and goes on", async () => {
  const { measure } = times({
    old: { seconds: 1, compileSeconds: 0 },
    wrong: new RangeError("wrong result: element [0, 3] is off by 0.5"),
    good: { seconds: 0.5, compileSeconds: 0 },
  });
  const run = { microBatches: 100, pipelines: 1 };
  const { tile, trials } = await chooseTile(
    "old",
    [candidate("wrong", 0), candidate("good", 0)],
    run,
    measure,
  );
  assert.equal(tile, "good");
  assert.deepEqual(trials[1]!.result, { skipped: "wrong result: element [0, 3] is off by 0.5" });
});
