import assert from "node:assert/strict";
import { freeRunName } from "../../web/run_name.ts";

Deno.test("a run's name is the wanted one, or with the next number that no kept run has", () => {
  assert.equal(freeRunName("signals", []), "signals");
  assert.equal(freeRunName("signals", ["tides"]), "signals");
  assert.equal(freeRunName("signals", ["signals"]), "signals-2");
  assert.equal(freeRunName("signals", ["signals", "signals-2", "signals-3"]), "signals-4");
  assert.equal(freeRunName("signals-2", ["signals-2"]), "signals-3");
  assert.equal(freeRunName("a-b", ["a-b"]), "a-b-2");
  assert.equal(freeRunName("2026-11", ["2026-11"]), "2026-12");
});
