import assert from "node:assert/strict";
import { runReport } from "../../src/logs/run_report.ts";
import { madeUpReport } from "../explain/report.ts";
import { assertSelfContained, assertWellFormed } from "../explain/well_formed.ts";

const EVIL = "</td><script>alert(1)</script>&";
const { record, metrics } = madeUpReport();
const round = (step: number, answer: string) => {
  return { step, samples: [{ prompt: EVIL, expected: "yes", answer }], exact_match: null };
};

Deno.test("runReport() is one well-formed page that asks for nothing and shows every curve and answer", () => {
  const page = runReport({ name: "ember", record, metrics, rounds: [round(0, "no"), round(2, "yes")] });
  assertWellFormed(page);
  assertSelfContained(page);
  for (const heading of ["Loss", "Learning rate", "Gradient norm before clipping", "Speed"]) {
    assert.ok(page.includes(`<h3>${heading}</h3>`), heading);
  }
  assert.match(page, /prefers-color-scheme: dark/);
  assert.match(page, /after step 0[^]*after step 2[^]*&lt;script&gt;alert\(1\)[^]*<td class="text">no<\/td>/);
  assert.ok(!page.includes("<script>"));
});

Deno.test("runReport() names the GPUs that a run lost, and where it went on", () => {
  const lost = [{ at: "", message: 'The GPU "<G>" was lost', step: 0 }, {
    at: "",
    message: "again",
    step: 4,
  }];
  const page = runReport({
    name: "ember",
    record: { ...record, device_recoveries: lost },
    metrics,
    rounds: [],
  });
  assertWellFormed(page);
  const told =
    "2: The GPU &quot;&lt;G&gt;&quot; was lost; the run began anew. again; the run went on after step 4";
  assert.ok(page.includes(`<dt>lost GPUs</dt><dd>${told}</dd>`), page);
  assert.ok(!runReport({ name: "ember", record, metrics, rounds: [] }).includes("lost GPUs"));
});

Deno.test("runReport() says why a run failed, and leaves out answers where none were asked for", () => {
  const failed = { ...record, status: "failed" as const, error: "out of <paper>" };
  const page = runReport({ name: "ember", record: failed, metrics: [], rounds: [] });
  assertWellFormed(page);
  assert.match(page, /class="card warning"><strong>failed\.<\/strong> out of &lt;paper&gt;/);
  assert.match(page, /The run came to no report\./);
  assert.ok(!page.includes("Samples"));
});
