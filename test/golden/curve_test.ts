import assert from "node:assert/strict";
import { LocalFolder } from "../../src/storage/local.ts";
import { nf4Reference, worstDistance } from "./curve.ts";
import { openRecording } from "./replayed_run.ts";

const CURVE = decodeURIComponent(new URL("../../../shared/curve-smollm2", import.meta.url).pathname);
const isHere = await Deno.stat(CURVE).then(() => true, () => false);

Deno.test("worstDistance() is the largest relative one, either way, and refuses what it cannot compare", () => {
  const reference = { name: "a curve", losses: [2, 4], limit: 0.1 };
  assert.equal(worstDistance([2.5, 4], reference), 0.25);
  assert.equal(worstDistance([2, 3], reference), 0.25);
  assert.ok(Number.isNaN(worstDistance([2, NaN], reference)));
  assert.throws(
    () => worstDistance([1, 1, 1], reference),
    /Cannot compare 3 losses with a curve, which has 2/,
  );
});

Deno.test({
  name: "the losses of plain weights are told from those of an NF4 base (shared data)",
  ignore: !isHere,
  fn: async () => {
    const nf4 = await nf4Reference(), { losses } = await openRecording(new LocalFolder(CURVE));
    assert.equal(nf4.losses.length, 20);
    assert.ok(worstDistance(losses.slice(0, 20), nf4) > 100 * nf4.limit);
    assert.ok(losses.slice(0, 20).every((loss, step) => Math.abs(loss / nf4.losses[step]! - 1) > nf4.limit));
  },
});
