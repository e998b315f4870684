/**
 * Formats, flags and help of `export`; small, so that the list of commands need not load the engine.
 *
 * @module
 */
import { QUANTIZATION_WORDS } from "../config.ts";
import { type FlagSpec, GENERAL_FLAGS } from "./flags.ts";
import { exitCodeTable, flagTable } from "./help.ts";
import { PLUGINS_FLAG } from "./plugin_flag.ts";

/** A format of `lowrank export FORMAT`. */
export interface ExportFormat {
  /** One line of the list of formats. */
  readonly summary: string;
  /** Flags beside {@link SOURCE_FLAGS} and the general ones. */
  readonly flags: readonly FlagSpec[];
  /** Paragraphs of its help. */
  readonly notes: string;
  readonly examples: readonly string[];
}

const SECTIONS = ["Model", "Output", "General"] as const;

/** A flag of a format. */
export const exportFlag = (
  section: typeof SECTIONS[number],
  name: string,
  placeholder: string | null,
  help: string,
  defaultText?: string,
): FlagSpec => {
  return {
    name,
    section,
    placeholder,
    help,
    aliases: [],
    ...(defaultText === undefined ? {} : { defaultText }),
  };
};

/** Flags that say what is exported, of every format. */
export const SOURCE_FLAGS: readonly FlagSpec[] = [
  exportFlag(
    "Model",
    "adapter",
    "PATH",
    "Folder of an adapter, where MODEL is the base model that it was trained on",
  ),
  exportFlag("Model", "base-model", "PATH", "Where the base model is now, if it has moved since training"),
  exportFlag(
    "Model",
    "quantization",
    QUANTIZATION_WORDS.join("|"),
    "What the base's linear maps were kept in while the adapter was trained",
    "as the run says",
  ),
  exportFlag("Model", "chat-template", "FILE", "A Jinja template in place of the one that was trained with"),
];

/** Flags about what is written, of every format. */
export const OUTPUT_FLAGS: readonly FlagSpec[] = [
  exportFlag("Output", "overwrite", null, "Replace what is there"),
  exportFlag("Output", "quiet", null, "No lines about progress"),
];

/** Formats by the word after `export`. */
export const EXPORT_FORMATS: Readonly<Record<string, ExportFormat>> = {
  gguf: {
    summary: "The model, merged with its adapter, as one GGUF file for llama.cpp",
    flags: [
      exportFlag("Output", "out", "FILE", "Where the file goes", "NAME-TYPE.gguf in MODEL"),
      exportFlag("Output", "type", "f32|f16|bf16|q8_0", "Element type of the matrices", "f16"),
    ],
    notes: "llama-cli -m FILE runs it. Norms and biases stay in f32; llama-quantize makes further types.",
    examples: [
      "lowrank export gguf runs/ember",
      "lowrank export gguf models/smollm2 --type q8_0 --out smollm2.gguf",
    ],
  },
  "gguf-lora": {
    summary: "The adapter alone as a GGUF file, for llama.cpp and Ollama",
    flags: [
      exportFlag("Output", "out", "FILE", "Where the file goes", "NAME-lora.gguf in MODEL"),
      exportFlag("Output", "type", "f32|f16", "Element type", "f32"),
    ],
    notes: "llama-cli -m BASE.gguf --lora FILE puts it on the same base model in any quantisation.",
    examples: ["lowrank export gguf-lora runs/ember"],
  },
  ollama: {
    summary: "A folder with GGUF file and Modelfile, for ollama create",
    flags: [
      exportFlag("Output", "out", "FOLDER", "Where the files go", "ollama in MODEL"),
      exportFlag("Output", "type", "f32|f16|bf16|q8_0", "Element type of the matrices", "f16"),
      exportFlag(
        "Output",
        "from",
        "NAME",
        "Put the adapter alone on this model of Ollama's (or a GGUF file)",
      ),
      exportFlag("Output", "template", "FILE", "A Go template in place of the model's own, translated"),
      exportFlag("Output", "system", "TEXT", "System message where a conversation has none"),
    ],
    notes:
      "The chat template is taken apart, written in Go's template language, and tried on conversations;\n" +
      "one that cannot be translated is refused. Tokens that end an answer become stop parameters.",
    examples: [
      "lowrank export ollama runs/ember --type q8_0",
      "lowrank export ollama runs/ember --from smollm2:135m",
    ],
  },
  onnx: {
    summary: "A folder for transformers.js and onnxruntime, base and adapter merged",
    flags: [
      exportFlag("Output", "out", "FOLDER", "Where the files go", "onnx in MODEL"),
      exportFlag("Output", "type", "f32|f16", "Element type of matrices and cache", "f32"),
      exportFlag(
        "Output",
        "logits",
        "all|last",
        "Logits of every token of a call, or of the last alone",
        "all",
      ),
    ],
    notes:
      'pipeline("text-generation", FOLDER) of @huggingface/transformers runs it, in pages and in Node and\n' +
      "Deno. A folder may hold both types; large models have their weights in files beside model.onnx.",
    examples: [
      "lowrank export onnx runs/ember",
      "lowrank export onnx runs/ember --type f16 --out site/ember",
    ],
  },
};

const MODEL_NOTE =
  "MODEL is the output folder of a run, the folder of a model (merged or not) or of an adapter, or a\nGGUF file.";

/** All flags of a format. */
export function exportFlags({ flags }: ExportFormat): readonly FlagSpec[] {
  return [...SOURCE_FLAGS, ...flags, ...OUTPUT_FLAGS, PLUGINS_FLAG, ...GENERAL_FLAGS];
}

/** What `lowrank export --help` prints, or that of a format. */
export function exportHelp(name: string | null = null): string {
  if (name !== null) return formatHelp(name, EXPORT_FORMATS[name]!);
  const rows = Object.entries(EXPORT_FORMATS).map(([word, { summary }]) => `  ${word.padEnd(12)} ${summary}`);
  return `lowrank export: a trained model in the format of another program

Usage: lowrank export FORMAT MODEL [options]

Formats
${rows.join("\n")}

${MODEL_NOTE}
"lowrank export FORMAT --help" lists the options of a format.

Exit codes
${exitCodeTable()}

Examples
${Object.values(EXPORT_FORMATS).map(({ examples: [first] }) => `  ${first}`).join("\n")}
`;
}

function formatHelp(name: string, format: ExportFormat): string {
  return `lowrank export ${name}: ${format.summary[0]!.toLowerCase()}${format.summary.slice(1)}

Usage: lowrank export ${name} MODEL [options]

${flagTable(exportFlags(format), SECTIONS)}

${MODEL_NOTE}
${format.notes}

Exit codes
${exitCodeTable()}

Examples
${format.examples.map((line) => `  ${line}`).join("\n")}
`;
}
