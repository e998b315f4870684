import assert from "node:assert/strict";
import type { TrainingEvent } from "../../src/job.ts";
import { SAMPLES_FILE, SamplesFile } from "../../src/logs/samples_file.ts";
import { writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

const sampled = (step: number, answer: string): TrainingEvent => {
  return {
    type: "sampled",
    step,
    samples: [{ prompt: "p", expected: "e", answer }],
    exactMatch: null,
    rows: 1,
  };
};

Deno.test("SamplesFile keeps one round a step, and drops those after the checkpoint of a resumed run", async () => {
  const folder = new MemoryFolder("run");
  const file = new SamplesFile(folder);
  for (const [step, answer] of [[0, "a"], [2, "b"], [2, "c"], [4, "d"]] as const) {
    await file.add(sampled(step, answer));
  }
  const answersOf = ({ rounds }: SamplesFile) =>
    rounds.map(({ step, samples }) => `${step} ${samples[0]!.answer}`);
  assert.deepEqual(answersOf(file), ["0 a", "2 c", "4 d"]);
  const resumed = await SamplesFile.resume(folder, 3);
  assert.deepEqual(answersOf(resumed), ["0 a", "2 c"]);
  await resumed.add(sampled(4, "e"));
  assert.deepEqual(answersOf(await SamplesFile.resume(folder, 9)), ["0 a", "2 c", "4 e"]);
});

Deno.test("SamplesFile.resume() says what to do about a damaged file", async () => {
  const folder = new MemoryFolder("run");
  await writeFile(folder, SAMPLES_FILE, "{");
  await assert.rejects(SamplesFile.resume(folder, 1), {
    name: "ModelFormatError",
    message: 'Cannot resume: "run/samples.json" is damaged; remove it to go on without its answers',
  });
});
