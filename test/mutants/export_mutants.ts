/**
 * Faults in what is exported.
 *
 * @module
 */
import { inFile, type Mutant } from "./mutant.ts";

const MODEL_TEST = ["test/export/gguf_model_test.ts"];
const LOGITS_TEST = ["test/export/onnx_logits_test.ts"];

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
      "0 - (bpe.ranks.get(token)",
      "0 + (bpe.ranks.get(token)",
    ],
    ["every token of a chat is plain text", "? Kind.CONTROL", "? Kind.NORMAL"],
  ]),
  ...inFile("src/export/source.ts", ["test/export/source_test.ts"], [
    ["a quantised run is merged onto plain values", 'merge_base === "original"', 'merge_base !== "plain"'],
  ]),
  ...inFile("src/export/chat_parts.ts", ["test/export/chat_parts_test.ts"], [
    ["parts are believed untried", "TRIALS.every((trial)", "TRIALS.slice(5).every((trial)"],
  ]),
  ...inFile("src/export/onnx_attention.ts", LOGITS_TEST, [
    [
      "a graph's windows are one key wider",
      'graph.op("Greater", [keys, beyond])',
      'graph.op("GreaterOrEqual", [keys, beyond])',
    ],
    [
      "queries of a call stand at the beginning of the row",
      "[scalar(past), scalar(total), step]",
      "[first, scalar(total), step]",
    ],
    ["a graph sees padding", 'graph.op("And", [isToken, seen])', 'graph.op("Or", [isToken, seen])'],
  ]),
  ...inFile("src/export/onnx_layers.ts", LOGITS_TEST, [
    ["a graph's norms without Gemma's 1", "added: offset }", "added: 0 }"],
  ]),
  ...inFile("src/export/onnx_rope.ts", LOGITS_TEST, [
    ["a graph's coarse angles turn back", '"Add", [product(coarse.sin', '"Sub", [product(coarse.sin'],
    ["longrope is long one token late", "looked(graph, rope, limit + 1,", "looked(graph, rope, limit,"],
  ]),
  ...inFile("src/export/onnx_files.ts", ["test/export/onnx_model_test.ts"], [
    ["data files of an export before stay", "!written.includes(old)", "false"],
  ]),
  ...inFile("src/export/onnx_weights.ts", ["test/export/onnx_model_test.ts"], [
    ["f16 overflows unseen", "Math.abs(value) <= most", "Math.abs(value) <= Infinity"],
    [
      "a damaged ONNX file is taken for whole",
      "if (found.every((byte, i) => byte === wanted[i])) continue;",
      "continue;",
    ],
  ]),
];
