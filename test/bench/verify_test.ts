import assert from "node:assert/strict";
import { readJunit } from "../helpers/junit.ts";
import { compareLosses } from "../../bench/verify_checks.ts";
import { formatVerification, passed, reportName, type Verification } from "../../bench/verify_report.ts";

const GOOD: Verification = {
  date: "2026-11-24",
  lowrank: "0.1.0",
  adapter: { name: "Made | Up GPU", software: false, variants: "8x4 tiles", features: [] },
  machine: {
    runtime: "Deno",
    platform: "linux",
    memory: { totalBytes: 1 << 30, availableBytes: 0, limitBytes: null },
    vulkan: { loader: null, drivers: [{ file: "/x.json", library: "/lib/libx.so", present: true }] },
    nvidiaVersion: null,
  },
  tests: [
    { suite: "test/gpu", cases: [{ name: "a", skipped: false, failure: null }], stopped: null },
    { suite: "test/kernels", cases: [{ name: "b", skipped: true, failure: null }], stopped: null },
  ],
  goldens: [
    { name: "llama lora loss", outcome: "passed", detail: "worst 1e-7 of 1e-5", worstShare: 0.01 },
    { name: "llama dora", outcome: "skipped", detail: "this version does not train it" },
  ],
  replay: compareLosses([2, 1], [2, 1.00001]),
  roofline: {
    matmul: [{ size: 512, gigaflops: { median: 1234, least: 1200, most: 1300 }, worstError: 0.05 }],
    copyGigabytes: 900,
    step: { tokens: 256, layers: 30, first: 2, median: 0.05, least: 0.04, most: 0.06 },
  },
  seconds: 61,
};

Deno.test("formatVerification() tells counts, distances and rates of every part", () => {
  const text = formatVerification(GOOD);
  assert.match(text, /^# Verification on Made \| Up GPU\n\nPASSED: Lowrank 0\.1\.0, 2026-11-24, /);
  for (
    const line of [
      "| adapter | Made \\| Up GPU |",
      "| software | no |",
      "| Vulkan drivers installed | libx.so |",
      "| test/gpu | 1 | 0 | 0 |",
      "| all | 1 | 0 | 1 |",
      "| llama | 1 | 0 | 1 | 0.010 |",
      "- skipped: llama dora: this version does not train it",
      "| 2 | 1.000000 | 1.0e-5 |",
      "| 512³ | 1,234 | 1,200 | 1,300 | 0.050 |",
    ]
  ) assert.ok(text.split("\n").includes(line), `${line} is not in\n${text}`);
  assert.match(
    text,
    /900 GB\/s[^]*30 layers[^]*0\.0500 s \(median; 0\.0400 s to 0\.0600 s\), 5,120 tokens\/s/,
  );
  assert.doesNotMatch(text, /SOFTWARE|nothing about GPUs/);
});

Deno.test("formatVerification() says of a software adapter, at the top and beside its timings, what they are worth", () => {
  const text = formatVerification({
    ...GOOD,
    adapter: { ...GOOD.adapter, name: "llvmpipe", software: true },
  });
  assert.match(text, /^# .*\n\n\*\*SOFTWARE ADAPTER: .*say nothing about GPUs\.\*\*\n/);
  assert.match(text, /\| software \| YES, IT COMPUTES ON THE CPU \|/);
  assert.match(text, /## Speed\n\nThese timings are a CPU's\. They say nothing about GPUs\./);
});

Deno.test("formatVerification() names what was skipped, and why", () => {
  const skipped = { skipped: "it is not here" };
  const text = formatVerification({ ...GOOD, goldens: skipped, replay: skipped, roofline: skipped });
  for (const title of ["Comparison with PyTorch", "Replay of a recorded run", "Speed"]) {
    assert.ok(text.includes(`## ${title}\n\nSkipped: it is not here.\n`), title);
  }
  assert.equal(passed({ ...GOOD, goldens: skipped, replay: skipped }), true);
});

Deno.test("passed() is false for a failed test, no test, tests that were stopped, a golden or a loss too far", () => {
  const suite = (change: object, stopped: string | null = null) => {
    return [{ suite: "test/gpu", cases: [{ name: "a", skipped: false, failure: null, ...change }], stopped }];
  };
  const bad: Partial<Verification>[] = [
    { tests: suite({ failure: "AssertionError: 1 | 2\n  at x" }) },
    { tests: suite({ skipped: true }) },
    { tests: suite({}, "the time limit ended it") },
    { goldens: [{ name: "llama", outcome: "failed", detail: "far" }] },
    { goldens: [] },
    { replay: compareLosses([2.001], [2]) },
    { replay: compareLosses([NaN], [2]) },
    { replay: { skipped: "The replay failed", failed: true } },
    { goldens: { skipped: "x", failed: true } },
    { roofline: { skipped: 'Cannot use "GPU" as its product is off', failed: true } },
  ];
  assert.equal(passed(GOOD), true);
  for (const change of bad) assert.equal(passed({ ...GOOD, ...change }), false, JSON.stringify(change));
  const text = formatVerification({ ...GOOD, ...bad[0] });
  assert.match(text, /\n\*\*FAILED\*\*: Lowrank/);
  assert.match(
    formatVerification({ ...GOOD, ...bad.at(-1) }),
    /## Speed\n\n\*\*Failed\*\*: Cannot use "GPU" as/,
  );
  assert.match(text, /\n- a: AssertionError: 1 \\\| 2 at x\n/);
});

Deno.test("reportName() makes a file name of any adapter's name", () => {
  assert.equal(reportName("llvmpipe (LLVM 15.0.6, 256 bits)"), "llvmpipe-LLVM-15.0.6-256-bits.md");
  assert.equal(reportName("NVIDIA GeForce RTX 4090/PCIe"), "NVIDIA-GeForce-RTX-4090-PCIe.md");
  assert.equal(reportName("../..."), "unnamed.md");
});

Deno.test("readJunit() tells passed, skipped and failed tests apart, with names as they were written", () => {
  const xml = `<testsuites name="deno test" tests="3"><testsuite name="./test/a_test.ts" tests="2">
    <testcase name="f(&quot;x&quot;) &lt; 1 &amp;amp; 2" classname="./test/a_test.ts" time="0.1" line="1">
    </testcase>
    <testcase name="g" classname="./test/a_test.ts"><skipped/></testcase>
    </testsuite><testsuite name="./test/b_test.ts" tests="1">
    <testcase name="h" classname="./test/b_test.ts" time="1">
      <failure message="Uncaught Error: x">AssertionError: 1 &gt; 2
    at &lt;anonymous&gt;</failure>
    </testcase></testsuite></testsuites>`;
  assert.deepEqual(readJunit(xml), [
    { name: 'f("x") < 1 &amp; 2', skipped: false, failure: null },
    { name: "g", skipped: true, failure: null },
    {
      name: "h",
      skipped: false,
      failure: "AssertionError: 1 > 2\n    at <anonymous>",
    },
  ]);
  assert.deepEqual(readJunit(""), []);
});
