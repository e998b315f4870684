// deno-lint-ignore-file no-control-regex -- escape sequences are what is asserted
import assert from "node:assert/strict";
import { TerminalReport } from "../../src/cli/terminal.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { FINISHED_EVENT, stepEvent, SUMMARY_EVENT } from "./fake_io.ts";

function draw(
  events: readonly TrainingEvent[],
  { live = false, color = false, columns = 100 } = {},
): string {
  let text = "";
  const report = new TerminalReport({ write: (part) => text += part, live, color, columns });
  for (const event of events) report.show(event);
  report.close();
  return text;
}

const EVALUATED: TrainingEvent = {
  type: "evaluated",
  step: 119,
  epoch: 0.6,
  evalLoss: 1.91,
  evalTokens: 1234,
};

Deno.test("TerminalReport draws the header panel, loud when the adapter computes on the CPU", () => {
  assert.equal(
    draw([SUMMARY_EVENT]),
    `  model      models/tiny (llama)
  parameters 260,032, of which 12,352 train (4.75 %)
  device     llvmpipe (LLVM 15.0.6, 256 bits)
             !! SOFTWARE ADAPTER: this computes on the CPU, far slower than a GPU would
  data       90 training + 10 evaluation examples, 4,321 trained tokens an epoch
  steps      400 of 8 examples (2 epochs of 200)
  memory     base weights     1.0 MiB
             adapter         48.3 KiB
             total            1.0 MiB
  choices    matmul: tile 32x12 from textures, fastest of 3
`,
  );
});

Deno.test("TerminalReport says nothing of software when the adapter is a GPU", () => {
  assert.ok(SUMMARY_EVENT.type === "started");
  const summary = { ...SUMMARY_EVENT.summary, adapter: "NVIDIA H100", softwareAdapter: false };
  assert.doesNotMatch(draw([{ type: "started", summary }]), /SOFTWARE/);
});

Deno.test("TerminalReport writes one plain line a step where there is no terminal", () => {
  assert.equal(
    draw([stepEvent(119, 1.9), EVALUATED, stepEvent(120, 1.842), stepEvent(121, 2.5)]),
    `step 119/400 29% | loss 1.900 = | lr 1.8e-4 | gn 0.62 | 3.1k tok/s | ETA 02:14
eval at step 119: loss 1.910, perplexity 6.75 over 1,234 tokens
step 120/400 30% | loss 1.842 v | eval 1.910 | lr 1.8e-4 | gn 0.62 | 3.1k tok/s | ETA 02:14
step 121/400 30% | loss 2.500 ^ | eval 1.910 | lr 1.8e-4 | gn 0.62 | 3.1k tok/s | ETA 02:14
`,
  );
});

Deno.test("TerminalReport tells of a lost device, from where the run goes on, and how often it may", () => {
  const lost = {
    type: "device_lost",
    message: 'The GPU "G" was lost',
    recovery: 1,
    mostRecoveries: 3,
  } as const;
  assert.equal(
    draw([{ ...lost, step: 0 }, { ...lost, step: 7, recovery: 2 }]),
    `warning: The GPU "G" was lost; beginning anew on another device (recovery 1 of 3)
warning: The GPU "G" was lost; going on from step 7 on another device (recovery 2 of 3)
`,
  );
});

Deno.test("TerminalReport redraws one line in place on a terminal and moves it out of the way of others", () => {
  const text = draw([
    stepEvent(1, 3),
    stepEvent(2, 2.9),
    { type: "warning", message: "odd" },
    stepEvent(3, 2),
  ], {
    live: true,
  });
  const clear = "\r\x1b[K";
  assert.equal(text.split("\n").length, 3);
  assert.match(
    text,
    /^\r\x1b\[Kstep 1\/400 0% [^\r\n]+\r\x1b\[Kstep 2\/400 0% [^\r\n]+\r\x1b\[Kwarning: odd\n/,
  );
  assert.ok(text.endsWith("ETA 02:14\n"));
  assert.equal(text.split(clear).length, 5);
});

Deno.test("TerminalReport keeps the live line inside the terminal, dropping the least important parts first", () => {
  const line = (columns: number) =>
    draw([EVALUATED, stepEvent(120, 1.842)], { columns }).trimEnd().split("\n").at(-1)!;
  assert.equal(line(90), "step 120/400 30% | loss 1.842 = | eval 1.910 | lr 1.8e-4 | 3.1k tok/s | ETA 02:14");
  assert.equal(line(60), "step 120/400 30% | loss 1.842 = | 3.1k tok/s | ETA 02:14");
  assert.equal(line(46), "step 120/400 30% | loss 1.842 = | ETA 02:14");
  for (const columns of [20, 46, 60, 75, 90, 100, 300]) {
    assert.ok(line(columns).length < Math.min(columns, 100), `${columns}: ${line(columns)}`);
  }
});

Deno.test("TerminalReport closes with the evaluation before and after and where the files are", () => {
  const saved: TrainingEvent[] = [
    { type: "saved", what: "adapter", path: "runs/x/adapter" },
    { type: "saved", what: "merged", path: "runs/x/merged" },
  ];
  assert.equal(
    draw([...saved, FINISHED_EVENT]),
    `done in 1:02:03: 400 steps
  eval loss  3.210 before, 1.104 after
  adapter    runs/x/adapter
  merged     runs/x/merged
`,
  );
});

Deno.test("TerminalReport shows what a quantised base and a merge change, side by side", () => {
  const plan = (
    quantization: "none" | "4bit",
    mebibytes: number,
    fits: boolean | null,
    recomputedBlocks = 0,
  ) => {
    const weightBytes = mebibytes << 20;
    return { quantization, weightBytes, totalBytes: 2 * weightBytes, recomputedBlocks, fits };
  };
  const losses = { adapter: 1.5, quantized: 1.50004, original: 1.25 };
  assert.equal(
    draw([
      { type: "planned", quantizations: [plan("none", 512, false, 30), plan("4bit", 64, true)] },
      { type: "planned", quantizations: [plan("4bit", 64, null)] },
      { type: "compared", mergeBase: "quantized", rows: 8, tokens: 123, losses },
    ]),
    `  if kept in none  weights 512.0 MiB  total   1.0 GiB  does not fit  30 blocks computed again
             4bit  weights  64.0 MiB  total 128.0 MiB  fits
  if kept in 4bit  weights  64.0 MiB  total 128.0 MiB
loss of 8 rows: adapter 1.5000, merged onto quantised values (written) 1.5000, onto original ones 1.2500
`,
  );
});

Deno.test("TerminalReport leaves out the evaluation when there was none", () => {
  assert.equal(
    draw([{ ...FINISHED_EVENT, evalLossBefore: null, evalLossAfter: null } as TrainingEvent]),
    "done in 1:02:03: 400 steps\n",
  );
});

Deno.test("TerminalReport colours only when asked", () => {
  const events: TrainingEvent[] = [SUMMARY_EVENT, { type: "warning", message: "odd" }, FINISHED_EVENT];
  assert.doesNotMatch(draw(events), /\x1b/);
  const coloured = draw(events, { color: true });
  assert.match(coloured, /\x1b\[33mwarning:\x1b\[0m odd/);
  assert.equal(coloured.replace(/\x1b\[\d+m/g, ""), draw(events));
});

Deno.test("TerminalReport shows answers before and after side by side, and marks what is exact", () => {
  const sampled = (step: number, answers: readonly [string, string], exactMatch: number): TrainingEvent => {
    const samples = [["Signal bell.", "B-E-L-L"], ["Signal a very long word indeed, longer than fits.", "X"]];
    return {
      type: "sampled",
      step,
      samples: samples.map(([prompt, expected], i) => {
        return { prompt: prompt!, expected: expected!, answer: answers[i]! };
      }),
      exactMatch,
      rows: 240,
    };
  };
  const text = draw([
    sampled(0, ["bell\nbell", "no"], 0),
    sampled(400, ["B-E-L-L", "X-X"], 0.975),
    FINISHED_EVENT,
  ], { columns: 60 });
  assert.match(
    text,
    /^exact match at step 0: 0\.0 % of 240 held-out prompts\nexact match at step 400: 97\.5 %/,
  );
  assert.ok(
    text.includes(`
  prompt              before     after
= Signal bell.        bell bell  B-E-L-L
  Signal a very lon…  no         X-X
done in`),
    text,
  );
  assert.ok(text.includes("  exact      0.0 % before, 97.5 % after, of 240 held-out prompts\n"), text);
});

/** Twenty files of 1 MiB, after so many seconds. */
function transfer(files: number): TrainingEvent {
  const bytes = files * 2 ** 20, totalBytes = 20 * 2 ** 20;
  return {
    type: "transfer",
    direction: "upload",
    what: "the model",
    files,
    totalFiles: 20,
    bytes,
    totalBytes,
  };
}

function drawTransfer(live: boolean, columns = 100): string {
  let text = "", seconds = 0;
  const now = () => 1000 * seconds;
  const report = new TerminalReport({ write: (part) => text += part, live, color: false, columns, now });
  for (const files of [0, 5, 20]) {
    seconds = files;
    report.show(transfer(files));
  }
  report.close();
  return text;
}

Deno.test("TerminalReport shows how far, how fast and how long still files move, in place", () => {
  assert.equal(
    drawTransfer(true),
    "\r\x1b[Kuploading the model | 0 of 20 files | 0 B of 20.0 MiB 0% | -- | ETA --:--" +
      "\r\x1b[Kuploading the model | 5 of 20 files | 5.0 MiB of 20.0 MiB 25% | 1.0 MiB/s | ETA 00:15" +
      "\r\x1b[Kuploaded the model: 20 files, 20.0 MiB in 00:20 (1.0 MiB/s)\n",
  );
  assert.match(drawTransfer(true, 30), /\r\x1b\[Kuploading the model \| 5 of 20\r/);
});

Deno.test("TerminalReport says once that files have come where there is no terminal", () => {
  assert.equal(drawTransfer(false), "uploaded the model: 20 files, 20.0 MiB in 00:20 (1.0 MiB/s)\n");
});
