/**
 * The options of a job by their names in files, REST bodies and (with dashes) on the command line.
 * Written by `deno task options` from the declarations; a test holds the two together.
 *
 * @module
 */

/** Options of a job as `parseFineTuneJobConfig` takes them; what is left out has its default. */
export interface FineTuneJobOptions {
  /** Base model: a folder, a GGUF file, OWNER/NAME on the Hub, or a URI (hf, gs, s3, az). */
  readonly base_model: string;
  /** Name of the new model; names the default output folder. */
  readonly output_model_name: string;
  /**
   * Training data: JSON Lines, JSON, CSV or Parquet; files by commas, a pattern (data/*.jsonl) or
   * hf://datasets/OWNER/NAME.
   */
  readonly training_data_path: string | readonly string[];
  /** Evaluation data; without it a share of the training data is held out. */
  readonly eval_data_path?: string | readonly string[] | null;
  /** Folder for adapter, merged model and logs. Default: runs/<output-model-name>. */
  readonly output_dir?: string;
  /** PEFT adapter folder to continue from. */
  readonly adapter_path?: string | null;
  /**
   * Name of the adapter; any but default is saved in a folder of that name below adapter, as PEFT does.
   * Default: default.
   */
  readonly adapter_name?: string;
  /** What to write at the end. Default: both. */
  readonly save?: "adapter" | "merged" | "both";
  /**
   * What load_in_4bit and load_in_8bit merge onto: the quantised values that were trained on, or the
   * model's own. Default: quantized.
   */
  readonly merge_base?: "quantized" | "original";
  /** Go on from a checkpoint in the output folder; auto takes the newest whole one, or starts anew. */
  readonly resume?: string | null;
  /**
   * Steps between two checkpoints, below 1 a share of all; 0 leaves it to the minutes, the end and an
   * interruption. Default: 0.
   */
  readonly save_steps?: number;
  /** Minutes between two checkpoints; 0 leaves it to the steps, the end and an interruption. Default: 5. */
  readonly save_minutes?: number;
  /** Checkpoints to keep; older ones are removed. Default: 2. */
  readonly save_total_limit?: number;
  /** Use the output folder even if it holds files. Default: false. */
  readonly overwrite?: boolean;
  /**
   * Which of several GPUs computes: by its power, or by a part of its name as doctor tells it. Default:
   * high-performance.
   */
  readonly gpu?: string;
  /** Refuse adapters that compute on the CPU. Default: false. */
  readonly require_gpu?: boolean;
  /** Form of the kernels; auto measures what the adapter is fastest at. Default: auto. */
  readonly variant?:
    | "auto"
    | "llvmpipe"
    | "llvmpipe_wide"
    | "software"
    | "hardware"
    | "register64"
    | "shared64"
    | "shared128"
    | "shared_half"
    | "subgroup";
  /** Measure the adapter again, whatever earlier runs found. Default: false. */
  readonly retune?: boolean;
  /** Lost GPUs that a run replaces, going on from its last checkpoint, before it fails. Default: 3. */
  readonly max_device_recoveries?: number;
  /** Refuse a run whose memory plan is larger than this many GB (10^9 bytes). */
  readonly memory_limit_gb?: number | null;
  /**
   * Bucket of Google Cloud Storage: base model and data that are not on this machine are taken from it,
   * results go to models/<output-model-name> in it.
   */
  readonly gcs_bucket?: string | null;
  /** Folder in that bucket below which all of this lies. */
  readonly gcs_prefix?: string | null;
  /**
   * Folder in a bucket that the results are copied to at the end: gs://, s3://, az://. Default: none, or
   * models/<output-model-name> in gcs-bucket.
   */
  readonly output_uri?: string | null;
  /**
   * Copy checkpoints there while training goes on, so that --resume auto goes on from them on any
   * machine. Default: true.
   */
  readonly upload_checkpoints?: boolean;
  /** Files of plugins to load: TypeScript or JavaScript that may do what this command may. */
  readonly plugins?: readonly string[];
  /** What trains: Lowrank itself, or the trainer of a plugin. Default: lowrank. */
  readonly trainer?: string;
  /** Name under which the job's state and progress are recorded; without it nothing is. */
  readonly job_id?: string | null;
  /** Where they are recorded; auto takes Firestore if its project is named, else SQLite. Default: auto. */
  readonly tracker?: string;
  /** SQLite file of the records. Default: runs/jobs.db. */
  readonly tracker_path?: string;
  /** Project of Google Cloud whose Firestore keeps the records. */
  readonly firestore_project?: string | null;
  /** Collection of the records, a document a job. Default: jobs. */
  readonly firestore_collection?: string;
  /** Rank of the update. Default: 16. */
  readonly lora_r?: number;
  /** Strength of the update; only alpha / r matters. Default: 32. */
  readonly lora_alpha?: number;
  /** Scale the update by alpha / sqrt(r) in place of alpha / r, for high ranks. Default: false. */
  readonly use_rslora?: boolean;
  /**
   * Train the magnitude of each output apart from its direction (DoRA): slower, better at low ranks.
   * Default: false.
   */
  readonly use_dora?: boolean;
  /** Share of the update's input that a training step leaves out. Default: 0. */
  readonly lora_dropout?: number;
  /**
   * Biases to train beside the updates: all, or those of maps with one; only some families have any.
   * Default: none.
   */
  readonly bias?: "none" | "all" | "lora_only";
  /**
   * Start of the update: drawn (true, false, gaussian, orthogonal), or the first part of the base weight
   * (pissa, pissa_niter_N for N rounds of a quicker search, olora). Default: true.
   */
  readonly init_lora_weights?: boolean | string;
  /**
   * Linear layers that get an update: all-linear, names or paths such as q_proj,v_proj, or a regular
   * expression. Default: all-linear.
   */
  readonly target_modules?: string | readonly string[];
  /** Those of them that get none after all: names, paths or a regular expression. */
  readonly exclude_modules?: string | readonly string[] | null;
  /** Numbers of the layers whose maps get an update, from 0; all without it. */
  readonly layers_to_transform?: readonly number[] | null;
  /** What stands before the number of a layer in module paths; any name without it. */
  readonly layers_pattern?: readonly string[] | null;
  /** Modules that are trained themselves and saved whole, such as lm_head,embed_tokens. */
  readonly modules_to_save?: readonly string[] | null;
  /** Ranks that differ from lora_r, by names, path ends or regular expressions: q_proj=8,mlp.up_proj=32. */
  readonly rank_pattern?: Readonly<Record<string, number>>;
  /** Alphas that differ from lora_alpha, by the same. */
  readonly alpha_pattern?: Readonly<Record<string, number>>;
  /** Keep the linear maps of the base model in 4 bits (NF4). Default: false. */
  readonly load_in_4bit?: boolean;
  /** Keep the linear maps of the base model in 8 bits, a scale a row. Default: false. */
  readonly load_in_8bit?: boolean;
  /** 4-bit code. Default: nf4. */
  readonly quant_type?: "nf4";
  /** Quantise the scales of 4-bit weights too: 4.13 bits a weight in place of 4.5. Default: true. */
  readonly double_quant?: boolean;
  /** Element type of the arithmetic. Default: f32. */
  readonly compute_dtype?: "f32";
  /** Passes over the training data. Default: 3. */
  readonly num_train_epochs?: number;
  /** Optimizer steps; -1 leaves it to the epochs. Default: -1. */
  readonly max_steps?: number;
  /** Longest example in tokens; longer ones are cut. Default: 512. */
  readonly max_length?: number;
  /** Let the text of special tokens inside messages be those tokens, not text. Default: false. */
  readonly allow_special_tokens?: boolean;
  /** Examples of one forward and backward pass. Default: 4. */
  readonly batch_size?: number;
  /** Examples of one forward pass of an evaluation. Default: 4. */
  readonly eval_batch_size?: number;
  /** Passes whose gradients are summed before a step. Default: 1. */
  readonly gradient_accumulation_steps?: number;
  /**
   * Compute activations again in the backward pass to save memory; auto does it for as few blocks as fit.
   * Default: auto.
   */
  readonly gradient_checkpointing?: "auto" | "on" | "off";
  /** Largest learning rate of the schedule. Default: 0.0002. */
  readonly learning_rate?: number;
  /** Course of the learning rate after the warm-up. Default: cosine. */
  readonly lr_scheduler_type?:
    | "linear"
    | "cosine"
    | "cosine_with_restarts"
    | "polynomial"
    | "constant"
    | "constant_with_warmup"
    | "inverse_sqrt"
    | "reduce_lr_on_plateau"
    | "cosine_with_min_lr"
    | "cosine_warmup_with_min_lr"
    | "warmup_stable_decay"
    | "greedy";
  /** Options of the schedule, as transformers and torch name them, such as num_cycles=2. */
  readonly lr_scheduler_kwargs?: Readonly<Record<string, number | boolean | string>>;
  /** Steps of rising learning rate; below 1 a share of all steps. Default: 0.03. */
  readonly warmup_steps?: number;
  /**
   * LoRA+: how many times as fast as A the factor B learns; 16 is usual, with a lower learning rate.
   * Default: 1.
   */
  readonly loraplus_lr_ratio?: number;
  /** Weight decay: decoupled for AdamW, part of the gradient for SGD, as in torch. Default: 0. */
  readonly weight_decay?: number;
  /** Optimizer. Default: adamw_torch. */
  readonly optim?: "adamw_torch" | "sgd";
  /** Momentum of SGD. Default: 0. */
  readonly sgd_momentum?: number;
  /** Nesterov's form of SGD's momentum. Default: false. */
  readonly sgd_nesterov?: boolean;
  /** Decay of AdamW's first moment. Default: 0.9. */
  readonly adam_beta1?: number;
  /** Decay of AdamW's second moment. Default: 0.999. */
  readonly adam_beta2?: number;
  /** Added to the root of AdamW's second moment. Default: 1e-8. */
  readonly adam_epsilon?: number;
  /** Longest gradient (L2 over all tensors); 0 turns clipping off. Default: 1. */
  readonly max_grad_norm?: number;
  /** Strength of noise on embedded tokens while training (NEFTune); 5 is usual. */
  readonly neftune_noise_alpha?: number | null;
  /** Seed of initial weights, shuffling, split and noise. Default: 42. */
  readonly seed?: number;
  /** Share of the training data held out for evaluation; 0 holds out nothing. Default: 0.1. */
  readonly train_test_split?: number;
  /** Steps between two reports; below 1 a share of all steps. Default: 1. */
  readonly logging_steps?: number;
  /**
   * Evaluations between that before and that after: every eval_steps, after every epoch, or none.
   * Default: steps.
   */
  readonly eval_strategy?: "no" | "steps" | "epoch";
  /**
   * Steps between two evaluations, below 1 a share of all steps; 0 evaluates before and after only.
   * Default: 0.
   */
  readonly eval_steps?: number;
  /** What tells the best evaluation. Default: eval_loss. */
  readonly metric_for_best_model?: "eval_loss" | "eval_mean_token_accuracy";
  /** Keep a checkpoint of the best evaluation and save its weights, not the last ones. Default: false. */
  readonly load_best_model_at_end?: boolean;
  /** Evaluations in a row without a better metric that end the run; 0 never ends it early. Default: 0. */
  readonly early_stopping_patience?: number;
  /** By how much a metric must be better to count for early stopping. Default: 0. */
  readonly early_stopping_threshold?: number;
  /**
   * Loss in nats beyond which a run has diverged. Default: twice that of guessing, and twice the least so
   * far.
   */
  readonly loss_watchdog_threshold?: number | null;
  /** Reports in a row beyond the threshold that fail a run; 0 lets it go on. Default: 3. */
  readonly loss_watchdog_patience?: number;
  /**
   * Write TensorBoard's event files too, beside metrics.jsonl, trainer_state.json and report.html.
   * Default: none.
   */
  readonly report_to?: "none" | "tensorboard";
  /** Held-out prompts answered before and after training and shown side by side. Default: 0. */
  readonly num_generation_samples?: number;
  /** Prompts of your own, answered with the held-out ones; of a model that chats, what a user says. */
  readonly sample_prompts?: readonly string[];
  /**
   * Steps between two rounds of answers, below 1 a share of all steps; 0 asks before and after only.
   * Default: 0.
   */
  readonly sample_steps?: number;
  /** Answer every held-out prompt before and after training and count exact answers. Default: false. */
  readonly exact_match?: boolean;
  /** How to read the examples; auto goes by the first one of each file. Default: auto. */
  readonly data_format?: string;
  /** Columns by other names than the format's: prompt=question,completion=answer. */
  readonly column_mapping?: Readonly<Record<string, string>> | null;
  /** Refuse data with lines that cannot be used, or leave those lines out and tell which. Default: fail. */
  readonly on_bad_line?: "fail" | "skip";
  /**
   * What is learnt: every answer, prompts too, or the last answer; plain text is learnt whole. Default:
   * completions.
   */
  readonly train_on?: "completions" | "all" | "last";
  /** Put short examples into one row of max_length tokens, each apart from the others. Default: false. */
  readonly packing?: boolean;
  /** Pack the rows of evaluations, too. Default: as packing. */
  readonly eval_packing?: boolean | null;
  /** Jinja file to use in place of the model's chat template. */
  readonly chat_template_path?: string | null;
  /** Both of load_in_4bit and load_in_8bit in one word, as the original service had it. */
  readonly quantization?: "none" | "4bit" | "8bit";
}
