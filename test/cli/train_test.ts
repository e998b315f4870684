/**
 * The command as a process of its own, on files on disk. Each process takes seconds, so there are few.
 */
import assert from "node:assert/strict";
import type { TrainingEvent } from "../../src/job.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { device } from "../helpers/device.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A folder with the base model `base` and the rows `train.jsonl`, in which the command runs. */
class Workplace implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<Workplace> {
    const place = new Workplace(await Deno.makeTempDir({ prefix: "lowrank-train-" }));
    await writeTinyModel(new LocalFolder(`${place.path}/base`));
    const rows = Array.from(
      { length: 8 },
      (_, i) => `${JSON.stringify({ text: `row ${i}${"ab".repeat(i % 3)}` })}\n`,
    );
    await place.write("train.jsonl", rows.join(""));
    return place;
  }

  async write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.path}/${name}`, text);
  }

  async read(name: string): Promise<string> {
    return await Deno.readTextFile(`${this.path}/${name}`);
  }

  list(folder: string): string[] {
    return [...Deno.readDirSync(`${this.path}/${folder}`)].map(({ name }) => name).sort();
  }

  exists(name: string): boolean {
    return this.list(".").includes(name);
  }

  async train(...args: string[]): Promise<Outcome> {
    const permissions = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
    const run = [
      "run",
      "--config",
      `${ROOT}deno.json`,
      "--no-prompt",
      ...permissions,
      `${ROOT}src/main.ts`,
      "train",
    ];
    const command = new Deno.Command(Deno.execPath(), {
      args: [...run, ...args],
      cwd: this.path,
      env: { NO_COLOR: "1" },
    });
    const { code, stdout, stderr } = await command.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, out: text(stdout), err: text(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

const JOB = ["--base-model", "base", "--training-data-path", "train.jsonl", "--output-model-name", "ember"];
const SMALL = ["--lora-r", "4", "--batch-size", "2", "--eval-batch-size", "2"];

/** The lines that the command says of a failure; drivers may say things of their own. */
const complaint = ({ err }: Outcome) => err.split("\n").filter((line) => /^(error|hint|warning):/.test(line));

function test(name: string, needsGpu: boolean, body: (place: Workplace) => Promise<void>): void {
  Deno.test({
    name: needsGpu && !device ? `${name} (no adapter)` : name,
    ignore: needsGpu && !device,
    fn: async () => {
      await using place = await Workplace.make();
      await body(place);
    },
  });
}

test(
  "train --config --json exits 0, with one event a line, flags before the file, and a model on disk",
  true,
  async (place) => {
    await place.write(
      "job.yaml",
      [
        "base_model: base",
        "training_data_path: train.jsonl",
        "output_model_name: ember",
        "lora_r: 4",
        "max_steps: 9",
        "learning_rate: 0.01",
        "batch_size: 2",
        "eval_batch_size: 2",
        "",
      ].join("\n"),
    );
    const result = await place.train("--config", "job.yaml", "--max-steps", "3", "--json");
    assert.equal(result.code, 0, result.err);
    const events: TrainingEvent[] = result.out.trimEnd().split("\n").map((line) => JSON.parse(line));
    const types = events.map(({ type }) => type).filter((type) => type !== "phase");
    assert.deepEqual(types, [
      "started",
      "evaluated",
      "step",
      "step",
      "step",
      "evaluated",
      "checkpointed",
      "saved",
      "saved",
      "finished",
    ]);
    const steps = events.filter((event) => event.type === "step");
    assert.deepEqual(steps.map(({ step, totalSteps }) => [step, totalSteps]), [[1, 3], [2, 3], [3, 3]]);
    assert.ok(steps.every(({ loss, gradNorm }) => loss > 0 && gradNorm > 0));
    assert.match(result.err, /done in 00:\d\d: 3 steps/);

    assert.deepEqual(place.list("runs/ember"), [
      "adapter",
      "checkpoint-3",
      "merged",
      "metrics.jsonl",
      "report.html",
      "run.json",
      "trainer_state.json",
      "training_config.json",
    ]);
    assert.deepEqual(place.list("runs/ember/adapter"), [
      "README.md",
      "adapter_config.json",
      "adapter_model.safetensors",
    ]);
    const { status, config } = JSON.parse(await place.read("runs/ember/run.json"));
    assert.deepEqual([status, config.max_steps, config.lora_r], ["completed", 3, 4]);

    const again = await place.train("--config", "job.yaml");
    assert.equal(again.code, 2);
    assert.deepEqual(complaint(again), [
      'error: output_dir "runs/ember" holds files already (metrics.jsonl, report.html, run.json): ' +
      "choose another output_model_name or output_dir, or set overwrite, or resume to go on from a checkpoint",
      'hint: "lowrank help" lists the commands, "lowrank train --help" the options',
    ]);
  },
);

test("train --dry-run exits 0 with the plan and leaves no trace", true, async (place) => {
  const result = await place.train(...JOB, ...SMALL, "--dry-run");
  assert.equal(result.code, 0, result.err);
  assert.match(
    result.out,
    /base weights .+[^]*activations .+[^]*a step takes [\d.]+ s \(.+ tok\/s\): \d+ steps would take \d+:\d+, .+\ndry run: nothing was trained or written\n$/,
  );
  assert.deepEqual(place.list("."), ["base", "train.jsonl"]);
});

test("train exits 6 when the loss is no number any more", true, async (place) => {
  const absurd = [
    "--lora-alpha",
    "1e16",
    "--learning-rate",
    "10",
    "--warmup-steps",
    "0",
    "--max-grad-norm",
    "0",
  ];
  const result = await place.train(
    ...JOB,
    ...SMALL,
    ...absurd,
    "--max-steps",
    "9",
    "--train-test-split",
    "0",
  );
  assert.equal(result.code, 6, result.err);
  const [error, ...more] = complaint(result);
  assert.match(
    error!,
    /^error: The loss or a gradient is not a finite number at step \d \(learning rate \d\S*\): lower/,
  );
  assert.deepEqual(more, []);
  assert.deepEqual(place.list("runs/ember"), [
    "metrics.jsonl",
    "report.html",
    "run.json",
    "trainer_state.json",
    "training_config.json",
  ]);
  assert.equal(JSON.parse(await place.read("runs/ember/run.json")).status, "failed");
});

test("train exits 5 when the run will not fit", true, async (place) => {
  const result = await place.train(...JOB, ...SMALL, "--memory-limit-gb", "1e-6");
  assert.equal(result.code, 5, result.err);
  assert.match(
    complaint(result)[0]!,
    /^error: The run needs \S+ MB on ".+" \(.+\) and memory_limit_gb allows 0\.00 MB: /,
  );
});

test(
  "train exits 2 for options that do not validate, all of them named by their flags",
  false,
  async (place) => {
    const result = await place.train(
      "--base-model",
      "base",
      "--output-model-name",
      "a/b",
      "--learning-rate",
      "1e30",
    );
    assert.equal(result.code, 2);
    assert.deepEqual(complaint(result).map((line) => line.split(" ").slice(0, 2).join(" ")), [
      "error: --output-model-name",
      "error: --training-data-path",
      "error: --learning-rate",
      'hint: "lowrank',
    ]);
  },
);

test("train exits 3 with every bad line of the data", false, async (place) => {
  await place.write("train.jsonl", '{"text": "fine"}\n{"text": 1}\n[]\n{"text": "cut');
  const result = await place.train(...JOB);
  assert.equal(result.code, 3);
  const lines = complaint(result);
  assert.deepEqual(lines.slice(0, -1).map((line) => line.slice(0, line.indexOf(": ", 8))), [
    "error: ./train.jsonl:2",
    "error: ./train.jsonl:3",
    "error: ./train.jsonl:4",
  ]);
  assert.equal(lines.at(-1), "hint: mend or remove these lines of the data file");
});

test(
  "train exits 4 for a model that is not there and an output folder that cannot be",
  false,
  async (place) => {
    const missing = await place.train(...JOB, "--base-model", "nowhere");
    assert.equal(missing.code, 4);
    assert.match(
      complaint(missing)[0]!,
      /^error: Cannot find a model at "nowhere": the folder is empty or does not exist/,
    );
    const unwritable = await place.train(...JOB, "--output-dir", "train.jsonl/out");
    assert.equal(unwritable.code, 4);
    assert.equal(
      complaint(unwritable)[0],
      'error: Cannot write to "train.jsonl/out" as a file stands where a folder is needed: choose another path',
    );
  },
);
