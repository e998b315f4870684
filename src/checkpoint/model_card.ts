/**
 * README.md of an adapter or a merged model: front matter that the Hugging Face Hub reads, and the run's numbers.
 *
 * @see https://huggingface.co/docs/hub/model-cards
 * @module
 */

import type { MergeBase, MergedLosses } from "../job.ts";
import { type ReadableFolder, readText } from "../storage.ts";

/** The file that a model's page is made of. */
export const MODEL_CARD_FILE = "README.md";

/** Licence fields of a card, as its front matter spells them. */
export interface LicenseFields {
  readonly license: string;
  /** With `license: other`, what it is called and where it stands. */
  readonly license_name?: string;
  readonly license_link?: string;
}

/** A file the model was trained or evaluated on. */
export interface CardDataFile {
  readonly name: string;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
  readonly examples: number;
}

/** Everything a card says. */
export interface ModelCardFacts {
  readonly kind: "adapter" | "merged";
  /** Title of the card. */
  readonly name: string;
  /** Hub id or folder of the base model. */
  readonly baseModel: string;
  /** Null if the base does not tell. */
  readonly baseLicense: LicenseFields | null;
  /** Mean loss per labelled token of the evaluation set, nats; null without evaluation. */
  readonly evalLossBefore: number | null;
  readonly evalLossAfter: number | null;
  /** Format that the base's linear maps were trained in, such as `nf4_double` or `Q4_1`; null for plain values. */
  readonly baseFormat: string | null;
  /** What merging changed: mean losses of the same rows; null where nothing was merged or quantised. */
  readonly merged: {
    readonly merge_base: MergeBase;
    readonly rows: number;
    readonly tokens: number;
    readonly loss: MergedLosses;
  } | null;
  /** Optimizer steps. */
  readonly steps: number;
  readonly epochs: number;
  /** Tokens seen while training, padding excluded. */
  readonly tokens: number;
  readonly effectiveBatchSize: number;
  readonly learningRate: number;
  /** Name of the schedule, such as `cosine`. */
  readonly schedule: string;
  /** Such as `LoRA`. */
  readonly method: string;
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Names of the adapted linear maps, or `all-linear`. */
  readonly targetModules: string | readonly string[];
  /** What is special about the updates, such as `rank_pattern q_proj=4`. */
  readonly targetNotes: readonly string[];
  readonly seed: number;
  readonly trainFile: CardDataFile;
  readonly evalFile: CardDataFile | null;
  /** The GPU, and whether it is emulated in software. */
  readonly device: { readonly name: string; readonly software: boolean };
  /** Wall time of training, seconds. */
  readonly seconds: number;
  /** Version by program, such as `{ Lowrank: "0.1.0", Deno: "2.9.6" }`. */
  readonly versions: Readonly<Record<string, string>>;
}

/** The card's text. The same facts give the same text. */
export async function modelCard(facts: ModelCardFacts): Promise<string> {
  const { writeFrontMatter } = await import("./front_matter.ts");
  const { name, baseModel, kind } = facts;
  const what = kind === "adapter" ? "is a LoRA adapter for" : "was made by merging a LoRA adapter into";
  return [
    writeFrontMatter(frontMatter(facts)),
    `# ${line(name)}`,
    `This model ${what} ${code(baseModel)}, fine-tuned with Lowrank.`,
    `## Result\n\n${[result(facts), ...mergedResult(facts)].join("\n\n")}`,
    `## How to load it\n\n${loading(facts)}`,
    `## Training\n\n${table(trainingRows(facts))}`,
    `## Versions\n\n${
      Object.entries(facts.versions).map(([of, version]) => `- ${of} ${version}`).join("\n")
    }`,
  ].join("\n\n") + "\n";
}

/**
 * The licence that a model folder's own card states; null if it has no card or the card states none.
 *
 * @throws {StorageDeniedError} If the card cannot be read.
 */
export async function readLicense(folder: ReadableFolder): Promise<LicenseFields | null> {
  if (!await folder.exists(MODEL_CARD_FILE)) return null;
  const { readFrontMatter } = await import("./front_matter.ts");
  const fields = readFrontMatter(await readText(folder, MODEL_CARD_FILE));
  const { license, license_name, license_link } = fields;
  if (typeof license !== "string") return null;
  return {
    license,
    ...(typeof license_name === "string" && { license_name }),
    ...(typeof license_link === "string" && { license_link }),
  };
}

function frontMatter({ kind, baseModel, baseLicense }: ModelCardFacts): Record<string, unknown> {
  const relation = kind === "adapter" ? "adapter" : "finetune";
  return {
    base_model: baseModel,
    library_name: kind === "adapter" ? "peft" : "transformers",
    ...baseLicense,
    pipeline_tag: "text-generation",
    tags: [`base_model:${relation}:${baseModel}`, "lora", "lowrank", "transformers"],
  };
}

function result({ evalLossBefore: before, evalLossAfter: after, evalFile }: ModelCardFacts): string {
  if (before === null || after === null) {
    return "The run had no evaluation set, so nothing is known of its effect.";
  }
  const on = evalFile ? `${evalFile.examples} examples of ${code(evalFile.name)}` : "the examples set aside";
  const verdict = after < before
    ? ""
    : "\n\nThe loss did not fall: on this data the model is no better than its base.";
  return `Evaluation loss on ${on}, nats per token: **${before.toFixed(4)}** before, **${
    after.toFixed(4)
  }** after.` +
    verdict;
}

/** The losses of adapter and merged models side by side, where they may differ. */
function mergedResult({ merged }: ModelCardFacts): string[] {
  if (!merged) return [];
  const { merge_base, rows, tokens, loss } = merged;
  const here = (base: MergeBase) => base === merge_base ? " (this model)" : "";
  const lines = [
    ["adapter on the quantised base", loss.adapter],
    [`merged onto the quantised values${here("quantized")}`, loss.quantized],
    [`merged onto the original weights${here("original")}`, loss.original],
  ] as const;
  return [
    `The base was quantised for training. Loss of ${rows} rows (${tokens} tokens), nats per token:`,
    table(lines.map(([what, value]) => [what, value.toFixed(4)])),
  ];
}

function loading({ kind, baseModel }: ModelCardFacts): string {
  const python = kind === "adapter"
    ? [
      "from peft import PeftModel",
      "from transformers import AutoModelForCausalLM, AutoTokenizer",
      "",
      `base = ${JSON.stringify(baseModel)}`,
      "tokenizer = AutoTokenizer.from_pretrained(base)",
      'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), "path/to/this/folder")',
    ]
    : [
      "from transformers import AutoModelForCausalLM, AutoTokenizer",
      "",
      'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")',
      'model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")',
    ];
  return ["```python", ...python, "```"].join("\n");
}

function trainingRows(facts: ModelCardFacts): [string, string][] {
  const { trainFile, evalFile, device, targetModules: targets } = facts;
  const file = ({ name, sha256, examples }: CardDataFile) =>
    `${code(name)}, ${examples} examples, SHA-256 ${code(sha256)}`;
  return [
    ["training data", file(trainFile)],
    ...(evalFile ? [["evaluation data", file(evalFile)] as [string, string]] : []),
    ["steps", `${facts.steps} (${facts.epochs} epochs, ${facts.effectiveBatchSize} examples a step)`],
    ["tokens", String(facts.tokens)],
    ...(facts.baseFormat === null
      ? []
      : [["base weights", `linear maps in ${code(facts.baseFormat)}`] as [string, string]]),
    ["learning rate", `${facts.learningRate}, ${facts.schedule}`],
    ["method", facts.method],
    ["rank, alpha, dropout", `${facts.rank}, ${facts.alpha}, ${facts.dropout}`],
    ["adapted", typeof targets === "string" ? code(targets) : targets.map(code).join(", ")],
    ...facts.targetNotes.map((note): [string, string] => ["with", code(note)]),
    ["seed", String(facts.seed)],
    ["time", `${Math.round(facts.seconds)} s`],
    ["GPU", `${line(device.name)}${device.software ? " (software, no real GPU)" : ""}`],
  ];
}

function table(rows: readonly (readonly [string, string])[]): string {
  return [
    "| | |",
    "|---|---|",
    ...rows.map(([label, value]) => `| ${label} | ${value.replaceAll("|", "\\|")} |`),
  ]
    .join("\n");
}

/** A code span; backticks inside would end it. */
function code(text: string): string {
  return `\`${line(text).replaceAll("`", "'")}\``;
}

/** Text that stays on one line, whatever a file or a driver is called. */
function line(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
