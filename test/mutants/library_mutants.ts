/**
 * Faults in layers, decoder, optimizer, data and files.
 *
 * @module
 */
import { inFile, type Mutant } from "./mutant.ts";

const LAYERS: readonly Mutant[] = [
  ...inFile("src/nn/lora_linear.ts", ["test/nn/layers_test.ts"], [
    ["backward forgets alpha / rank", "inner: out,\n      scale: scaling,", "inner: out,\n      scale: 1,"],
    [
      "A's gradient from the wrong side",
      "left: run.operand(v),\n      right: run.operand(this.#seen(run, x))",
      "left: run.operand(u!),\n      right: run.operand(this.#seen(run, x))",
    ],
  ]),
  ...inFile("src/generate/cached_decoder.ts", ["test/generate/generator_test.ts"], [
    ["generation computes with old norms", "await this.#rowNorms?.refresh();", ""],
  ]),
  ...inFile("src/model_manager/lora_targets.ts", ["test/golden/adapter_kinds_test.ts"], [
    [
      "biases of maps without an update go untrained",
      '(bias === "all" || (bias',
      '(bias === "all" && hasUpdate || (bias',
    ],
  ]),
  ...inFile("src/nn/magnitude.ts", ["test/nn/magnitude_test.ts"], [
    ["norms with half of W's part", "inner: cols,\n      scale: 2,", "inner: cols,\n      scale: 1,"],
    ["magnitude's gradient without z", "grad, dy, z, norms", "grad, dy, z: dy, norms"],
  ]),
  ...inFile("src/nn/dropout.ts", ["test/nn/dropout_test.ts"], [
    [
      "gradient passes what dropout left out",
      "apply(run, dx, dropped, dropout, run.draws!, 1)",
      "apply(run, dx, dropped, { ...dropout, rate: 0 }, run.draws!, 1)",
    ],
  ]),
  ...inFile("src/nn/step_recorder.ts", ["test/nn/layers_test.ts"], [
    ["staged copies outlive their tensor", "this.#staged.delete(tensor);", ""],
  ]),
  ...inFile("src/nn/lm_head.ts", ["test/nn/layers_test.ts"], [
    [
      "head's gradient of the last shard alone",
      'shards.length === 1 ? "set" : "accumulate"',
      '"set" as "set" | "accumulate"',
    ],
    ["every shard begins at token 0", "first_id: firstRow,", "first_id: 0,"],
  ]),
  ...inFile("src/nn/frozen_matrix.ts", ["test/nn/frozen_matrix_test.ts"], [
    ["pieces of a weight overwrite the texture's first rows", "origin: [0, firstRow]", "origin: [0, 0]"],
    [
      "pieces of a weight overwrite the buffer's first rows",
      "buffer!, firstRow * cols * 4, values",
      "buffer!, 0, values",
    ],
  ]),
];

const MODEL: readonly Mutant[] = [
  ...inFile("src/models/decoder_block.ts", ["test/models/family_decoder_test.ts"], [
    ["gradients are turned on, not back", "headDim, direction: -1 }", "headDim, direction: 1 }"],
    ["gate and up change places", "[gate, up] = parts", "[up, gate] = parts"],
    ["heads' norms are passed by", "normedQ?.y ?? plainQ", "plainQ"],
  ]),
  ...inFile("src/nn/residual_branch.ts", ["test/models/family_decoder_test.ts"], [
    ["a branch without its residual path", "forward(run, x, stream);", "forward(run, x);"],
  ]),
  ...inFile("src/nn/projections.ts", ["test/models/family_decoder_test.ts"], [
    ["gradients of one input replace each other", 'i === 0 ? "set" : "accumulate"', '"set"'],
    ["the parts of a fused map start at the first", "x_first: first }", "x_first: 0 }"],
  ]),
  ...inFile("src/models/families/gemma2.ts", ["test/models/families_test.ts"], [
    ["the other half of the layers slides", "layer % 2 === 0", "layer % 2 === 1"],
  ]),
  ...inFile("src/models/trainable_model.ts", ["test/models/trainable_model_test.ts"], [
    [
      "labelled rows beyond whole chunks go unlearned",
      "Math.ceil(labelled / perChunk)",
      "Math.floor(labelled / perChunk)",
    ],
  ]),
  ...inFile("src/models/rope.ts", ["test/models/rope_test.ts"], [
    ["frequencies fall half as fast", "theta ** (-2 * i / rotaryDim)", "theta ** (-i / rotaryDim)"],
    ["slow frequencies are not stretched", "if (turns < low) return frequency / factor;", ""],
    ["yarn slows fast pairs and keeps slow ones", "(pair - first) / width", "(last - pair) / width"],
    [
      "a row that fills the first context takes the angles of longer ones",
      "bound < longest",
      "bound <= longest",
    ],
  ]),
  ...inFile("src/models/rope_config.ts", ["test/models/families_test.ts"], [
    ["yarn scales by one of its two numbers", "growth(mscale) / growth(mscaleAll)", "growth(mscale)"],
  ]),
  ...inFile("src/models/batch_inputs.ts", ["test/golden/families_test.ts"], [
    ["rows of every length take the angles of short ones", "first + position", "position"],
  ]),
  ...inFile("src/generate/generator.ts", ["test/generate/generator_test.ts"], [
    ["keys turned by other angles are taken up again", "for (const ids of this.#held) ids.length = 0;", ""],
  ]),
  ...inFile("src/models/family_facts.ts", ["test/models/families_test.ts"], [
    ["the map after attention loses its bias", '["q", "k", "v", "o"],', '["q", "k", "v"],'],
  ]),
  ...inFile("src/models/registry.ts", ["test/golden/eyes_test.ts"], [
    ["a checkpoint's other names are not looked for", "infos.has(`${otherNames.embedding}.weight`)", "false"],
  ]),
  ...inFile("src/checkpoint/adapter_targets.ts", ["test/checkpoint/adapter_targets_test.ts"], [
    ["an adapter for text targets eyes too", "`.*\\b${within}\\..*\\b(?:", "`.*\\b(?:"],
  ]),
];

const OPTIMIZER: readonly Mutant[] = [
  ...inFile("src/optim/pool_update.ts", ["test/optim/adamw_test.ts"], [
    ["norm of the last chunk alone", "first_partial: i * PARTIALS", "first_partial: 0"],
  ]),
  ...inFile("kernels/adamw/kernel.ts", ["test/kernels/adamw_test.ts", "test/optim/adamw_test.ts"], [
    ["first moment without its correction", "learningRate / (1 - beta1 ** step)", "learningRate"],
  ]),
  ...inFile("src/nn/parameter_pool.ts", ["test/optim/adamw_test.ts"], [
    ["rates lie a parameter too early", "first, first + count);", "0, first);"],
  ]),
  ...inFile("src/optim/optimizer.ts", ["test/optim/loraplus_test.ts"], [
    ["LoRA+ hastens A", 'name.includes(".lora_B.")', 'name.includes(".lora_A.")'],
  ]),
  ...inFile("src/checkpoint/plain_form.ts", ["test/checkpoint/plain_form_test.ts"], [
    ["what the run began with is added, not taken out", "= -start[", "= start["],
  ]),
  ...inFile("src/checkpoint/target_modules.ts", ["test/checkpoint/target_modules_test.ts"], [
    ["exclusions are passed by", "isTarget(path) && !isExcluded(path)", "isTarget(path)"],
    ["names match in the middle of a word", "path.endsWith(`.${entry}`)", "path.endsWith(entry)"],
  ]),
  ...inFile("src/optim/singular.ts", ["test/optim/init_test.ts"], [
    ["a basis that never grows", "restLength(vector, rest) <= enough;", "vector.length > 0;"],
  ]),
  ...inFile("src/optim/schedule.ts", ["test/optim/schedule_test.ts"], [
    ["warmup one step ahead", "return step / warmup;", "return (step + 1) / warmup;"],
    [
      "cosine falls from the first step",
      "const progress = (step - warmup) / Math.max(1, totalSteps - warmup);",
      "const progress = step / Math.max(1, totalSteps - warmup);",
    ],
  ]),
  ...inFile("src/optim/metric_schedule.ts", ["test/optim/golden_optim_test.ts"], [
    [
      "a rate falls one evaluation early",
      "if (this.#state.bad <= patience) return;",
      "if (this.#state.bad < patience) return;",
    ],
    [
      "a rate does not wait after a fall",
      "this.#set({ learning_rate, bad: 0, cooldown });",
      "this.#set({ learning_rate, bad: 0 });",
    ],
  ]),
  ...inFile("kernels/sgd/step.wgsl", ["test/kernels/sgd_test.ts"], [
    ["decay is forgotten by SGD", "clip * grads[i] + decay * p[i]", "clip * grads[i]"],
    [
      "Nesterov looks ahead by the old momentum",
      "g + momentum * m_new, NESTEROV",
      "g + momentum * g, NESTEROV",
    ],
  ]),
  ...inFile("kernels/noise/add.wgsl", ["test/kernels/noise_test.ts"], [
    ["noise lies on padding", "if (position >= length) { return; }", ""],
    ["noise of every step is the same", "pair, noise[2])", "pair, 1u)"],
  ]),
  ...inFile("src/trainer/judgement.ts", ["test/trainer/judgement_test.ts"], [
    [
      "a gain below the threshold is no best",
      "if (gain <= 0) return false;",
      "if (gain <= threshold) return false;",
    ],
  ]),
  ...inFile("src/fine_tune_job/recovery.ts", ["test/fine_tune_job/device_loss_test.ts"], [
    ["one device more than may be lost", "if (recovery <= most) {", "if (recovery <= most + 1) {"],
  ]),
  ...inFile("src/fine_tune_job/gpu_trainer.ts", ["test/fine_tune_job/device_loss_test.ts"], [
    [
      "a lost device is followed by the start the run began with",
      "isBegun ? await fromLastCheckpoint(inputs, output) : inputs",
      "inputs",
    ],
  ]),
  ...inFile("src/run_progress.ts", ["test/fine_tune_job/device_loss_test.ts"], [
    [
      "a lost device goes unrecorded",
      "this.recoveries.push({ at: new Date().toISOString(), message, step });",
      "",
    ],
  ]),
  ...inFile("src/trainer/trainer_data.ts", ["test/trainer_test.ts", "test/train/packing_test.ts"], [
    [
      "shares of all steps are rounded down",
      "Math.ceil(setting * totalSteps)",
      "Math.floor(setting * totalSteps)",
    ],
    ["eval_packing: false does not count", "evalPacking ?? packing", "evalPacking || packing"],
  ]),
  ...inFile("src/memory_plan.ts", ["test/memory_plan_test.ts"], [
    ["moments are planned that nobody keeps", "model.pool.momentCount * adapter", "2 * adapter"],
  ]),
  ...inFile("src/storage/local_lock.ts", ["test/storage/folder_contract_test.ts"], [
    [
      "folders made for a lock stay",
      "for (const folder of created) {",
      "for (const folder of created.slice(9)) {",
    ],
  ]),
  ...inFile("src/fine_tune_job/overruled_options.ts", ["test/fine_tune_job/adapter_path_test.ts"], [
    ["options that were not set are told", "|| given === unset", ""],
  ]),
  ...inFile("src/storage/upload.ts", ["test/storage/storage_contract_test.ts"], [
    [
      "an upload that breaks off forgets what it sent",
      "error instanceof StorageInterruptedError || signal?.aborted",
      "false",
    ],
  ]),
  ...inFile("src/storage/part_sending.ts", ["test/storage/storage_contract_test.ts"], [
    [
      "what an earlier process sent is not summed",
      "at < offset; at += parts.partBytes",
      "at < 0; at += parts.partBytes",
    ],
  ]),
  ...inFile("src/storage/part_sending.ts", ["test/storage/part_sending_test.ts"], [
    [
      "parts that the store has are sent again",
      "if (await parts.holds(part))",
      "if (await parts.holds(part) && false)",
    ],
    ["a part that failed does not stop the others", "failed.abort(error)).then", "void error).then"],
  ]),
  ...inFile("src/storage/download.ts", ["test/storage/hub_test.ts"], [
    [
      "damaged downloads are shown",
      "checkReceived(`${store.uri}/${file.name}`, file, size, digest);",
      "",
    ],
  ]),
  ...inFile("src/storage/local_store.ts", ["test/storage/storage_contract_test.ts"], [
    [
      "two files are mixed in one upload",
      "isResumed ? guarded(() => holdsBytes(temporary, part)) : false",
      "isResumed",
    ],
    [
      "a write for new names replaces a file",
      "await Deno.link(temporary, attempt.uri);",
      "await Deno.copyFile(temporary, attempt.uri);",
    ],
  ]),
  ...inFile("src/job_tracker/queued.ts", ["test/job_tracker/queued_test.ts"], [
    ["states give way to progress", "this.#line.splice(Math.max(0, minor), 1);", "this.#line.splice(0, 1);"],
    ["what is in line at the end is not counted", "this.#dropped += left;", ""],
  ]),
  ...inFile("src/tracked_run.ts", ["test/tracked_run_test.ts"], [
    ["a stopped run counts as failed", "if (signal?.aborted) tracker.markCancelled();\n    else ", ""],
  ]),
  ...inFile("src/crc32c.ts", ["test/crc32c_test.ts"], [
    ["sums are joined as if the second were empty", "(sum ^ second)", "(first ^ second)"],
  ]),
  ...inFile("src/crc32c.ts", ["test/logs/tensorboard_test.ts"], [
    ["records' sums have no mask", "+ 0xa282ead8", "+ 0"],
  ]),
  ...inFile("src/optim/init.ts", ["test/optim/init_test.ts"], [
    ["A drawn for its rank, not its width", "1 / Math.sqrt(inFeatures)", "1 / Math.sqrt(rank)"],
  ]),
  ...inFile("src/random.ts", ["test/random_test.ts"], [
    ["shuffle that leaves nothing in place", "word % (last + 1)", "word % last"],
  ]),
];

const DATA: readonly Mutant[] = [
  ...inFile("src/data/collate.ts", ["test/data/collate_test.ts"], [
    ["targets are not shifted", "labels.subarray(1)", "labels"],
    ["padding counts as tokens", "lengths[row] = start + ids.length;", "lengths[row] = length;"],
  ]),
  ...inFile("src/data/pack.ts", ["test/data/pack_test.ts"], [
    [
      "a row goes where it leaves the most room",
      ">= least ? 2 * node : 2 * node + 1",
      ">= least && this.#largest[2 * node + 1]! < least ? 2 * node : 2 * node + 1",
    ],
  ]),
  ...inFile("src/data/json_array.ts", ["test/data/json_array_test.ts"], [
    [
      "a quote after a backslash ends the text",
      "if (escaped) escaped = false;",
      "if (escaped && byte !== QUOTE) escaped = false;",
    ],
  ]),
  ...inFile("src/data/reading.ts", ["test/data_manager_test.ts"], [
    [
      "rows of one conversation on both sides of the split",
      "this.exampleOfRow.push(this.hashes.length);",
      "this.exampleOfRow.push(this.exampleOfRow.length);",
    ],
  ]),
  ...inFile("src/data/mask.ts", ["test/data/mask_test.ts"], [
    ["the question is trained too", "return { start: header.length, end:", "return { start: 0, end:"],
    ["turns of weight 0 are trained where the template marks them", "isTrained(answers[i]!) && (", "("],
    [
      "the end of an answer is not trained",
      "marked ? header.length + end : text.length",
      "marked ? header.length + end - 1 : text.length",
    ],
  ]),
  ...inFile("src/data/epoch_sampler.ts", ["test/data/epoch_sampler_test.ts"], [
    ["each epoch in the same order", "sequence: epoch }", "sequence: 0 }"],
  ]),
];

const FILES: readonly Mutant[] = [
  ...inFile("src/checkpoint/merge.ts", ["test/checkpoint/merge_test.ts"], [
    ["magnitudes are left out of merged weights", "if (magnitude) lengthen(sums, magnitude[row]!);", ""],
    ["merged without alpha / rank", "scaling * loraB[row * rank + k]!", "loraB[row * rank + k]!"],
    [
      "pieces are merged with the first rows of B",
      "loraB.subarray(firstRow * rank, end * rank)",
      "loraB.subarray(0, (end - firstRow) * rank)",
    ],
  ]),
  ...inFile("src/config/lora_kind.ts", ["test/checkpoint/adapter_test.ts"], [
    ["scaling without the rank", "alpha / (useRslora ? Math.sqrt(rank) : rank)", "alpha"],
    ["rank-stabilised scaling without the root", "Math.sqrt(rank) : rank", "rank : rank"],
  ]),
  ...inFile("src/quant/float16.ts", ["test/quant/float16_test.ts"], [
    ["ties round up, not to even", "(1 << (shift - 1)) - 1 + odd)", "(1 << (shift - 1)))"],
  ]),
  ...inFile("src/checkpoint/safetensors_header.ts", ["test/checkpoint/safetensors_test.ts"], [
    ["overlapping tensors are believed", "if (begin < end) {", "if (begin < 0) {"],
    ["header ends where its text does", "Math.ceil(json.length / 8) * 8", "json.length"],
  ]),
  ...inFile("src/checkpoint/resume_record.ts", ["test/checkpoint/resume_test.ts"], [
    [
      "a damaged checkpoint is believed",
      "if (checksum !== await sha256(JSON.stringify(content))) {",
      "if (checksum === undefined) {",
    ],
  ]),
];

const SHARED_TRAINING = ["test/distributed/shared_training_test.ts"];

const RANKS: readonly Mutant[] = [
  ...inFile("src/trainer.ts", SHARED_TRAINING, [
    ["every rank takes every micro-batch", "if (i % size === rank) {", "if (i % size >= 0) {"],
  ]),
  ...inFile("src/trainer/step_exchange.ts", SHARED_TRAINING, [
    [
      "every rank brings the losses of the steps before",
      "if (this.#ranks.rank > 0) this",
      "if (this.#ranks.size < 0) this",
    ],
    ["a rank that is told to stop stops alone", "stops ? 1 : 0]", "0]"],
  ]),
  ...inFile("src/fine_tune_job/agreement.ts", ["test/fine_tune_job/agreement_test.ts"], [
    [
      "options of ranks may differ",
      "for (const name of Object.keys(lead.identity.config)) {",
      "for (const name of []) {",
    ],
    ["parameters of ranks may differ", "if (odd === 0) return;", "if (odd >= 0) return;"],
  ]),
  ...inFile("server/launchers/kubernetes.ts", ["test/server/launchers_test.ts"], [
    ["a log that is read again is told again", "if (++line <= log.lines) continue;", "line++;"],
  ]),
];

export const LIBRARY_MUTANTS: readonly Mutant[] = [
  ...[...LAYERS, ...MODEL, ...OPTIMIZER],
  ...[...DATA, ...FILES, ...RANKS],
];
