import assert from "node:assert/strict";
import { countRan, LANES, type LaneTotals, readTotals, runLanes, totalsLine } from "./helpers/test_lanes.ts";
import { browserFiles } from "./run.ts";

Deno.test("readTotals() reads deno's last summary, with steps and ignored tests", () => {
  assert.deepEqual(readTotals("ok | 12 passed (3 steps) | 0 failed | 2 ignored (1s)"), {
    passed: 12,
    failed: 0,
    skipped: 2,
  });
  assert.deepEqual(
    readTotals("a test says: ok | 1 passed | 0 failed\nFAILED | 2 passed | 1 failed (1 step) (9ms)\n"),
    {
      passed: 2,
      failed: 1,
      skipped: 0,
    },
  );
  assert.equal(readTotals("error: Module not found"), null);
});

Deno.test("countRan() leaves out skipped tests and other folders", () => {
  const junit = `<testsuite name="./test/gpu/a_test.ts" tests="5" disabled="2" errors="0" failures="1">
    <testsuite name="./test/gpu_like_test.ts" tests="7" disabled="0" errors="0" failures="0">
    <testsuite name="./test/gpu/b_test.ts" tests="1" disabled="1" errors="0" failures="0">`;
  assert.equal(countRan(junit, "test/gpu"), 3);
  assert.equal(countRan(junit, "test/none"), 0);
});

Deno.test("totalsLine() names skipped tests only when there are any", () => {
  assert.equal(totalsLine({ passed: 3, failed: 1, skipped: 0 }), "3 passed, 1 failed");
  assert.equal(totalsLine({ passed: 3, failed: 0, skipped: 2 }), "3 passed, 0 failed, 2 skipped");
});

const CAME_TO: LaneTotals = { passed: 2, failed: 1, skipped: 0, ranOnGpu: 1 };

Deno.test("LANES run every test file once", async () => {
  const { paths, ignored } = LANES[1]!;
  assert.deepEqual([paths, ignored], [["test/"], LANES[0]!.paths]);
  for (const folder of LANES[0]!.paths) assert.ok((await Deno.stat(folder)).isDirectory, folder);
});

Deno.test("runLanes() adds lanes up and shows one after the other", async () => {
  const first = Promise.withResolvers<LaneTotals>();
  let shown = "";
  const totals = await runLanes(LANES, 2, {
    show: (text) => shown += text,
    run: async ({ name }, show) => {
      show(`${name} begins\n`);
      if (name === LANES[0]!.name) await first.promise;
      else first.resolve(CAME_TO);
      show(`${name} ends\n`);
      return CAME_TO;
    },
  });
  assert.deepEqual(totals, { passed: 4, failed: 2, skipped: 0, ranOnGpu: 2 });
  assert.equal(
    shown,
    LANES.map(({ name }) => `\n--- ${name}\n${name} begins\n${name} ends\n`).join(""),
  );
});

Deno.test("runLanes() runs one lane after the other on one processor", async () => {
  let running = 0;
  await runLanes(LANES, 1, {
    show: () => {},
    run: async () => {
      assert.equal(++running, 1);
      await new Promise((resolve) => setTimeout(resolve));
      running--;
      return CAME_TO;
    },
  });
});

Deno.test("browserFiles() covers the library and leaves out what only Deno has", async () => {
  const files = await browserFiles();
  for (const file of ["src/config.ts", "src/errors.ts", "src/storage.ts"]) {
    assert.ok(files.includes(file), file);
  }
  assert.deepEqual(files.filter((file) => file.startsWith("src/cli/") || file === "src/main.ts"), []);
});
