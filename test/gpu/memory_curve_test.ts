import assert from "node:assert/strict";
import { memoryCurve } from "../../src/gpu/memory_curve.ts";
import { onEveryAdapter, TestProgram } from "../helpers/gpu.ts";

onEveryAdapter("memoryCurve() counts each intermediate from its first use to its last", (adapter) => {
  using run = new TestProgram(adapter);
  const x = run.output([3]), y = run.output([3]);
  const [a, b, c] = ["a", "b", "c"].map((label) => run.recorder.tensor(label, [3]));
  run.recorder.section("forward");
  run.recorder.copy(x, a!); // a
  run.recorder.copy(a!, b!); // a b
  run.recorder.section("nothing");
  run.recorder.section("backward");
  run.recorder.copy(b!, c!); // b c: c lies where a was
  run.recorder.copy(c!, y); // c
  const curve = memoryCurve(run.recorder.plan());
  assert.deepEqual(curve.liveBytes, [12, 24, 24, 12]);
  assert.equal(curve.slotBytes, 24);
  assert.deepEqual(curve.sections, [
    { name: "forward", first: 0, end: 2 },
    { name: "backward", first: 2, end: 4 },
  ]);
  assert.deepEqual(curve.peak, { at: 1, bytes: 24 });
  assert.deepEqual(curve.atPeak, [
    { label: "a", bytes: 12, first: 0, last: 1 },
    { label: "b", bytes: 12, first: 1, last: 2 },
  ]);
}, ["deno-default"]);

onEveryAdapter("memoryCurve() counts textures, and nothing where there are no intermediates", (adapter) => {
  using run = new TestProgram(adapter), bare = new TestProgram(adapter);
  const texture = run.recorder.texture("staged", 4, 64);
  run.recorder.copyToTexture(run.output([4, 64]), texture);
  assert.deepEqual(memoryCurve(run.recorder.plan()).liveBytes, [4 * 64 * 4]);

  bare.recorder.copy(bare.output([3]), bare.output([3]));
  const curve = memoryCurve(bare.recorder.plan());
  assert.deepEqual([curve.liveBytes, curve.slotBytes, curve.atPeak], [[0], 0, []]);
}, ["deno-default"]);
