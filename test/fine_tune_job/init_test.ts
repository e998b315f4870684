import assert from "node:assert/strict";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { ConfigError } from "../../src/errors.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { evalLosses, ofType, run, summaryOf } from "../helpers/job_runs.ts";

/** Losses of two runs that compute the same by other sums. */
function assertNear(got: number, want: number): void {
  assert.ok(Math.abs(got - want) <= 1e-5 * want, `${got}, wanted ${want}`);
}

for (const init of ["pissa", "pissa_niter_4", "olora"]) {
  onGpu(
    `run() that begins with ${init} begins as the base, and saves an adapter for the base as it was`,
    async () => {
      const root = await jobDisk({ dtype: "BF16" });
      const plain = await run(root, { max_steps: 1, output_dir: "runs/plain", save: "adapter" });
      // saving the merged model checks it against the run, too
      const wire = {
        init_lora_weights: init,
        learning_rate: 0.02,
        rank_pattern: { v_proj: 3 },
        save_steps: 2,
      };
      const events = await run(root, { ...wire, max_steps: 4, save: init === "olora" ? "both" : "adapter" });
      const [before, after] = evalLosses(events);
      assertNear(before!, evalLosses(plain)[0]!);
      assert.ok(after! < before!);
      assert.ok(
        ofType(events, "phase").some(({ message }) => message.startsWith(`decomposing weights for ${init}`)),
      );
      const saved = await readAdapter(root.folder("runs/ember/adapter"));
      assert.deepEqual([saved.config.rank, saved.config.init], [8, undefined]);
      assert.deepEqual(saved.config.rankPattern, { v_proj: 6 });
      const more = await run(root, {
        adapter_path: "runs/ember/adapter",
        output_dir: "runs/more",
        max_steps: 1,
        save: "adapter",
      });
      assertNear(evalLosses(more)[0]!, after!);
      assert.equal(summaryOf(more).trainableParameters, 2 * summaryOf(events).trainableParameters);
    },
  );
}

onGpu("run() with DoRA and rank-stabilised scaling begins with a part of the base too", async () => {
  const root = await jobDisk();
  const plain = await run(root, { max_steps: 1, output_dir: "runs/plain", save: "adapter" });
  const wire = {
    init_lora_weights: "pissa",
    use_dora: true,
    use_rslora: true,
    learning_rate: 0.01,
    save: "both",
  };
  const [before, after] = evalLosses(await run(root, wire));
  assertNear(before!, evalLosses(plain)[0]!);
  const further = {
    adapter_path: "runs/ember/adapter",
    output_dir: "runs/more",
    max_steps: 1,
    save: "adapter",
  };
  assertNear(evalLosses(await run(root, further))[0]!, after!);
});

onGpu("run() resumes from a checkpoint of a decomposed base to the same bits", async () => {
  const root = await jobDisk();
  const wire = {
    init_lora_weights: "pissa",
    learning_rate: 0.02,
    max_steps: 4,
    save: "adapter",
    save_steps: 2,
  };
  await run(root, { ...wire, output_dir: "runs/straight" });
  await run(root, wire);
  await root.folder("runs/ember").removeFolder("checkpoint-4");
  const resumed = await run(root, { ...wire, resume: "auto" });
  assert.equal(ofType(resumed, "resumed")[0]!.step, 2);
  assert.ok(!ofType(resumed, "phase").some(({ message }) => message.startsWith("decomposing")));
  assert.deepEqual(
    await readAdapter(root.folder("runs/ember/adapter")),
    await readAdapter(root.folder("runs/straight/adapter")),
  );
});

onGpu("run() loads the best weights of a decomposed base from their checkpoint", async () => {
  const root = await jobDisk();
  const events = await run(root, {
    init_lora_weights: "olora",
    load_best_model_at_end: true,
    metric_for_best_model: "eval_mean_token_accuracy",
    learning_rate: 1e-4, // too little for another right token: the first evaluation stays the best
    eval_steps: 1,
    max_steps: 4,
    save: "both",
  });
  assert.ok(ofType(events, "phase").some(({ message }) => message.startsWith("loading the best weights")));
  const { evalLossAfter } = ofType(events, "finished")[0]!;
  assert.equal(evalLossAfter, evalLosses(events)[1]);
  assert.notEqual(evalLossAfter, evalLosses(events).at(-1));
  const further = {
    adapter_path: "runs/ember/adapter",
    output_dir: "runs/more",
    max_steps: 1,
    save: "adapter",
  };
  assertNear(evalLosses(await run(root, further))[0]!, evalLossAfter!);
});

onGpu("run() begins with drawn factors as the option says", async () => {
  const root = await jobDisk();
  const begin = async (init: unknown) => {
    const wire = {
      init_lora_weights: init,
      max_steps: 1,
      learning_rate: 0,
      save: "adapter",
      overwrite: true,
    };
    const [before] = evalLosses(await run(root, wire));
    return { before, adapter: await readAdapter(root.folder("runs/ember/adapter")) };
  };
  const plain = await begin(true), drawn = await begin(false);
  assert.equal((await begin("gaussian")).before, plain.before);
  assertNear((await begin("orthogonal")).before!, plain.before!);
  assert.notEqual(drawn.before, plain.before);
  assert.equal(drawn.adapter.config.init, false);
  for (const [name, { data }] of drawn.adapter.tensors) assert.ok(data.every((value) => value !== 0), name);
});

onGpu("run() refuses starts that do not go with rank, base or adapter", async () => {
  const root = await jobDisk();
  const cases = [
    [
      { init_lora_weights: "pissa", quantization: "4bit" },
      /takes a part out of the base.*set quantization to none/,
    ],
    [{ init_lora_weights: "orthogonal", lora_r: 3 }, /needs even ranks and finds 3/],
    [{ init_lora_weights: "olora", adapter_path: "a" }, /has no say for an adapter to continue from/],
    [{ init_lora_weights: "pissa_niter_" }, /must be true, false, gaussian.*value is "pissa_niter_"/],
  ] as const;
  for (const [wire, message] of cases) {
    await assert.rejects(run(root, wire), (error: Error) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.equal(error.issues[0]!.path, "init_lora_weights");
      assert.match(error.issues[0]!.message, message);
      return true;
    });
  }
});
