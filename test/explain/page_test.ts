import assert from "node:assert/strict";
import { byteText, figures, ticksBetween } from "../../src/html/figures.ts";
import { markup } from "../../src/html/markup.ts";
import { lineChart } from "../../src/html/line_chart.ts";
import { explainPage } from "../../src/explain/page.ts";
import { namedStretches, steps } from "../../src/explain/page_memory.ts";
import { madeUpReport } from "./report.ts";
import { assertSelfContained, assertWellFormed } from "./well_formed.ts";

const EVIL = `<script>alert("1")</script>'&`;
const HARMLESS = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;";

Deno.test("markup escapes every text and number that is put in, and keeps markup", () => {
  const inner = markup`<b title="${EVIL}">${EVIL}</b>`;
  assert.equal(inner.text, `<b title="${HARMLESS}">${HARMLESS}</b>`);
  assert.equal(markup`<p>${[inner, null, [" & ", 1]]}</p>`.text, `<p>${inner.text} &amp; 1</p>`);
});

Deno.test("explainPage() is one well-formed file that asks for nothing from outside", () => {
  for (const report of [madeUpReport(), madeUpReport({ times: null }), madeUpReport({ metrics: [] })]) {
    const page = explainPage(report);
    assertWellFormed(page);
    assertSelfContained(page);
  }
});

Deno.test("explainPage() escapes what comes from files and the machine", () => {
  const report = madeUpReport();
  const { record, times, memory } = report;
  const page = explainPage({
    ...report,
    run: EVIL,
    choices: [EVIL],
    device: { ...report.device, name: EVIL, driver: EVIL, runtime: EVIL, platform: EVIL },
    record: {
      ...record,
      status: EVIL as never,
      config: { [EVIL]: EVIL },
      adapter: { name: EVIL, software: true },
      base_model: { ...record.base_model, path: EVIL, model_type: EVIL },
    },
    metrics: [{ ...report.metrics[0]!, step: EVIL as never, loss: EVIL as never }],
    memoryRows: [{ what: EVIL, bytes: 1 }],
    memory: {
      ...memory,
      sections: [{ name: EVIL, first: 0, end: 4 }],
      atPeak: [{ label: EVIL, bytes: 1, first: 0, last: 1 }],
    },
    times: {
      ...times!,
      sections: [{ section: EVIL, ms: 1 }],
      byKernel: [{ ...times!.byKernel[0]!, kernel: EVIL }],
      bySize: [{ ...times!.bySize[0]!, kernel: EVIL, sizes: EVIL, variant: EVIL }],
    },
  });
  assert.ok(!page.includes("<script>alert"));
  assert.ok(!page.includes('alert("1")'));
  assertWellFormed(page);
});

Deno.test("explainPage() marks software adapters, and says what an adapter without timestamps cannot tell", () => {
  const told = explainPage(madeUpReport());
  assert.match(told, /Software adapter\.<\/strong> “llvmpipe” computes on the CPU/);
  assert.match(told, /12\.5 ms, 2,560 tokens\/s/);
  assert.match(told, /10\.0 ms, 40\.0 % of the roofline/);
  const { device } = madeUpReport();
  const card = explainPage(
    madeUpReport({ times: null, device: { ...device, name: "a card", software: false } }),
  );
  assert.ok(!card.includes("Software adapter."));
  assert.match(card, /“a card” has no timestamp queries/);
  assert.ok(!card.includes("GFLOP/s"));
  assert.match(card, /Memory over time/);
});

Deno.test("explainPage() names the run's adapter where it was another one", () => {
  const report = madeUpReport();
  const record = { ...report.record, adapter: { name: "a card", software: false } };
  assert.match(explainPage({ ...report, record }), /<dt>the run&#39;s adapter<\/dt>\s*<dd>a card<\/dd>/);
  assert.match(explainPage(report), /<dt>the run&#39;s adapter<\/dt>\s*<dd>the same<\/dd>/);
});

Deno.test("steps() draws a value over the whole of its operation", () => {
  assert.deepEqual(steps([1, 1, 3]), [[0, 1], [2, 1], [2, 3], [3, 3]]);
  assert.deepEqual(steps([]), []);
});

Deno.test("namedStretches() puts numbered sections together", () => {
  const sections = [["forward", 0, 2], ["head 0", 2, 3], ["head 1", 3, 5], ["backward", 5, 6]] as const;
  const curve = {
    ...madeUpReport().memory,
    sections: sections.map(([name, first, end]) => ({ name, first, end })),
  };
  assert.deepEqual(namedStretches(curve), [
    { name: "forward", from: 0, to: 2 },
    { name: "head", from: 2, to: 5 },
    { name: "backward", from: 5, to: 6 },
  ]);
});

Deno.test("lineChart() places points between the axes and leaves the names of short stretches out", () => {
  const { text } = lineChart({
    summary: "A line.",
    series: [{ name: "a", kind: "line", points: [[0, 0], [10, 100]] }],
    xName: "steps",
    xRange: [0, 10],
    unit: "MiB",
    fromZero: true,
    stretches: [{ name: "long", from: 0, to: 9.5 }, { name: "short", from: 9.5, to: 10 }],
  });
  // the axis ends 18 % above the highest value
  assert.match(text, /class="line" d="M0 300L1000 45\.76"/);
  assert.match(text, />long</);
  assert.ok(!text.includes(">short<"));
  assert.match(text, /aria-label="A line\."/);
  const flat = { name: "a", kind: "dots" as const, points: [[1, 5]] as const };
  const one = lineChart({
    summary: "",
    series: [flat],
    xName: "",
    xRange: [1, 1],
    unit: "",
    fromZero: false,
  });
  assert.ok(!one.text.includes("NaN") && !one.text.includes("Infinity"));
});

Deno.test("figures, bytes and ticks read as people write them", () => {
  assert.deepEqual([0, 0.05123, 4.839, 99.96, 1234.5].map(figures), ["0", "0.0512", "4.84", "100", "1,235"]);
  assert.deepEqual([0, 812, 1024, 1536, 5 * 2 ** 30].map(byteText), [
    "0 B",
    "812 B",
    "1.00 KiB",
    "1.50 KiB",
    "5.00 GiB",
  ]);
  assert.deepEqual(ticksBetween(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticksBetween(0.13, 0.32, 4), [0.15, 0.2, 0.25, 0.3]);
});
