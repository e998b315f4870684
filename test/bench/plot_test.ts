import assert from "node:assert/strict";
import { lineChart, roundTicks } from "../../bench/plot.ts";

const CHART = {
  title: 'Speed & "more"',
  x: { label: "tokens", logarithmic: true },
  y: { label: "tokens/s" },
  series: [
    { name: "kept", points: [[64, 10], [128, 30], [256, 20]] as const },
    { name: "again", points: [[64, 5], [256, 15]] as const },
  ],
};

Deno.test("roundTicks() begins at 0, steps by 1, 2 or 5, and ends at or above the most", () => {
  assert.deepEqual(roundTicks(30), [0, 10, 20, 30]);
  assert.deepEqual(roundTicks(31), [0, 10, 20, 30, 40]);
  assert.deepEqual(roundTicks(0.7), [0, 0.2, 0.4, 0.6, 0.8]);
  assert.deepEqual(roundTicks(1234), [0, 500, 1000, 1500]);
  assert.deepEqual(roundTicks(0), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  for (const most of [1, 1.01, 7, 99, 100, 101, 54321]) {
    const ticks = roundTicks(most);
    assert.ok(ticks.at(-1)! >= most && ticks.at(-2)! < most && ticks.length <= 6, `${most}: ${ticks}`);
  }
});

Deno.test("lineChart() places points on its axes: doublings of a logarithmic x are equally far apart", () => {
  const svg = lineChart(CHART);
  // x from 64 to 624 over two doublings, y from 312 (0) up to 64 (30, the last tick)
  assert.match(svg, /d="M64\.0 229\.3L344\.0 64\.0L624\.0 146\.7"/);
  assert.match(svg, /stroke-dasharray="6 4" d="M64\.0 270\.7L624\.0 188\.0"/);
  assert.deepEqual([...svg.matchAll(/>(\d+)<\/text>/g)].map(([, tick]) => Number(tick)), [
    ...[0, 10, 20, 30],
    ...[64, 128, 256],
  ]);
});

Deno.test("lineChart() escapes its texts and carries colours for dark pages", () => {
  const svg = lineChart(CHART);
  assert.match(svg, /aria-label="Speed &amp; &quot;more&quot;"/);
  assert.match(svg, /prefers-color-scheme: dark/);
  assert.doesNotMatch(svg, /NaN|undefined|https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
});

Deno.test("lineChart() draws a single point and refuses none", () => {
  const one = { ...CHART, series: [{ name: "one", points: [[8, 1]] as const }] };
  assert.match(lineChart(one), /cx="344\.0" cy="64\.0"/);
  assert.throws(() => lineChart({ ...CHART, series: [] }), /^RangeError: Cannot draw "Speed/);
});
