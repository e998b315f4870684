import assert from "node:assert/strict";
import { reset } from "@logtape/logtape";
import { runCommand } from "../../src/cli/run.ts";
import { logSetting } from "../../src/cli/log_output.ts";
import { suspectVariables } from "../../src/cli/sources.ts";
import { ConfigError } from "../../src/errors.ts";
import { fakeIo, FINISHED_EVENT, stepEvent, SUMMARY_EVENT } from "./fake_io.ts";

const JOB = ["train", "--base-model", "m", "--output-model-name", "o", "--training-data-path", "t.jsonl"];

Deno.test("logSetting() takes the flag in either spelling before the variable, and is off by default", () => {
  const env = { LOWRANK_LOG_LEVEL: "error", LOWRANK_LOG_FORMAT: "json" };
  assert.equal(logSetting(["--json"], {}), null);
  assert.equal(logSetting(["--log-level", "off"], env), null);
  assert.deepEqual(logSetting([], env), { level: "error", format: "json" });
  assert.deepEqual(logSetting(["--log_level=debug", "--log-format", "text"], env), {
    level: "debug",
    format: "text",
  });
  for (const flag of ["-v", "--verbose"]) {
    assert.deepEqual(logSetting([flag], env), { level: "info", format: "json" });
    assert.deepEqual(logSetting([flag, "--log-level", "debug"], {}), { level: "debug", format: "text" });
  }
  const refused = (args: string[], variables: Record<string, string>, path: string) =>
    assert.throws(() => logSetting(args, variables), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.issues.map((issue) => issue.path), [path]);
      return true;
    });
  refused(["--log-level", "loud"], {}, "--log-level");
  refused([], { LOWRANK_LOG_FORMAT: "xml" }, "LOWRANK_LOG_FORMAT");
  assert.deepEqual(suspectVariables(env), []);
});

Deno.test("train logs to standard error by part, in text or JSON, and nothing unless asked", async () => {
  const events = () => [SUMMARY_EVENT, stepEvent(1, 2), FINISHED_EVENT];
  const logged = async (...flags: string[]) => {
    const { io, stderr } = fakeIo({ events });
    try {
      assert.equal(await runCommand([...JOB, "--quiet", ...flags], io), 0);
    } finally {
      await reset();
    }
    return stderr.text;
  };
  assert.equal(await logged(), "");
  assert.match(await logged("-v"), /^\S+Z \[INF\] lowrank\.job: 400 steps /m);
  const text = await logged("--log-level", "info");
  assert.match(text, /^\S+Z \[INF\] lowrank\.job: 400 steps of models\/tiny \(llama\) on llvmpipe/m);
  assert.match(text, /lowrank\.gpu: chosen: matmul: tile 32x12/);
  assert.doesNotMatch(text, /lowrank\.train/, "steps are debug");
  const lines = (await logged("--log-level=debug", "--log-format=json")).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  const step = lines.find(({ logger }) => logger === "lowrank.train");
  assert.deepEqual([step.level, step.step, step.loss, step.tokensPerSecond], ["DEBUG", 1, 2, 3100]);
  assert.equal(lines.filter(({ what }) => what === "base weights")[0].bytes, 1 << 20);
});
