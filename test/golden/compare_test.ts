import assert from "node:assert/strict";
import { compareNumber, compareTensor, GoldenReport, type TensorKind } from "./compare.ts";

/** Golden values whose largest magnitude is 2 and whose norm is 3. */
const WANT = [2, -2, 1];

const moved = (by: number) => [WANT[0]! + by, WANT[1]!, WANT[2]!];

const TENSORS: readonly [TensorKind, number][] = [
  ["logits", 3e-5 * 2],
  ["gradient", 1e-4 * (2 + 1e-4)],
  ["parameters", 2e-5],
];

for (const [kind, limit] of TENSORS) {
  Deno.test(`compareTensor(${kind}) passes just inside its limit and fails just outside`, () => {
    assert.equal(compareTensor(kind, moved(0.99 * limit), WANT).ok, true);
    assert.equal(compareTensor(kind, moved(1.01 * limit), WANT).ok, false);
  });
}

Deno.test("compareTensor(gradient) also bounds the relative norm, where many small errors add up", () => {
  const want = Array.from({ length: 101 }, (_, i) => i === 0 ? 1 : 0.01);
  const spread = (each: number) => want.map((value, i) => i === 0 ? value : value + each);
  // ‖want‖ = √1.01, ‖d‖ = 10·each, max|d| = each.
  const { ok, value, limit } = compareTensor("gradient", spread(1.1e-5), want);
  assert.deepEqual([ok, limit], [false, 1e-4]);
  assert.ok(Math.abs(value - 1.1e-4 / Math.sqrt(1.01)) < 1e-9, `${value}`);
  assert.equal(compareTensor("gradient", spread(0.9e-5), want).ok, true);
});

Deno.test("compareTensor(exact) allows nothing", () => {
  assert.deepEqual(compareTensor("exact", WANT, WANT), { ok: true, value: 0, limit: 0 });
  assert.equal(compareTensor("exact", moved(1e-15), WANT).ok, false);
});

Deno.test("compareTensor() never passes NaN or infinity", () => {
  for (const kind of ["logits", "gradient", "parameters", "exact"] as const) {
    for (const bad of [NaN, Infinity]) {
      assert.equal(compareTensor(kind, [2, bad, 1], WANT).ok, false);
      assert.equal(compareTensor(kind, [2, bad, 1], [2, bad, 1]).ok, false);
    }
  }
});

Deno.test("compareTensor() leaves out masked positions, even NaN there", () => {
  const want = [1, 2, 0, 0, 3, 4];
  assert.equal(compareTensor("logits", [1, 2, NaN, 9, 3, 4], want, [1, 0, 1]).ok, true);
  assert.equal(compareTensor("logits", [1, 2, NaN, 9, 3, 4.1], want, [1, 0, 1]).ok, false);
  assert.throws(() => compareTensor("logits", want, want, [1, 0, 1, 1]), {
    message: /4 parts does not divide 6/,
  });
  assert.throws(() => compareTensor("logits", [1], want), {
    name: "RangeError",
    message: /got 1 values, want 6/,
  });
});

Deno.test("compareTensor() and compareNumber() allow a hundred times more of f16, but for learning rates", () => {
  const tensor = (by: number) => compareTensor("gradient", moved(by), WANT, undefined, "f16").ok;
  assert.deepEqual([tensor(0.99e-2 * 2), tensor(1.01e-2 * 2)], [true, false]);
  for (const [kind, limit] of [["loss", 1e-3], ["learningRate", 1e-6], ["gradNorm", 1e-2]] as const) {
    const number = (share: number) => compareNumber(kind, 5 * (1 + share * limit), 5, "f16").ok;
    assert.deepEqual([number(0.99), number(1.01)], [true, false], kind);
  }
});

Deno.test("compareNumber() bounds the relative error by kind", () => {
  for (const [kind, limit] of [["loss", 1e-5], ["learningRate", 1e-6], ["gradNorm", 1e-4]] as const) {
    assert.equal(compareNumber(kind, 5 * (1 + 0.99 * limit), 5).ok, true);
    assert.equal(compareNumber(kind, 5 * (1 - 1.01 * limit), 5).ok, false);
    assert.equal(compareNumber(kind, NaN, 5).ok, false);
    assert.equal(compareNumber(kind, Infinity, Infinity).ok, false);
  }
});

Deno.test("compareNumber() takes a learning rate of 0 for 0", () => {
  assert.equal(compareNumber("learningRate", 0, 0).ok, true);
  assert.equal(compareNumber("learningRate", 1e-9, 0).ok, false);
});

Deno.test("GoldenReport lists what failed, counts, and fails when nothing was compared", () => {
  const report = new GoldenReport();
  assert.equal(report.ok, false);
  report.add("base.logits", "logits", compareTensor("logits", moved(2e-5), WANT));
  assert.equal(report.ok, true);
  report.add("lora.loss", "loss", compareNumber("loss", 6, 5));
  assert.equal(report.ok, false);
  assert.equal(
    String(report),
    "FAIL lora.loss 0.200 > 0.00001\n2 compared, 1 failed; largest: logits 0.000010, loss 0.20",
  );
});
