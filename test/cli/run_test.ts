// deno-lint-ignore-file no-control-regex -- escape sequences are what is asserted
import assert from "node:assert/strict";
import { EXIT_CODES, exitCodeOf, InterruptedError } from "../../src/cli/exit_codes.ts";
import { runCommand } from "../../src/cli/run.ts";
import * as errors from "../../src/errors.ts";
import type { TrainingEvent } from "../../src/job.ts";
import manifest from "../../deno.json" with { type: "json" };
import { fakeIo, type FakeIoOptions, FINISHED_EVENT, stepEvent, SUMMARY_EVENT } from "./fake_io.ts";

const TRAIN = ["train", "--base-model", "m", "--output-model-name", "n", "--training-data-path", "t.jsonl"];
const EVENTS: TrainingEvent[] = [SUMMARY_EVENT, stepEvent(1, 2), FINISHED_EVENT];

async function run(args: string[], options: FakeIoOptions = {}) {
  const fake = fakeIo({ events: () => EVENTS, ...options });
  const code = await runCommand(args, fake.io);
  return { code, out: fake.stdout.text, err: fake.stderr.text, jobs: fake.jobs };
}

function* failing(error: unknown): Generator<TrainingEvent> {
  yield stepEvent(1, 2);
  throw error;
}

Deno.test("train runs the job of the flags and shows its events", async () => {
  const { code, out, err, jobs } = await run([...TRAIN, "--lora-r", "8"]);
  assert.deepEqual([code, err], [0, ""]);
  assert.equal(jobs.length, 1);
  assert.deepEqual([jobs[0]!.config.lora.r, jobs[0]!.config.job.baseModel, jobs[0]!.dryRun], [8, "m", false]);
  assert.match(out, /model {6}models\/tiny \(llama\)\n[^]*step 1\/400 [^]*done in 1:02:03: 400 steps/);
});

Deno.test("train --json writes one event a line on standard output and the rest on standard error", async () => {
  const { out, err } = await run([...TRAIN, "--json"]);
  assert.deepEqual(out.trimEnd().split("\n").map((line) => JSON.parse(line)), EVENTS);
  assert.match(err, /done in 1:02:03/);
});

Deno.test("train --quiet shows warnings only", async () => {
  const events = () => [...EVENTS.slice(0, 2), { type: "warning", message: "odd" } as const, FINISHED_EVENT];
  assert.deepEqual(
    await run([...TRAIN, "-q"], { events }).then(({ code, out, err }) => ({ code, out, err })),
    { code: 0, out: "", err: "warning: odd\n" },
  );
});

Deno.test("train --dry-run asks for a dry job and need not finish", async () => {
  const { code, out, jobs } = await run([...TRAIN, "--dry-run"], { events: () => [SUMMARY_EVENT] });
  assert.deepEqual([code, jobs[0]!.dryRun], [0, true]);
  assert.ok(out.endsWith("dry run: nothing was trained or written\n"), out);
});

Deno.test("train fails when the job stops without finishing", async () => {
  const { code, err } = await run(TRAIN, { events: () => [SUMMARY_EVENT] });
  assert.equal(code, 1);
  assert.match(err, /^error: The run ended without finishing and without an error\nhint: LOWRANK_DEBUG=1 /);
});

Deno.test("train --print-config prints a file that --config reads back, with the origin of each value", async () => {
  const args = [...TRAIN, "--target-modules", "q_proj,v_proj", "--epochs=1.5", "--print-config"];
  const { out, jobs } = await run(args, { env: { LOWRANK_SEED: "9" } });
  assert.equal(jobs.length, 0);
  assert.match(out, /^target_modules: \["q_proj","v_proj"\] +# --target-modules$/m);
  assert.match(out, /^seed: 9 +# LOWRANK_SEED$/m);
  assert.match(out, /^lora_r: 16 +# default$/m);
  const again = await run(["train", "-c", "printed.yaml", "--print-config", "--json"], {
    files: { "printed.yaml": out },
  });
  const direct = await run([...args, "--json"], { env: { LOWRANK_SEED: "9" } });
  assert.equal(again.code, 0, again.err);
  assert.deepEqual(JSON.parse(again.out), JSON.parse(direct.out));
});

Deno.test("a flag wins over a variable, a variable over the file, the file over the default, as --print-config tells", async () => {
  const files = { "job.yaml": "lora_r: 2\nlora_alpha: 3\nmax_length: 4\ntracker: sqlite\njob_id: a\n" };
  const env = { LOWRANK_LORA_R: "5", LOWRANK_LORA_ALPHA: "6" };
  const args = [...TRAIN, "-c", "job.yaml", "--lora-r", "7", "--no-tracking", "--print-config"];
  const { code, out, err } = await run(args, { env, files });
  assert.equal(code, 0, err);
  for (
    const line of [
      /^lora_r: 7 +# --lora-r$/m,
      /^lora_alpha: 6 +# LOWRANK_LORA_ALPHA$/m,
      /^max_length: 4 +# job\.yaml: max_length$/m,
      /^tracker: "none" +# --no-tracking$/m,
      /^lora_dropout: 0 +# default$/m,
    ]
  ) assert.match(out, line);
});

Deno.test("train takes the names of TRL, PEFT and transformers for its own", async () => {
  const pairs = [
    ["model-name-or-path", "m", "base_model"],
    ["output-dir", "o", "output_dir"],
    ["per-device-train-batch-size", 3, "batch_size"],
    ["per-device-eval-batch-size", 5, "eval_batch_size"],
    ["gradient-accumulation-steps", 2, "gradient_accumulation_steps"],
    ["num-train-epochs", 2, "num_train_epochs"],
    ["max-seq-length", 64, "max_length"],
    ["max_length", 64, "max_length"],
    ["lora-alpha", 8, "lora_alpha"],
    ["lora_r", 4, "lora_r"],
    ["lora-target-modules", "q_proj|v_proj", "target_modules"],
    ["resume-from-checkpoint", "auto", "resume"],
    ["evaluation-strategy", "epoch", "eval_strategy"],
    ["warmup-ratio", 0.1, "warmup_steps"],
    ["bnb-4bit-quant-type", "nf4", "quant_type"],
  ] as const;
  const base = ["--base-model", "b", "--output-model-name", "n", "--training-data-path", "t"];
  for (const [flag, value, option] of pairs) {
    const args = flag === "model-name-or-path" ? base.slice(2) : base;
    const { out, err } = await run([
      "train",
      ...args,
      `--${flag}`,
      String(value),
      "--print-config",
      "--json",
    ]);
    assert.equal(JSON.parse(out)[option], value, `${flag}: ${err}`);
  }
});

Deno.test("train lists every wrong flag, exits 2 and starts nothing", async () => {
  const { code, err, jobs } = await run(["train", "--epohcs", "3", "--base-model"]);
  assert.deepEqual([code, jobs.length], [2, 0]);
  assert.equal(
    err,
    'error: --epohcs is not a flag: did you mean "--epochs"?\n' +
      "error: --base-model needs a value: MODEL\n" +
      'hint: "lowrank help" lists the commands, "lowrank train --help" the options\n',
  );
  assert.match(
    (await run([...TRAIN, "stray"])).err,
    /^error: "stray" is not expected: options start with --\n/,
  );
  assert.match(
    (await run(["train"])).err,
    /^error: --base-model is missing\nerror: --output-model-name is missing\n/,
  );
});

Deno.test("train turns each error of a run into its exit code, with at most one hint and no stack trace", async () => {
  const cases: [number, Error, RegExp][] = [
    [1, new Error("pipe burst"), /error: pipe burst\nhint: LOWRANK_DEBUG=1 shows where it happened\n$/],
    [
      2,
      new errors.ConfigError([{ path: "lora_r", message: "must be at most 8" }]),
      /error: lora_r must be at most 8\n/,
    ],
    [
      2,
      new errors.ConfigError([
        { path: "target_modules", message: "Cannot apply LoRA to it" },
        { path: "", message: "it is odd" },
      ]),
      /^error: target_modules: Cannot apply LoRA to it\nerror: it is odd\n/m,
    ],
    [
      3,
      new errors.DatasetFormatError([
        { file: "t.jsonl", line: 3, message: "no text" },
        { file: "t.jsonl", message: "empty" },
      ]),
      /error: t\.jsonl:3: no text\nerror: t\.jsonl: empty\nhint: mend or remove/,
    ],
    [
      4,
      new errors.StorageNotFoundError("m/config.json is not there"),
      /error: m\/config\.json is not there\nhint: /,
    ],
    [4, new errors.StorageNotFoundError('Cannot find "gs://b/x"'), /error: Cannot find "gs:\/\/b\/x"\n$/],
    [4, new errors.ModelFormatError("truncated"), /error: truncated\n$/],
    [5, new errors.GpuMemoryError("too big"), /error: too big\n$/],
    [5, new errors.GpuLostError("driver reset"), /error: driver reset\n$/],
    [1, new Error("no idea"), /error: no idea\nhint: LOWRANK_DEBUG=1 /],
    [
      6,
      new errors.DivergedError("loss is NaN at step 7", 7),
      /error: loss is NaN at step 7\n$/,
    ],
  ];
  for (const [code, error, pattern] of cases) {
    const result = await run(TRAIN, { events: () => failing(error) });
    assert.equal(result.code, code, error.name);
    assert.match(result.err, pattern);
    assert.doesNotMatch(result.err, /\n {4}at /);
  }
});

Deno.test("LOWRANK_DEBUG=1 adds the stack trace", async () => {
  const { err } = await run(TRAIN, { events: () => failing(new Error("x")), env: { LOWRANK_DEBUG: "1" } });
  assert.match(err, /\n {4}at /);
});

Deno.test("a long list of problems is cut, with the number left out", async () => {
  const issues = Array.from(
    { length: 65 },
    (_, line) => ({ file: "t.jsonl", line: line + 1, message: "bad" }),
  );
  const { err } = await run(TRAIN, { events: () => failing(new errors.DatasetFormatError(issues)) });
  assert.match(err, /t\.jsonl:60: bad\nerror: and 5 more\nhint: /);
});

Deno.test("a signal decides the exit code, whatever the job throws while it stops", async () => {
  const interrupted = await run(TRAIN, { interruptBy: "SIGINT" });
  assert.deepEqual([interrupted.code, interrupted.err], [130, "error: interrupted by SIGINT\n"]);
  assert.equal((await run(TRAIN, { interruptBy: "SIGTERM" })).code, 143);
});

Deno.test("errors obey --color, NO_COLOR and FORCE_COLOR", async () => {
  const bad = ["train", "--epohcs"];
  assert.match((await run([...bad, "--color", "always"])).err, /^\x1b\[31merror:\x1b\[0m /);
  assert.match((await run(bad, { env: { FORCE_COLOR: "1" } })).err, /^\x1b/);
  assert.match((await run(bad, { isTerminal: true })).err, /^\x1b/);
  assert.match((await run(bad, { isTerminal: true, env: { NO_COLOR: "1" } })).err, /^error:/);
  assert.match((await run([...bad, "--color=never"], { isTerminal: true })).err, /^error:/);
  assert.match((await run(bad)).err, /^error:/);
});

Deno.test("config schema prints JSON Schema; config validate judges a file", async () => {
  const schema = await run(["config", "schema"]);
  assert.equal(JSON.parse(schema.out).properties.lora_r.default, 16);
  const files = {
    "good.yaml": "base_model: m\noutput_model_name: n\ntraining_data_path: t\n",
    "bad.yaml": "base_model: m\nlora_r: 0\nlora_alfa: 3\n",
  };
  assert.deepEqual(
    await run(["config", "validate", "good.yaml"], { files }).then(({ code, out }) => [code, out]),
    [
      0,
      "good.yaml is valid\n",
    ],
  );
  const bad = await run(["config", "validate", "bad.yaml"], { files });
  assert.equal(bad.code, 2);
  assert.match(bad.err, /error: bad\.yaml: lora_alfa is not an option: did you mean "lora_alpha"\?/);
  assert.match(bad.err, /error: bad\.yaml: lora_r must be at least 1: current value is 0/);
  assert.match((await run(["config"])).err, /config takes "init", "schema" or "validate FILE"/);
});

Deno.test("config validate judges the file alone, whatever the environment says", async () => {
  const files = { "half.yaml": "base_model: m\noutput_model_name: n\n" };
  const env = { LOWRANK_TRAINING_DATA_PATH: "t" };
  assert.equal((await run(["config", "validate", "half.yaml"], { files, env })).code, 2);
});

Deno.test("help lists the commands", async () => {
  const { code, out } = await run(["help"]);
  assert.equal(code, 0);
  for (const verb of ["train", "generate", "chat"]) assert.match(out, new RegExp(`^ {2}${verb} `, "m"));
  assert.match(out, /^ {2}doctor /m);
  assert.equal((await run(["--help"])).out, out);
});

Deno.test("train --help names every exit code and fits 100 columns", async () => {
  const { out } = await run(["train", "--help"]);
  for (const { code, meaning } of EXIT_CODES) assert.ok(out.includes(`${String(code).padEnd(4)} ${meaning}`));
  for (const line of out.split("\n")) assert.ok(line.length <= 100, line);
  assert.match(out, /--learning-rate N .*\(default 0\.0002\) \[also --lr\]/);
  assert.equal((await run(["help", "train"])).out, out);
});

Deno.test("the help of every verb fits a screen or has headings, and tells of exit codes and examples", async () => {
  const { out: main } = await run(["help"]);
  const verbs = new Set([...main.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, verb]) => verb!));
  assert.ok(verbs.size > 14);
  for (const verb of verbs) {
    if (verb === "help" || verb === "version") continue;
    const { code, out } = await run([verb, "--help"]);
    assert.equal(code, 0, verb);
    assert.ok(out.startsWith(`lowrank ${verb}: `), out);
    assert.equal((await run(["help", verb])).out, out);
    for (const part of [/^Usage: lowrank /m, /^Exit codes\n {2}0 /m, /^Examples?\n {2}\S/m]) {
      assert.match(out, part, verb);
    }
    const lines = out.split("\n"), headings = lines.filter((line) => /^[A-Z][A-Za-z ]+$/.test(line));
    assert.ok(lines.length <= 50 || headings.length >= 4, `${verb}: ${lines.length} lines`);
    assert.deepEqual(lines.filter((line) => line.length > 100), [], verb);
  }
  for (const line of main.split("\n")) assert.ok(line.length <= 100, line);
});

Deno.test("completion knows every flag that the help of a verb shows", async () => {
  const { out: main } = await run(["help"]), { out: script } = await run(["completion", "bash"]);
  const verbs = new Set([...main.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, verb]) => verb!));
  for (const verb of verbs) {
    const words = new RegExp(`^ {4}${verb}\\) words="(.*)" ;;$`, "m").exec(script)?.[1]?.split(" ");
    assert.ok(words, verb);
    const { out } = await run([verb, "--help"]);
    const flags = [...out.matchAll(/^ {2}(?:-\w, )?(--[a-z][\w-]*)/gm)].map(([, flag]) => flag!);
    assert.deepEqual(flags.filter((flag) => !words.includes(flag)), [], verb);
  }
});

Deno.test("a verb of the program's folder, a misspelt one and none at all are wrong usage", async () => {
  for (const verb of ["serve", "token", "bench"]) {
    const elsewhere = await run([verb]);
    assert.equal(elsewhere.code, 2);
    assert.ok(
      elsewhere.err.startsWith(`error: "${verb}" is no command of the library: run ./lowrank ${verb} in`),
    );
  }
  assert.match((await run(["trian"])).err, /^error: "trian" is not a command: did you mean "train"\?\n/);
  assert.equal((await run(["toString"])).code, 2);
  const none = await run([]);
  assert.equal(none.code, 2);
  assert.match(none.err, /^lowrank: fine-tune/);
});

Deno.test("version is the package's", async () => {
  assert.equal((await run(["--version"])).out, `lowrank ${manifest.version}\n`);
});

Deno.test("exitCodeOf() knows every error of the project", () => {
  const codes = Object.fromEntries(
    Object.values(errors).map((known) => {
      const make = known as unknown as new (first: unknown, second: unknown) => Error;
      return [known.name, exitCodeOf(new make([], 0))];
    }),
  );
  assert.deepEqual(codes, {
    ConfigError: 2,
    DatasetFormatError: 3,
    DivergedError: 6,
    GpuLostError: 5,
    GpuMemoryError: 5,
    GpuUnavailableError: 5,
    ModelFormatError: 4,
    StorageBucketError: 4,
    StorageConflictError: 4,
    StorageDamagedError: 4,
    StorageDeniedError: 4,
    StorageInterruptedError: 4,
    StorageNotFoundError: 4,
    UnsupportedModelError: 4,
  });
  assert.equal(exitCodeOf(new InterruptedError("SIGTERM")), 143);
  assert.equal(exitCodeOf("a string"), 1);
});
