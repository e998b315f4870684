/**
 * Faults in what is exported.
 *
 * @module
 */
import { inFile, type Mutant } from "./mutant.ts";

const MODEL_TEST = ["test/export/gguf_model_test.ts"];

export const EXPORT_MUTANTS: readonly Mutant[] = [
  ...inFile("src/checkpoint/gguf_writer.ts", MODEL_TEST, [
    [
      "tensors begin where the one before ends",
      "offset += aligned(tensorBytes(tensor))",
      "offset += tensorBytes(tensor)",
    ],
  ]),
  ...inFile("src/export/gguf_model.ts", MODEL_TEST, [
    ["Gemma's norms without their 1", "values[i]! + added", "values[i]!"],
    ["exported pieces are merged with the first rows of B", "update, first);", "update, 0);"],
  ]),
  ...inFile("src/export/gguf_metadata.ts", MODEL_TEST, [
    ["Gemma's scores are scaled as llama.cpp likes", "> 1e-6) {", "> 1e6) {"],
    ["stretched frequencies the wrong way round", "frequency / stretched[i]!", "stretched[i]! / frequency"],
  ]),
  ...inFile("src/export/gguf_lora.ts", ["test/export/gguf_lora_test.ts"], [
    ["an adapter of several ranks by one scaling", "scaling * rank / alpha", "scaling"],
    ["queries of an adapter stand as they are", "found.turned === null", "found.turned !== null"],
  ]),
  ...inFile("src/export/gguf_vocabulary.ts", ["test/export/gguf_vocabulary_test.ts"], [
    [
      "the last merge scores best",
      "-(rank.get(token) ?? bpe.merges.length)",
      "(rank.get(token) ?? bpe.merges.length)",
    ],
    ["every token of a chat is plain text", "? Kind.CONTROL", "Kind.NORMAL"],
  ]),
  ...inFile("src/export/source.ts", ["test/export/source_test.ts"], [
    ["a quantised run is merged onto plain values", 'merge_base === "original"', 'merge_base !== "plain"'],
  ]),
  ...inFile("src/export/chat_parts.ts", ["test/export/chat_parts_test.ts"], [
    ["parts are believed untried", "TRIALS.every((trial)", "TRIALS.slice(5).every((trial)"],
  ]),
];
