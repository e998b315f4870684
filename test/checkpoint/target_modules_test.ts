import assert from "node:assert/strict";
import { matchTargets } from "../../src/checkpoint/target_modules.ts";

const PATHS = [
  "model.layers.0.self_attn.q_proj",
  "model.layers.0.mlp.up_proj",
  "model.layers.10.self_attn.q_proj",
  "model.layers.10.mlp.up_proj",
];

Deno.test("matchTargets(all-linear) means every path", () => {
  assert.deepEqual(matchTargets("all-linear", PATHS), PATHS);
});

Deno.test("matchTargets(list) matches whole path components at the end, or the whole path", () => {
  assert.deepEqual(matchTargets(["q_proj"], PATHS), [PATHS[0], PATHS[2]]);
  assert.deepEqual(matchTargets(["0.mlp.up_proj", PATHS[2]!], PATHS), [PATHS[1], PATHS[2]]);
  assert.throws(() => matchTargets(["proj"], PATHS), { name: "RangeError", message: /LoRA to "proj"/ });
});

Deno.test("matchTargets(expression) matches the whole path", () => {
  assert.deepEqual(matchTargets(String.raw`model\.layers\.0\..*|.*10.*up_proj`, PATHS), [
    PATHS[0],
    PATHS[1],
    PATHS[3],
  ]);
  assert.throws(() => matchTargets("q_proj", PATHS), /LoRA to "q_proj"/);
});

Deno.test("matchTargets() names the entry that means nothing and what there is", () => {
  assert.throws(
    () => matchTargets(["q_proj", "qproj"], PATHS),
    /"qproj" as no linear map of the model is called so: target_modules takes "all-linear" or names of q_proj, up_proj/,
  );
});
