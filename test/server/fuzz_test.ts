import assert from "node:assert/strict";
import { fuzz } from "./fuzz.ts";

Deno.test("bodies that are broken at random are answered, and crash nothing (20 000: deno task fuzz:server)", async () => {
  const answers = await fuzz(400, 2);
  assert.ok(answers.get(200)! > 20 && answers.get(400)! > 100, "some are right and most are not");
});
