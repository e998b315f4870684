import assert from "node:assert/strict";
import { CONFIG_FIELDS, configJsonSchema, parseFineTuneJobConfig, toWire } from "../src/config.ts";
import { SCHEDULE_TYPES } from "../src/config/scheduler_kwargs.ts";
import { ConfigError, type ConfigIssue } from "../src/errors.ts";

const REQUIRED = { base_model: "models/tiny", output_model_name: "ember", training_data_path: "train.jsonl" };

function issuesOf(options: unknown): readonly ConfigIssue[] {
  try {
    parseFineTuneJobConfig(options);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.issues;
  }
  assert.fail("the configuration was accepted");
}

function onlyMessage(options: Record<string, unknown>): string {
  const issues = issuesOf({ ...REQUIRED, ...options });
  assert.equal(issues.length, 1, JSON.stringify(issues));
  return `${issues[0]!.path}: ${issues[0]!.message}`;
}

Deno.test("parseFineTuneJobConfig() fills defaults and computes what follows from them", () => {
  const config = parseFineTuneJobConfig({
    ...REQUIRED,
    lora_r: 8,
    batch_size: 3,
    gradient_accumulation_steps: 5,
  });
  assert.equal(config.lora.scaling, 4);
  assert.equal(parseFineTuneJobConfig({ ...REQUIRED, use_rslora: true }).lora.scaling, 8);
  assert.equal(config.training.effectiveBatchSize, 15);
  assert.equal(config.job.outputDir, "runs/ember");
  assert.equal(config.job.adapterUri, "runs/ember/adapter");
  assert.equal(config.job.mergedUri, "runs/ember/merged");
  assert.equal(config.job.evalDataPath, null);
  assert.equal(config.lora.targetModules, "all-linear");
  assert.deepEqual(config.quantization, {
    loadIn4bit: false,
    loadIn8bit: false,
    quantType: "nf4",
    doubleQuant: true,
    computeDtype: "f32",
  });
  assert.deepEqual(config.training, {
    numTrainEpochs: 3,
    onBadLine: "fail",
    maxSteps: -1,
    maxLength: 512,
    allowSpecialTokens: false,
    batchSize: 3,
    evalBatchSize: 4,
    gradientAccumulationSteps: 5,
    gradientCheckpointing: "auto",
    learningRate: 2e-4,
    lrSchedulerType: "cosine",
    lrSchedulerKwargs: {},
    warmupSteps: 0.03,
    loraplusLrRatio: 1,
    weightDecay: 0,
    optim: "adamw_torch",
    sgdMomentum: 0,
    sgdNesterov: false,
    adamBeta1: 0.9,
    adamBeta2: 0.999,
    adamEpsilon: 1e-8,
    maxGradNorm: 1,
    neftuneNoiseAlpha: null,
    seed: 42,
    trainTestSplit: 0.1,
    loggingSteps: 1,
    numGenerationSamples: 0,
    exactMatch: false,
    evalStrategy: "steps",
    evalSteps: 0,
    metricForBestModel: "eval_loss",
    loadBestModelAtEnd: false,
    earlyStoppingPatience: 0,
    earlyStoppingThreshold: 0,
    lossWatchdogThreshold: null,
    lossWatchdogPatience: 3,
    reportTo: "none",
    samplePrompts: [],
    sampleSteps: 0,
    dataFormat: "auto",
    columnMapping: null,
    trainOn: "completions",
    packing: false,
    evalPacking: null,
    chatTemplatePath: null,
    effectiveBatchSize: 15,
  });
});

Deno.test("parseFineTuneJobConfig() takes one data path or several", () => {
  const wire = { base_model: "m", output_model_name: "n", training_data_path: ["a.jsonl"] };
  assert.equal(parseFineTuneJobConfig(wire).job.trainingDataPath, "a.jsonl");
  const many = { ...wire, training_data_path: ["a.jsonl", "b.csv"], eval_data_path: ["c"] };
  const { job } = parseFineTuneJobConfig(many);
  assert.deepEqual([job.trainingDataPath, job.evalDataPath], [["a.jsonl", "b.csv"], "c"]);
  const bad = issuesOf({ ...wire, training_data_path: 3, column_mapping: { prompt: 1 } });
  assert.deepEqual(bad.map(({ path, message }) => `${path}: ${message}`), [
    "training_data_path: must be a path or a list of paths: current value is 3",
    "column_mapping.prompt: must be text: current value is 1",
  ]);
});

Deno.test("parseFineTuneJobConfig() takes TRL's names for what is trained", () => {
  const wire = { base_model: "m", output_model_name: "n", training_data_path: "t" };
  const trainOn = (more: Record<string, unknown>) =>
    parseFineTuneJobConfig({ ...wire, ...more }).training.trainOn;
  assert.equal(trainOn({ completion_only_loss: false }), "all");
  assert.equal(trainOn({ assistant_only_loss: true }), "completions");
  assert.deepEqual(
    issuesOf({ ...wire, train_on: "last", assistant_only_loss: true }).map(({ message }) => message),
    [
      "is given twice, also as train_on: keep one of them",
    ],
  );
  assert.match(issuesOf({ ...wire, completion_only_loss: "yes" })[0]!.message, /^is not an option/);
});

Deno.test("parseFineTuneJobConfig() takes no_tracking for tracker none", () => {
  assert.equal(parseFineTuneJobConfig({ ...REQUIRED, no_tracking: true }).job.tracker, "none");
  assert.equal(parseFineTuneJobConfig({ ...REQUIRED, no_tracking: false }).job.tracker, "auto");
  assert.match(onlyMessage({ no_tracking: true, tracker: "sqlite", job_id: "a" }), /given twice|tracker/);
  assert.match(onlyMessage({ no_tracking: "yes" }), /^no_tracking: is not an option/);
});

Deno.test("parseFineTuneJobConfig() lists every problem at once", () => {
  const issues = issuesOf({ epohcs: 3, lora_r: 0, output_model_name: "x", training_data_path: "" });
  assert.deepEqual(issues.map(({ path, message }) => `${path}: ${message}`), [
    'epohcs: is not an option: did you mean "epochs"?',
    "base_model: is missing",
    'training_data_path: must not be empty: current value is ""',
    "lora_r: must be at least 1: current value is 0",
  ]);
});

Deno.test("parseFineTuneJobConfig() says what was found and what was wanted", () => {
  assert.equal(onlyMessage({ batch_size: "4" }), 'batch_size: must be a number: current value is "4"');
  assert.equal(onlyMessage({ batch_size: 1.5 }), "batch_size: must be a whole number: current value is 1.5");
  assert.equal(onlyMessage({ adam_beta2: 1 }), "adam_beta2: must be below 1: current value is 1");
  assert.equal(onlyMessage({ adam_epsilon: 0 }), "adam_epsilon: must be above 0: current value is 0");
  assert.equal(onlyMessage({ max_steps: 0 }), "max_steps: must be -1 or at least 1: current value is 0");
  assert.equal(
    onlyMessage({ learning_rate: Number.NaN }),
    "learning_rate: must be a number: current value is NaN",
  );
  assert.equal(
    onlyMessage({ warmup_steps: 1.5 }),
    "warmup_steps: must be below 1 (a share) or a whole number of steps: current value is 1.5",
  );
  for (const name of ["eval_steps", "save_steps", "sample_steps", "logging_steps"]) {
    assert.equal(
      onlyMessage({ [name]: 2.5 }),
      `${name}: must be below 1 (a share) or a whole number of steps: current value is 2.5`,
    );
  }
  assert.equal(onlyMessage({ logging_steps: 0 }), "logging_steps: must be above 0: current value is 0");
  assert.equal(
    onlyMessage({ lr_scheduler_type: "cosin" }),
    `lr_scheduler_type: must be one of ${SCHEDULE_TYPES.join(", ")}: ` +
      'current value is "cosin", did you mean "cosine"?',
  );
  assert.equal(
    onlyMessage({ target_modules: 3 }),
    'target_modules: must be "all-linear", a list of names or a regular expression: current value is 3',
  );
});

Deno.test("parseFineTuneJobConfig() takes PEFT's forms of targets and names what does not go together", () => {
  const { lora } = parseFineTuneJobConfig({
    ...REQUIRED,
    target_modules: ".*_proj",
    exclude_modules: ["o_proj"],
    rank_pattern: { q_proj: 4 },
    alpha_pattern: { q_proj: 2.5 },
  });
  assert.deepEqual([lora.targetModules, lora.excludeModules], [".*_proj", ["o_proj"]]);
  assert.deepEqual([lora.rankPattern, lora.alphaPattern], [{ q_proj: 4 }, { q_proj: 2.5 }]);
  assert.deepEqual([lora.layersToTransform, lora.layersPattern], [null, null]);
  const layers = { layers_to_transform: [0, 2] };
  assert.deepEqual(parseFineTuneJobConfig({ ...REQUIRED, ...layers }).lora.layersToTransform, [0, 2]);
  assert.match(
    onlyMessage({ ...layers, target_modules: ".*_proj" }),
    /^layers_to_transform: cannot narrow a reg/,
  );
  assert.match(onlyMessage({ layers_pattern: ["h"] }), /^layers_pattern: must come with layers_to_transform/);
  assert.match(onlyMessage({ rank_pattern: { q_proj: 0 } }), /^rank_pattern\.q_proj: must be at least 1/);
  assert.match(
    onlyMessage({ layers_to_transform: ["0-3"] }),
    /^layers_to_transform\.0: must be a (whole )?number/,
  );
});

Deno.test("parseFineTuneJobConfig() refuses names that would leave the runs folder", () => {
  for (const name of ["../x", "a/b", "", ".hidden", "-x"]) {
    assert.match(onlyMessage({ output_model_name: name }), /^output_model_name: must be letters, digits/);
  }
});

Deno.test("parseFineTuneJobConfig() refuses what this version does not do, with the reason", () => {
  assert.match(onlyMessage({ lora_dropout: 1 }), /^lora_dropout: .*below 1|less than 1|1/);
  assert.match(
    onlyMessage({ load_in_4bit: true, load_in_8bit: true }),
    /load_in_8bit: cannot be set beside load_in_4bit/,
  );
});

Deno.test("parseFineTuneJobConfig() takes 0 where 0 turns something off", () => {
  const off = { learning_rate: 0, max_grad_norm: 0, eval_steps: 0, train_test_split: 0, warmup_steps: 0 };
  const { training } = parseFineTuneJobConfig({ ...REQUIRED, ...off });
  assert.deepEqual(
    [
      training.learningRate,
      training.maxGradNorm,
      training.evalSteps,
      training.trainTestSplit,
      training.warmupSteps,
    ],
    [0, 0, 0, 0, 0],
  );
});

Deno.test("parseFineTuneJobConfig() knows the names of TRL and of the original service", () => {
  const { training, lora, job } = parseFineTuneJobConfig({
    ...REQUIRED,
    epochs: 1,
    max_seq_length: 64,
    per_device_train_batch_size: 2,
    grad_accum: 3,
    lr: 1e-3,
    lr_scheduler: "linear",
    warmup_ratio: 0.1,
    rank: 4,
    adapter: "runs/first/adapter",
    quantization: "none",
  });
  assert.deepEqual([training.numTrainEpochs, training.maxLength, training.batchSize], [1, 64, 2]);
  assert.deepEqual([training.gradientAccumulationSteps, training.learningRate, training.warmupSteps], [
    3,
    1e-3,
    0.1,
  ]);
  assert.deepEqual([training.lrSchedulerType, lora.r, job.adapterPath], ["linear", 4, "runs/first/adapter"]);
});

Deno.test("parseFineTuneJobConfig() refuses an option given under two names", () => {
  assert.equal(
    onlyMessage({ learning_rate: 1e-3, lr: 1e-4 }),
    "lr: is given twice, also as learning_rate: keep one of them",
  );
});

Deno.test("parseFineTuneJobConfig() refuses what is no object", () => {
  for (const input of [null, [], "base_model", 3]) {
    assert.match(issuesOf(input)[0]!.message, /^a configuration must be an object of options: it is /);
  }
});

Deno.test("parseFineTuneJobConfig() freezes to the leaves and keeps the caller's list apart", () => {
  const names = ["q_proj", "v_proj"];
  const config = parseFineTuneJobConfig({ ...REQUIRED, target_modules: names });
  names.push("k_proj");
  assert.deepEqual(config.lora.targetModules, ["q_proj", "v_proj"]);
  assert.throws(() => (config.lora.targetModules as string[]).push("o_proj"), TypeError);
  assert.throws(() => ((config.training as { batchSize: number }).batchSize = 9), TypeError);
  assert.throws(() => ((config as { job: unknown }).job = null), TypeError);
});

Deno.test("toWire() and parseFineTuneJobConfig() undo each other, through JSON too", () => {
  const config = parseFineTuneJobConfig({
    ...REQUIRED,
    output_dir: "out/",
    target_modules: ["q_proj"],
    memory_limit_gb: 2.5,
    eval_data_path: "eval.jsonl",
    lora_alpha: 7,
  });
  const wire = toWire(config);
  assert.equal(wire.output_dir, "out");
  assert.equal(wire.lora_alpha, 7);
  assert.deepEqual(Object.keys(wire), CONFIG_FIELDS.map(({ wireName }) => wireName));
  assert.deepEqual(parseFineTuneJobConfig(JSON.parse(JSON.stringify(wire))), config);
});

Deno.test("configJsonSchema() requires only what has no default and describes every option", () => {
  const schema = configJsonSchema() as {
    required: string[];
    properties: Record<string, { description?: string; default?: unknown; minimum?: number }>;
    additionalProperties: boolean;
  };
  assert.deepEqual(schema.required, ["base_model", "output_model_name", "training_data_path"]);
  assert.equal(schema.additionalProperties, false);
  assert.equal(schema.properties.lora_r!.default, 16);
  assert.equal(schema.properties.lora_r!.minimum, 1);
  for (const { wireName } of CONFIG_FIELDS) assert.ok(schema.properties[wireName]!.description, wireName);
});

Deno.test("CONFIG_FIELDS reads kinds, choices and null from the declarations", () => {
  const field = (name: string) => CONFIG_FIELDS.find(({ wireName }) => wireName === name)!;
  assert.equal(field("overwrite").kind, "boolean");
  assert.equal(field("learning_rate").kind, "number");
  assert.equal(field("memory_limit_gb").kind, "number");
  assert.equal(field("target_modules").kind, "list");
  assert.equal(field("layers_to_transform").kind, "numbers");
  assert.equal(field("rank_pattern").kind, "pairs");
  assert.equal(field("base_model").kind, "text");
  assert.deepEqual(field("save").choices, ["adapter", "merged", "both"]);
  assert.deepEqual([field("eval_data_path").nullable, field("seed").nullable], [true, false]);
  assert.deepEqual([field("base_model").required, field("output_dir").required], [true, false]);
});

Deno.test("CONFIG_FIELDS never gives two options the same name", () => {
  const names = CONFIG_FIELDS.flatMap(({ wireName, aliases }) => [wireName, ...aliases ?? []]);
  assert.deepEqual(names.filter((name, index) => names.indexOf(name) !== index), []);
});

Deno.test("a bucket says where the results go, and output_uri overrules it", () => {
  const places = (wire: Record<string, unknown>) => {
    const { job } = parseFineTuneJobConfig({ ...REQUIRED, ...wire });
    return [job.bucketUri, job.uploadUri];
  };
  assert.deepEqual(places({}), [null, null]);
  assert.deepEqual(places({ gcs_bucket: "my-bucket" }), ["gs://my-bucket", "gs://my-bucket/models/ember"]);
  assert.deepEqual(places({ gcs_bucket: "my-bucket", gcs_prefix: "/team/a/" }), [
    "gs://my-bucket/team/a",
    "gs://my-bucket/team/a/models/ember",
  ]);
  assert.deepEqual(places({ gcs_bucket: "my-bucket", output_uri: "s3://other/x/" }), [
    "gs://my-bucket",
    "s3://other/x",
  ]);
});

Deno.test("places that are none are refused by name", () => {
  const refused = (wire: Record<string, unknown>, issue: string) =>
    assert.throws(() => parseFineTuneJobConfig({ ...REQUIRED, ...wire }), {
      name: "ConfigError",
      message: issue,
    });
  refused(
    { gcs_bucket: "gs://my-bucket" },
    'gcs_bucket: must be the name of a bucket of Google Cloud Storage, without gs://: current value is "gs://my-bucket"',
  );
  refused({ gcs_prefix: "a" }, "gcs_prefix: must come with gcs_bucket, in which it is a folder");
  refused(
    { output_uri: "hf://owner/model" },
    "output_uri: must be gs://BUCKET/PATH, s3://BUCKET/PATH, az://CONTAINER/PATH or file:///PATH: " +
      'current value is "hf://owner/model"',
  );
  refused(
    { output_dir: "gs://my-bucket/x" },
    'output_dir: must be a folder of this machine, and output_uri the place in a bucket: current value is "gs://my-bucket/x"',
  );
});
