import assert from "node:assert/strict";
import { modelFingerprint, rowsFingerprint } from "../../src/checkpoint/fingerprint.ts";
import {
  latestCheckpoint,
  listCheckpoints,
  type Moments,
  openCheckpoint,
  readMoments,
  removeCheckpointsAfter,
  rotateCheckpoints,
  writeCheckpoint,
} from "../../src/checkpoint/resume.ts";
import { resumeIssues } from "../../src/checkpoint/resume_match.ts";
import { formatResume, parseResume, type ResumeRecord } from "../../src/checkpoint/resume_record.ts";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

function record(step: number, more: Partial<ResumeRecord> = {}): ResumeRecord {
  return {
    step,
    evaluated: true,
    since_report: {
      steps: 1,
      tokens: 20,
      trained_tokens: 19,
      summed_loss: 0.1,
      summed_on_gpu: Math.fround(1 / 3),
      correct: 7,
      seconds: 1.5,
      tokens_before: 100,
    },
    judgement: { best: { step: 3, metric: 0.1, eval_loss: 0.1 }, worse: 1 },
    schedule: null,
    watchdog: { alarms: 0, least: 0.2 },
    config: { learning_rate: 0.1, lr_scheduler_type: "cosine", max_steps: 8, warmup_steps: 0.03 },
    total_steps: 8,
    data: { train: "a".repeat(64), eval: null },
    rows: "b".repeat(64),
    base_model: "c".repeat(64),
    gpu: "a card",
    lowrank: "0.1.0",
    progress: {
      tokens: 120,
      seconds: 9.5,
      eval_loss_before: 3.25,
      eval_loss_after: null,
      exact_match_before: 0.5,
    },
    metrics: { bytes: 321, waiting: { step, loss: 0.1 } },
    ...more,
  };
}

const MOMENTS: Moments = {
  m: new Map([["layer.lora_A.weight", { shape: [2, 2], data: Float32Array.of(1e-30, -0, 0.1, 7) }]]),
  v: new Map([["layer.lora_A.weight", { shape: [2, 2], data: Float32Array.of(0, 1e-40, 2, 3) }]]),
};

const write = (output: MemoryFolder, step: number) =>
  writeCheckpoint(output, record(step), MOMENTS, (folder) => writeFile(folder, "weights.bin", `of ${step}`));

Deno.test("openCheckpoint() reads what writeCheckpoint() wrote, numbers and moments bit for bit", async () => {
  const output = new MemoryFolder("run");
  const folder = await write(output, 4);
  assert.equal(folder.uri, "run/checkpoint-4");
  assert.deepEqual(await folder.list(), ["optimizer.safetensors", "resume.json", "weights.bin"]);
  const checkpoint = await openCheckpoint(folder);
  assert.deepEqual(checkpoint.record, record(4));
  assert.deepEqual(await readMoments(folder), MOMENTS);
  const { version, files } = JSON.parse(await readText(folder, "resume.json"));
  assert.equal(version, 1);
  // sha256sum of "of 4"
  assert.deepEqual(files["weights.bin"], {
    bytes: 4,
    sha256: [new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("of 4"))).toHex()],
  });
});

Deno.test("writeCheckpoint() that fails leaves no checkpoint of that step and the one before whole", async () => {
  const output = new MemoryFolder("run");
  await write(output, 4);
  const failing = writeCheckpoint(output, record(5), MOMENTS, () => Promise.reject(new Error("disk full")));
  await assert.rejects(failing, /disk full/);
  assert.deepEqual(await listCheckpoints(output), [4]);
  assert.equal((await latestCheckpoint(output)).checkpoint?.record.step, 4);
});

Deno.test("listCheckpoints() goes by number and passes over other folders", async () => {
  const output = new MemoryFolder("run");
  for (const step of [10, 9, 100]) await write(output, step);
  for (const name of ["adapter", "checkpoint-", "checkpoint-2b", "my-checkpoint-3"]) {
    await writeFile(output.folder(name), "x", "");
  }
  assert.deepEqual(await listCheckpoints(output), [9, 10, 100]);
  await rotateCheckpoints(output, 2);
  assert.deepEqual(await listCheckpoints(output), [10, 100]);
  await rotateCheckpoints(output, 5);
  await removeCheckpointsAfter(output, 10);
  assert.deepEqual(await listCheckpoints(output), [10]);
});

Deno.test("latestCheckpoint() passes over damaged ones and says what is wrong with each", async () => {
  const output = new MemoryFolder("run");
  for (const step of [1, 2, 3, 4, 5]) await write(output, step);
  await writeFile(output.folder("checkpoint-5"), "weights.bin", "of 6");
  await writeFile(output.folder("checkpoint-4"), "weights.bin", "of");
  await output.folder("checkpoint-3").remove("weights.bin");
  await writeFile(output.folder("checkpoint-2"), "resume.json", Uint8Array.of(0xff, 0xfe));
  const { checkpoint, damaged } = await latestCheckpoint(output);
  assert.equal(checkpoint?.record.step, 1);
  assert.deepEqual(damaged.map((message) => message.replace(/ \(found.*/, "")), [
    'Cannot resume from "run/checkpoint-5/weights.bin": its bytes are not those that were written',
    'Cannot resume from "run/checkpoint-4/weights.bin": it has 2 bytes, 4 were written',
    'Cannot open "run/checkpoint-3/weights.bin" as it is not there',
    'Cannot resume from "run/checkpoint-2/resume.json": it is not text',
  ]);
  await output.folder("checkpoint-1").remove("resume.json");
  assert.equal((await latestCheckpoint(output)).checkpoint, null);
});

Deno.test("parseResume() finds every change of a bit that changes the content", async () => {
  const text = await formatResume(record(4), {});
  let harmless = 0;
  for (let i = 0; i < text.length; i++) {
    const changed = text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ 1) + text.slice(i + 1);
    try {
      assert.deepEqual((await parseResume(changed, "resume.json")).record, record(4));
      harmless++;
    } catch (error) {
      assert.equal((error as Error).name, "ModelFormatError", `at ${i}: ${error}`);
    }
  }
  assert.equal(harmless, 0); // a space becomes "!", an end of line a tab-like control, which JSON refuses
});

Deno.test("parseResume() refuses a newer version by its number, and does not call it damage", async () => {
  const { checksum: _, ...content } = JSON.parse(await formatResume(record(4), {}));
  const newer = { ...content, version: 2, more: "things" };
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(newer)));
  const text = JSON.stringify({ ...newer, checksum: new Uint8Array(digest).toHex() });
  await assert.rejects(parseResume(text, "run/checkpoint-4/resume.json"), {
    name: "UnsupportedModelError",
    message:
      'Cannot resume from "run/checkpoint-4/resume.json": its format is version 2, this program knows ' +
      "version 1; take the program that wrote it, or a newer one",
  });
  const output = new MemoryFolder("run");
  for (const step of [3, 4]) await write(output, step);
  await writeFile(output.folder("checkpoint-4"), "resume.json", text);
  await assert.rejects(latestCheckpoint(output), { name: "UnsupportedModelError" });
});

Deno.test("resumeIssues() lets pass what decides no bit, and nothing else", () => {
  const issues = (config: Record<string, unknown>, more: Partial<ResumeRecord> = {}) => {
    const then = record(4);
    return resumeIssues(then, { ...then, ...more, config: { ...then.config, ...config } })
      .map(({ path, message }) => `${path} ${message}`);
  };
  assert.deepEqual(issues({}), []);
  const free = {
    output_dir: "x",
    save: "merged",
    logging_steps: 5,
    eval_steps: 3,
    save_steps: 9,
    resume: "auto",
  };
  assert.deepEqual(issues({ ...free, training_data_path: "moved.jsonl", base_model: "moved" }), []);
  assert.deepEqual(issues({ learning_rate: 0.2, unheard_of: true }), [
    "learning_rate must be 0.1 as in checkpoint-4: current value is 0.2",
    "unheard_of must be missing as in checkpoint-4: current value is true",
  ]);
  // options that the version of the checkpoint did not know count as left alone
  assert.deepEqual(issues({ weight_decay: 0.5, sgd_momentum: 0, target_modules: "all-linear" }), [
    "weight_decay must be 0 as in checkpoint-4: current value is 0.5",
  ]);
  assert.deepEqual(
    issues({}, { base_model: "d".repeat(64), data: { train: "a".repeat(64), eval: "e".repeat(64) } }),
    [
      "base_model must hold the same model as in checkpoint-4 (sha256 cccccccccccc): found sha256 dddddddddddd",
      "eval_data_path must hold the same rows as in checkpoint-4 (none): found sha256 eeeeeeeeeeee",
    ],
  );
  assert.deepEqual(issues({}, { rows: "f".repeat(64) }), [
    "base_model must hold the same tokenizer and chat template as in checkpoint-4 (sha256 bbbbbbbbbbbb): " +
    "found sha256 ffffffffffff",
  ]);
});

Deno.test("resumeIssues() lets a run grow only where no learning rate depends on its length", () => {
  const grown = (schedule: Record<string, unknown>, total: number) => {
    const then = record(4, { config: { ...record(4).config, ...schedule } });
    const now = { ...then, total_steps: total, config: { ...then.config, max_steps: total } };
    return resumeIssues(then, now).map(({ message }) => message.split(":")[0]);
  };
  const refused = [
    "must be 8 as in checkpoint-4, since the learning rates depend on the length of the run " +
    "(a new run with adapter_path trains its adapter on)",
  ];
  assert.deepEqual(grown({ lr_scheduler_type: "cosine" }, 16), refused);
  assert.deepEqual(grown({ lr_scheduler_type: "linear", warmup_steps: 2 }, 16), refused);
  assert.deepEqual(grown({ lr_scheduler_type: "constant_with_warmup", warmup_steps: 0.1 }, 16), refused);
  assert.deepEqual(grown({ lr_scheduler_type: "constant_with_warmup", warmup_steps: 2 }, 16), []);
  assert.deepEqual(grown({ lr_scheduler_type: "constant" }, 16), []);
  assert.deepEqual(grown({ lr_scheduler_type: "constant" }, 4), []);
  assert.deepEqual(grown({ lr_scheduler_type: "constant" }, 3), [
    "leads to 3 steps, and checkpoint-4 has more",
  ]);
});

Deno.test("resumeIssues() holds evaluations and the length of a run where those decide something", () => {
  const changed = (decides: Record<string, unknown>, change: Record<string, unknown>) => {
    const config = { lr_scheduler_type: "constant", eval_steps: 2, max_steps: 8, ...decides };
    const then = record(4, { config });
    return resumeIssues(then, { ...then, config: { ...config, ...change } }).map(({ path }) => path);
  };
  for (
    const decides of [
      { lr_scheduler_type: "greedy" },
      { early_stopping_patience: 2 },
      { load_best_model_at_end: true },
    ]
  ) {
    assert.deepEqual(changed(decides, { eval_steps: 3, max_steps: 9 }), ["eval_steps", "max_steps"]);
  }
  assert.deepEqual(changed({ early_stopping_patience: 0 }, { eval_steps: 3, max_steps: 9 }), []);
});

Deno.test("rowsFingerprint() tells rows apart by tokens, labels, order and where one ends", async () => {
  const row = (ids: number[], labels = ids) => ({
    inputIds: Int32Array.from(ids),
    labels: Int32Array.from(labels),
  });
  const hashes = await Promise.all([
    [row([1, 2]), row([3])],
    [row([1, 2]), row([4])],
    [row([1, 2], [-100, 2]), row([3])],
    [row([3]), row([1, 2])],
    [row([1]), row([2, 3])],
    [row([1, 2])],
    [],
  ].map((rows) => rowsFingerprint(rows)));
  assert.equal(new Set(hashes).size, 7);
  assert.equal(await rowsFingerprint([row([1, 2]), row([3])]), hashes[0]);
});

Deno.test("modelFingerprint() tells models of one shape apart by their weights", async () => {
  const of = async (change: (folder: MemoryFolder) => Promise<void>) => {
    const folder = new MemoryFolder("base");
    await writeTinyModel(folder);
    await change(folder);
    return await modelFingerprint(await readText(folder, "config.json"), await WeightFiles.open(folder));
  };
  const plain = await of(async () => {});
  assert.equal(await of(async () => {}), plain);
  const config = await of(async (folder) => {
    await writeFile(
      folder,
      "config.json",
      (await readText(folder, "config.json")).replace("1e-5", "1e-6").replace("0.00001", "0.000001"),
    );
  });
  const weights = await of(async (folder) => {
    const file = await folder.open("model.safetensors");
    const bytes = await file.read(0, file.size);
    const header = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    bytes[header + 5]! ^= 1;
    await writeFile(folder, "model.safetensors", bytes);
  });
  assert.equal(new Set([plain, config, weights]).size, 3);
});
