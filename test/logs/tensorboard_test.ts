import assert from "node:assert/strict";
import type { TrainingEvent } from "../../src/job.ts";
import { TENSORBOARD_FOLDER, TensorBoardLog } from "../../src/logs/tensorboard.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import golden from "../golden/tensorboard.json" with { type: "json" };
import { type Fields, fieldsOf, messageOf, recordsOf, textOf } from "./event_file.ts";

const START_MS = 1_700_000_000_250;

const EVENTS: readonly TrainingEvent[] = [
  { type: "phase", message: "training" },
  {
    type: "evaluated",
    step: 0,
    epoch: 0,
    evalLoss: 2.5,
    evalTokens: 9,
    evalTokenAccuracy: 0.25,
    evalSeconds: 0.5,
  },
  {
    type: "sampled",
    step: 0,
    samples: [{ prompt: "two\nlines", expected: "été", answer: "no" }],
    exactMatch: 0.125,
    rows: 8,
  },
  {
    type: "step",
    step: 300,
    totalSteps: 400,
    epoch: 1.5,
    loss: 1.75,
    learningRate: 1e-4,
    gradNorm: 0.5,
    tokenAccuracy: 0.75,
    trainedTokens: 10,
    tokens: 4096,
    tokensPerSecond: 128,
    etaSeconds: 1,
  },
];

/** The bytes of one log; time moves a second with each record. */
async function written(step = 0): Promise<{ name: string; bytes: Uint8Array<ArrayBuffer> }> {
  const output = new MemoryFolder("run");
  let now = START_MS - 1000;
  const log = await TensorBoardLog.start(output, step, () => now += 1000);
  for (const event of EVENTS) await log.add(event);
  const folder = output.folder(TENSORBOARD_FOLDER);
  const [name, ...others] = await folder.list();
  assert.deepEqual(others, []);
  const file = await folder.open(name!);
  return { name: name!, bytes: await file.read(0, file.size) };
}

const valuesOf = (record: Fields) =>
  messageOf(record, 5).get(1)!.map((value) => fieldsOf(value as Uint8Array<ArrayBuffer>));

Deno.test("TensorBoardLog writes records that read back by the rules of the format", async () => {
  const { name, bytes } = await written();
  assert.match(name, /^events\.out\.tfevents\.1700000000\.lowrank\.250$/);
  const [version, evaluation, sample, step, ...more] = recordsOf(bytes);
  assert.deepEqual(more, []);
  assert.equal(textOf(version!, 3), "brain.Event:2");
  assert.deepEqual([version!.get(1)![0], version!.get(2)![0]], [START_MS / 1000 + 1, 0]);
  assert.deepEqual(
    valuesOf(step!).map((value) => [textOf(value, 1), value.get(2)![0]]),
    [
      ["train/loss", 1.75],
      ["train/learning_rate", Math.fround(1e-4)],
      ["train/grad_norm", 0.5],
      ["train/epoch", 1.5],
      ["train/mean_token_accuracy", 0.75],
      ["train/num_tokens", 4096],
      ["train/tokens_per_second", 128],
    ],
  );
  assert.equal(step!.get(2)![0], 300); // takes two bytes
  assert.deepEqual(valuesOf(evaluation!).map((value) => textOf(value, 1)), [
    "eval/loss",
    "eval/perplexity",
    "eval/mean_token_accuracy",
    "eval/runtime",
  ]);
  const [answer, exact] = valuesOf(sample!);
  assert.match(
    textOf(messageOf(answer!, 8), 8),
    /^prompt\n\n {4}two\n {4}lines\n\nexpected\n\n {4}été\n\nanswer/,
  );
  assert.deepEqual([textOf(exact!, 1), exact!.get(2)![0]], ["eval/exact_match", 0.125]);
});

Deno.test("TensorBoardLog of a resumed run says that later steps are to be forgotten", async () => {
  const [, session] = recordsOf((await written(7)).bytes);
  assert.deepEqual([session!.get(2)![0], messageOf(session!, 7).get(1)![0]], [8, 1]);
});

Deno.test("TensorBoardLog writes the bytes that TensorBoard's own reader has read", async () => {
  const { bytes } = await written(7);
  assert.equal(bytes.toBase64(), golden.file);
});
