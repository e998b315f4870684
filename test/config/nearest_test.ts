import assert from "node:assert/strict";
import { didYouMean, editDistance, nearest } from "../../src/config/nearest.ts";

Deno.test("editDistance() counts inserts, deletes, replacements and swaps of neighbours", () => {
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("epohcs", "epochs"), 1);
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("same", "same"), 0);
});

Deno.test("nearest() finds the closest word and gives up beyond a third of the length", () => {
  assert.equal(nearest("lora-alhpa", ["lora-r", "lora-alpha", "lora-dropout"]), "lora-alpha");
  assert.equal(nearest("zzzzzz", ["epochs", "seed"]), null);
  assert.equal(nearest("SEED", ["seed"]), "seed");
});

Deno.test("didYouMean() is empty when nothing is close", () => {
  assert.equal(didYouMean("epohcs", ["epochs"]), ': did you mean "epochs"?');
  assert.equal(didYouMean("banana", ["epochs"]), "");
});
