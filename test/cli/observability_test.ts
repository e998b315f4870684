import assert from "node:assert/strict";
import { OtlpReceiver } from "../helpers/otlp_receiver.ts";
import { withOwnCache } from "../helpers/own_cache.ts";
import { leaks, leaksBelow, PASSWORD, PLANTED } from "../helpers/planted_secrets.ts";
import { type Ended, runLauncher } from "../helpers/run_launcher.ts";
import { FakeHub } from "../storage/fake_hub.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const STAGES = ["resolve", "tokenise", "plan", "load", "train", "save"];

/** The launcher with secrets in its environment, telemetry to a receiver, and a Hub behind a password. */
async function withCommand(
  work: (
    run: (args: string[], env?: Record<string, string>) => Promise<Ended>,
    folder: string,
    telemetry: OtlpReceiver,
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-observed-" });
  const rows = (await Deno.readTextFile(`${ROOT}examples/tiny/signals.jsonl`)).split("\n").slice(0, 24);
  const hub = new FakeHub({ files: { "data/train.jsonl": rows.join("\n") } });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => hub.answer(request),
  );
  const telemetry = new OtlpReceiver();
  try {
    await work(
      (args, env = {}) => {
        const HF_ENDPOINT = `http://ann:${PASSWORD}@127.0.0.1:${server.addr.port}`;
        const own = withOwnCache(`${folder}/cache`);
        return runLauncher(args, { ...PLANTED, ...telemetry.env, HF_ENDPOINT, ...own, ...env }, folder);
      },
      folder,
      telemetry,
    );
  } finally {
    await telemetry.close();
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

const JOB = [
  "train",
  ...["--base-model", `${ROOT}examples/tiny/model`, "--output-model-name", "ember", "--output-dir", "run"],
  ...["--job-id", "job-7", "--tracker", "sqlite", "--tracker-path", "jobs.db"],
  ...["--max-steps", "2", "--logging-steps", "1", "--batch-size", "2", "--max-length", "64", "--lora-r", "2"],
  ...["--save", "adapter", "--train-test-split", "0"],
];

Deno.test({
  name: "lowrank train logs, traces and measures a run, and lets no secret out, in whatever it writes",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withCommand(async (run, folder, telemetry) => {
      const { code, out, err } = await run(
        [
          ...JOB,
          "--training-data-path",
          "hf://datasets/fen/tide",
          "--json",
          "--quiet",
          "--log-format",
          "json",
        ],
        { OTEL_DENO: "1", LOWRANK_LOG_LEVEL: "debug" },
      );
      assert.equal(code, 0, err);
      assert.equal(JSON.parse(out.trimEnd().split("\n").at(-1)!).type, "finished");

      const lines = err.trimEnd().split("\n").map((line) => JSON.parse(line));
      const areas = new Set(lines.map(({ logger }) => logger));
      for (const area of ["job", "model", "data", "gpu", "train"]) {
        assert.ok(areas.has(`lowrank.${area}`), area);
      }
      const stages = lines.filter(({ seconds, stage }) => stage && seconds >= 0).map(({ stage }) => stage);
      assert.deepEqual(stages, STAGES);
      const steps = lines.filter(({ logger, loss }) => logger === "lowrank.train" && loss > 0);
      assert.deepEqual(steps.map(({ step }) => step), [1, 2]);

      const job = telemetry.spans.find(({ name }) => name === "lowrank.job")!;
      const below = telemetry.spans.filter(({ parentSpanId }) => parentSpanId === job.spanId);
      assert.deepEqual(below.map(({ name }) => name), STAGES);
      assert.ok(below.every((span) => BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)));
      assert.equal(telemetry.spans.length, STAGES.length + 1, "no spans of requests, which tell whole URLs");
      const measured = ["loss", "learning_rate", "tokens_per_second", "tokens", "step.duration"];
      for (const name of [...measured.map((name) => `train.${name}`), "gpu.memory", "stage.duration"]) {
        assert.ok(telemetry.metrics.has(`lowrank.${name}`), name);
      }
      assert.deepEqual([...leaks(out), ...leaks(err), ...leaks(telemetry.text)], []);
      assert.deepEqual(await leaksBelow(folder), []);
    }),
});

Deno.test({
  name: "lowrank train lets no secret out when it fails or is refused, and traces the failure",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withCommand(async (run, folder, telemetry) => {
      const debug = { LOWRANK_DEBUG: "1", OTEL_DENO: "true" };
      const missing = ["--training-data-path", "hf://datasets/fen/ebb", "--log-level", "debug"];
      const failed = await run([...JOB, ...missing], debug);
      assert.equal(failed.code, 4, failed.err);
      assert.match(failed.err, /ERR\S* lowrank\.job: failed in stage "?tokenise"?: .*fen\/ebb/);
      const job = telemetry.spans.find(({ name }) => name === "lowrank.job")!;
      assert.equal(job.status!.code, 2);
      assert.match(job.status!.message!, /fen\/ebb/);

      const uri = `https://ann:${PASSWORD}@host/train.jsonl?sig=${PASSWORD}`;
      const refused = await run([...JOB, "--training-data-path", uri, "--print-config"], debug);
      assert.equal(refused.code, 2);
      assert.match(
        refused.err,
        /error: --training-data-path\S* must not hold a user name or password before @/,
      );
      const unreachable = await run(
        [...JOB, "--training-data-path", "hf://datasets/fen/tide", "--log-level", "info"],
        { ...debug, HF_ENDPOINT: `http://ann:${PASSWORD}@127.0.0.1:1` },
      );
      assert.equal(unreachable.code, 4, unreachable.err);
      assert.match(unreachable.err, /lowrank\.storage: try 1 of \d/);
      const texts = [failed, refused, unreachable].flatMap(({ out, err }) => [out, err]);
      assert.deepEqual([...texts, telemetry.text].flatMap(leaks), []);
      assert.deepEqual(await leaksBelow(folder), []);
    }),
});
