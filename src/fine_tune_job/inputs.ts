/**
 * What a job reads and checks before it needs a GPU, in the order of cost: output folder, model files, data.
 *
 * @module
 */
import { readAdapter } from "../checkpoint/adapter.ts";
import { loraSettings } from "../checkpoint/lora_settings.ts";
import type { Checkpoint } from "../checkpoint/resume.ts";
import { resumeIssues } from "../checkpoint/resume_match.ts";
import type { RunIdentity } from "../checkpoint/resume_record.ts";
import type { FineTuneJobConfig } from "../config.ts";
import { ChatTemplate } from "../data/chat_template.ts";
import { rowLengths } from "../data/token_rows.ts";
import { Tokenizer } from "../data/tokenizer.ts";
import { DataManager, type Dataset } from "../data_manager.ts";
import { ConfigError, ModelFormatError } from "../errors.ts";
import { readStopTokens } from "../generate/prompt.ts";
import { ONE_RANK } from "../distributed/communicator.ts";
import type { TrainingEvent } from "../job.ts";
import { type BaseModel, ModelManager } from "../model_manager.ts";
import type { ModelFamilies } from "../models/registry.ts";
import { checkPlaces, refuseUsed } from "../output_folder.ts";
import type { RunInputs } from "../prepared_run.ts";
import { chosenCheckpoint, runIdentity } from "../run_checkpoints.ts";
import { ownPrompts } from "../samples.ts";
import { fileAt, readText } from "../storage.ts";
import { transferEvents } from "../transfer_events.ts";
import { checkEvaluable, countSteps, evalPacksOf, packsOf } from "../trainer.ts";
import type { Closers, FineTuneJobDeps } from "./deps.ts";
import { overruledOptions } from "./overruled_options.ts";
import type { JobParts } from "./parts.ts";
import { residualOf, trainedPart } from "./residual.ts";
import { fetchSources, type JobSources, startingAdapter } from "./sources.ts";

/** Reads and checks. Files that stay open are closed by `closers`. @throws As `FineTuneJob.run()`. */
export async function* readInputs(
  config: FineTuneJobConfig,
  deps: FineTuneJobDeps,
  { dataFormats, modelFamilies }: Pick<JobParts, "dataFormats" | "modelFamilies">,
  closers: Closers,
): AsyncGenerator<TrainingEvent, RunInputs> {
  const { job, training } = config;
  const output = deps.files(job.outputDir), { ranks = ONE_RANK } = deps, leads = ranks.rank === 0;
  const { checkpoint, warnings: damaged } = await chosenCheckpoint(output, job);
  for (const message of damaged) yield { type: "warning", message };
  if (leads && checkpoint === null) await refuseUsed(output, job);
  if (leads) await checkPlaces(output, job, deps.dryRun === true);
  if (!leads) await ranks.gather(""); // rank 0 fills the cache that ranks of one machine share
  const sources = yield* fetchSources(config, deps, closers);
  yield { type: "phase", stage: "resolve", message: "reading the base model" };
  const opened = yield* openBase(config, deps, modelFamilies);
  if (leads) await ranks.gather("");
  const base = ModelManager.quantized(opened, config.quantization);
  closers.push(() => base.weights.close());
  const tokenizer = await Tokenizer.load(base.folder);
  const readStart = () => startingAdapter(sources);
  const read = checkpoint ? await readAdapter(checkpoint.folder) : await readStart();
  const saved = read && ModelManager.named(base, read);
  const lora = loraSettings(config, job.adapterPath === null ? null : saved);
  for (const message of overruledOptions(config, lora)) yield { type: "warning", message };
  if (job.adapterPath === null) ModelManager.checkLora(base, lora);
  const residual = residualOf(base, lora), start = saved && trainedPart(residual, saved);
  const chatTemplate = await templateOf(sources);
  yield { type: "phase", stage: "tokenise", message: "reading the data" };
  const { allowSpecialTokens } = training;
  const files = (uri: string) => fileAt(sources.files, uri);
  const { scratch, dataFiles, readings } = deps;
  const manager = new DataManager({
    files,
    tokenizer,
    chatTemplate,
    allowSpecialTokens,
    formats: dataFormats,
    ...(scratch ? { scratch } : {}),
    ...(dataFiles ? { dataFiles } : {}),
    ...(readings ? { readings } : {}),
  });
  const dataset = await loadData(manager, config, sources);
  closers.push(() => dataset.close());
  checkTokens(dataset, base);
  const source = chatTemplate ?? tokenizer.chatTemplate;
  const template = source === null ? null : new ChatTemplate(source, tokenizer);
  const stopTokenIds = await readStopTokens(base.folder, base.config, tokenizer, template);
  const isText = dataset.report.formats.every((format) => format === "text");
  const samplePrompts = ownPrompts(
    training.samplePrompts,
    tokenizer,
    isText ? null : template,
    base.config.maxPositionEmbeddings,
  );
  const packs = packsOf(dataset.train, training), evalPacks = evalPacksOf(dataset.eval, training);
  const data = { train: dataset.train, eval: dataset.eval, padId: tokenizer.padTokenId, packs, evalPacks };
  checkEvaluable(data, training);
  const steps = countSteps(data, training);
  // a plan that is compared with nothing need not read of every tensor: the base may lie far away
  const isCompared = checkpoint !== null || ranks.size > 1 || deps.dryRun !== true;
  const identity = await runIdentity(config, base, dataset, steps, isCompared);
  if (checkpoint) refuseOther(checkpoint, identity);
  for (const message of warnings(dataset, base)) yield { type: "warning", message };
  deps.signal?.throwIfAborted();
  return {
    opened,
    base,
    dataset,
    data,
    tokenizer,
    stopTokenIds,
    samplePrompts,
    checkpoint,
    start,
    readStart,
    lora,
    residual,
    steps,
    identity,
  };
}

/** Opens the base model, downloading what is missing of it. */
async function* openBase(
  { job }: FineTuneJobConfig,
  { files, findModel, signal }: FineTuneJobDeps,
  families: ModelFamilies,
): AsyncGenerator<TrainingEvent, BaseModel> {
  const notes: string[] = [], onNote = (note: string) => void notes.push(note);
  const models = new ModelManager(files, findModel, families);
  const opened = yield* transferEvents(
    { direction: "download", what: "the base model", signal },
    (onProgress, signal) =>
      models.open(job.baseModel, { bucketUri: job.bucketUri, onProgress, onNote, signal }),
  );
  for (const message of notes) yield { type: "warning", message };
  return opened;
}

async function templateOf({ files, chatTemplatePath }: JobSources): Promise<string | null> {
  if (chatTemplatePath === null) return null;
  const { folder, name } = fileAt(files, chatTemplatePath);
  return await readText(folder, name);
}

function loadData(
  manager: DataManager,
  { training }: FineTuneJobConfig,
  { trainingDataPath, evalDataPath }: JobSources,
): Promise<Dataset> {
  return manager.load({
    trainingDataPath,
    evalDataPath,
    trainTestSplit: training.trainTestSplit,
    dataFormat: training.dataFormat,
    columnMapping: training.columnMapping,
    onBadLine: training.onBadLine,
    trainOn: training.trainOn,
    maxLength: training.maxLength,
    seed: training.seed,
  });
}

/** @throws {ConfigError} With all that differs between the checkpoint's run and this one. */
function refuseOther({ record }: Checkpoint, identity: Omit<RunIdentity, "gpu">): void {
  const issues = resumeIssues(record, identity);
  if (issues.length > 0) throw new ConfigError(issues);
}

function warnings(dataset: Dataset, { config }: BaseModel): string[] {
  const found = [...dataset.warnings];
  const longest = [dataset.train, dataset.eval]
    .reduce((most, rows) => rowLengths(rows).reduce((longer, length) => Math.max(longer, length), most), 0);
  if (longest > config.maxPositionEmbeddings) {
    found.push(
      `rows of up to ${longest} tokens exceed the ${config.maxPositionEmbeddings} positions ` +
        "that the base model was trained on: lower max_length",
    );
  }
  return found;
}

/** Every id must have a row of the embedding: where there is none, the GPU would read another without a word. */
function checkTokens({ train, eval: held }: Dataset, { uri, config: { vocabSize } }: BaseModel): void {
  for (const rows of [train, held]) {
    for (const { inputIds } of rows) {
      const beyond = inputIds.find((id) => id >= vocabSize);
      if (beyond === undefined) continue;
      throw new ModelFormatError(
        `Cannot train the model in "${uri}": the tokenizer gives token id ${beyond} and the model knows ids below ` +
          `${vocabSize}; take the tokenizer.json that belongs to the model`,
      );
    }
  }
}
