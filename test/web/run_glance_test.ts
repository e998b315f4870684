import assert from "node:assert/strict";
import { parseFineTuneJobConfig, toWire } from "../../src/config.ts";
import type { MetricsRow } from "../../src/run_files.ts";
import { RUN_ORDERS } from "../../web/page/run_order.ts";
import { overlaid } from "../../web/page/run_overlay.ts";
import type { RunEntry } from "../../web/protocol/runs.ts";
import { courseOf, differingSettings, glanceOf, settingsAgain } from "../../web/run_glance.ts";

const row = (step: number, loss: number | null, eval_loss: number | null): MetricsRow => ({
  ...{ step, epoch: 0, loss, eval_loss, token_accuracy: null, eval_token_accuracy: null },
  ...(loss === null
    ? { learning_rate: null, grad_norm: null, tokens: null, tokens_per_second: null }
    : { learning_rate: 0.1, grad_norm: 1, tokens: step * 10, tokens_per_second: 5 }),
});

Deno.test("glanceOf() tells a run in a few numbers, its curve in means of equal parts", () => {
  const rows = [
    row(0, null, 5),
    ...Array.from({ length: 80 }, (_, i) => row(i + 1, 80 - i, i === 39 ? 2 : null)),
  ];
  const { spark, seconds, tokens, lastLoss, bestEvaluation, bytes } = glanceOf("a", courseOf(rows), 7);
  assert.equal(spark.length, 40);
  assert.deepEqual([spark[0], spark.at(-1)], [79.5, 1.5]);
  assert.deepEqual([seconds, tokens, lastLoss, bytes], [160, 800, 1, 7]);
  assert.deepEqual(bestEvaluation, { step: 40, loss: 2 });
  assert.deepEqual(glanceOf("b", courseOf([]), 0), {
    ...{ name: "b", bytes: 0, seconds: 0, tokens: 0, spark: [], lastLoss: null, bestEvaluation: null },
  });
});

const wire = (options: Readonly<Record<string, unknown>>) =>
  toWire(parseFineTuneJobConfig({
    base_model: "models/tiny",
    training_data_path: "device/data/mine.jsonl",
    output_model_name: "mine",
    ...options,
  }));

Deno.test("differingSettings() names what runs were set to, the usual options first, and not where they lie", () => {
  const configs = [
    wire({ lora_r: 8, weight_decay: 0.1 }),
    wire({ lora_r: 16, output_model_name: "other", job_id: "page-1", quantization: "4bit" }),
  ];
  assert.deepEqual(differingSettings(configs), ["lora_r", "load_in_4bit", "weight_decay"]);
  assert.deepEqual(differingSettings([configs[0]!, configs[0]!]), []);
  assert.deepEqual(differingSettings([]), []);
});

Deno.test("settingsAgain() gives the options of another such run", () => {
  const again = settingsAgain(
    wire({ lora_r: 8, job_id: "page-1", overwrite: true, output_dir: "runs/x", sample_prompts: ["Hi"] }),
  );
  assert.deepEqual(again, {
    base_model: "models/tiny",
    training_data_path: "device/data/mine.jsonl",
    output_model_name: "mine",
    lora_r: 8,
    sample_prompts: ["Hi"],
  });
});

Deno.test("RUN_ORDERS sort by what is known of a run", () => {
  const listed = (name: string, startedAt: string, loss: number | null, bytes: number) => {
    const entry = { name, startedAt, evalLossAfter: null } as RunEntry;
    const glance = { ...glanceOf(name, { steps: [], evaluations: [] }, bytes), lastLoss: loss };
    return { entry, glance: loss === null ? null : glance };
  };
  const runs = [
    listed("run-10", "2026-01-01", 2, 5),
    listed("run-9", "2026-01-03", null, 9),
    listed("a", "2026-01-02", 1, 7),
  ];
  const ordered = (title: string) => runs.toSorted(RUN_ORDERS.get(title)!).map(({ entry }) => entry.name);
  assert.deepEqual(ordered("Latest first"), ["run-9", "a", "run-10"]);
  assert.deepEqual(ordered("Lowest loss first"), ["a", "run-10", "run-9"]);
  assert.deepEqual(ordered("Largest first"), ["a", "run-10", "run-9"]);
  assert.deepEqual(ordered("By name"), ["a", "run-9", "run-10"]);
});

Deno.test("overlaid() puts curves of several runs over the places of all", () => {
  const courses = [
    courseOf([row(0, null, 5), row(1, 4, null), row(2, 3, 2.5)]),
    courseOf([row(2, 8, null), row(3, 6, 5)]),
  ];
  const view = { x: "steps", past: 0, last: null } as const;
  assert.deepEqual(overlaid(courses, view, "smooth"), [[1, 2, 3], [4, 3, null], [null, 8, 6]]);
  assert.deepEqual(overlaid(courses, { ...view, x: "tokens" }, "evaluation"), [[0, 20, 30], [5, 2.5, null], [
    null,
    null,
    5,
  ]]);
  assert.deepEqual(overlaid([], view, "smooth"), [[]]);
});
