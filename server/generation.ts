/**
 * Text that is generated apart from HTTP: what is asked for, what comes back, and who does it.
 *
 * @module
 */
import type { QuantizationWord } from "../src/config.ts";
import type { Message } from "../src/data/formats.ts";
import { ApiError, badRequest } from "./errors.ts";

/** The model that writes. */
export interface GenerationModel {
  /** Folder or GGUF file of the base, absolute. */
  readonly basePath: string;
  /** Folder of the adapter, absolute; null for the base alone. */
  readonly adapterPath: string | null;
  /** How the base is kept: as it was while the adapter was trained. */
  readonly quantization: QuantizationWord;
  readonly doubleQuant: boolean;
}

/** What is to be continued. */
export type GenerationInput =
  | { readonly kind: "chat"; readonly messages: readonly Message[] }
  | { readonly kind: "texts"; readonly texts: readonly string[] }
  | { readonly kind: "tokens"; readonly prompts: readonly (readonly number[])[] };

/** What is asked for. */
export interface GenerationOrder {
  readonly model: GenerationModel;
  readonly input: GenerationInput;
  /** Answers to each prompt; row `count · p + i` is answer `i` to prompt `p`. */
  readonly count: number;
  /** As {@link TextOptions} of the engine has them. */
  readonly options: {
    readonly maxNewTokens: number;
    readonly temperature: number;
    readonly topP: number;
    readonly topK: number;
    readonly repetitionPenalty: number;
    readonly seed: number;
    readonly stopStrings: readonly string[];
  };
}

/** What comes back, in order. */
export type GenerationEvent =
  /** Comes first, once the model is there: tokens of all prompts together. */
  | { readonly type: "begun"; readonly promptTokens: number }
  /** One token of a row; the text is empty where nothing is certain yet. */
  | {
    readonly type: "piece";
    readonly row: number;
    readonly text: string;
    readonly end: "stop" | "length" | null;
  };

/** Generates, one order at a time. */
export interface TextGenerator {
  /**
   * Ends early when the signal is aborted; the next order may begin once this one has ended.
   *
   * @throws What the engine threw, by its name, or {@link GenerationCrash}; the signal's reason.
   */
  generate(order: GenerationOrder, signal: AbortSignal): AsyncIterable<GenerationEvent>;
  /** Frees all memory; the next order loads its model again. */
  close(): Promise<void>;
}

/** An error of the engine as it comes from another process. */
export interface EngineFault {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Of a ConfigError. */
  readonly issues: readonly unknown[] | undefined;
}

/** To the process that generates. */
export type ToGeneration =
  | { readonly type: "generate"; readonly id: number; readonly order: GenerationOrder }
  | { readonly type: "cancel"; readonly id: number };

/** From the process that generates. */
export type FromGeneration =
  | { readonly type: "event"; readonly id: number; readonly event: GenerationEvent }
  /** The order is done with; without an error it ran to its end. The process ends where it cannot go on after it. */
  | {
    readonly type: "over";
    readonly id: number;
    readonly error: EngineFault | null;
    readonly isLast: boolean;
  };

/** What generated ended without a word. */
export class GenerationCrash extends Error {
  override readonly name = "GenerationCrash";
}

/** Errors that are the server's and not the request's: those that the operator wants to know of. */
export function isServersFault(error: unknown): boolean {
  return !(error instanceof ApiError) && refusalOfGeneration(error, "").status >= 500;
}

/**
 * What a client is told of an error of the engine, whose own words may name paths.
 *
 * @param param The field that the prompt came in.
 */
export function refusalOfGeneration(error: unknown, param: string): ApiError {
  if (error instanceof ApiError) return error;
  const { name, message, issues = [] } = error as Error & {
    issues?: readonly { path: string; message: string }[];
  };
  switch (name) {
    case "ConfigError": {
      const [issue] = issues;
      if (issue?.path === "prompt") {
        return badRequest(
          `The prompt is too long or empty: ${issue.message}.`,
          param,
          "context_length_exceeded",
        );
      }
      if (issue?.path === "chat_template") {
        return badRequest(
          "The model has no chat template: use /v1/completions.",
          "model",
          "no_chat_template",
        );
      }
      return badRequest(
        issue ? `'${issue.path}' ${issue.message}.` : message,
        issue?.path ?? null,
        "invalid_value",
      );
    }
    case "ChatTemplateError":
      return badRequest(
        `The model's chat template refuses these messages: ${message}`,
        param,
        "invalid_value",
      );
    case "RangeError":
      return badRequest(message, param, "invalid_value"); // a token id that is none
    case "GpuMemoryError":
      return new ApiError(503, "The model does not fit into the GPU's memory now.", {
        code: "out_of_memory",
        retryAfter: 30,
      });
    case "GpuUnavailableError":
      return new ApiError(503, "The server has no usable GPU.", { code: "no_gpu" });
    case "GpuLostError":
    case "GenerationCrash":
      return new ApiError(503, "The process that generates has ended: try again.", {
        code: "generation_crashed",
        retryAfter: 1,
      });
    default:
      return new ApiError(500, "The model cannot be used: the server's log says why.", {
        code: "model_failed",
      });
  }
}
