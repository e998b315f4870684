import assert from "node:assert/strict";
import { readRoute } from "../../web/router.ts";

Deno.test("readRoute() takes an address apart, and what names no view for the first one", () => {
  assert.deepEqual(readRoute(""), { view: "train", rest: null });
  assert.deepEqual(readRoute("#/history"), { view: "history", rest: null });
  assert.deepEqual(readRoute("#/run/a%20b"), { view: "run", rest: "a b" });
  assert.deepEqual(readRoute("#/runs/x"), { view: "train", rest: null });
});
