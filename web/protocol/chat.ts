/**
 * Who is talked to, what is asked, and what is answered.
 *
 * @module
 */
import type { Message } from "../../src/data/formats.ts";
import type { StopReason } from "../../src/generate/generator.ts";

/** What is talked to here: what a run trained (by a checkpoint, where one is named) beside its base, or a base model alone. */
export type LocalSubject =
  | { readonly kind: "run"; readonly run: string; readonly checkpoint: number | null }
  | { readonly kind: "base"; readonly baseModel: string };

/** What is talked to on the page's server, by the model's name there: a fine-tuned one beside its base, or a base alone. */
export interface ServerSubject {
  readonly kind: "server";
  readonly model: string;
}

/** What is talked to. */
export type ChatSubject = LocalSubject | ServerSubject;

/** The base model with what was trained, or without. */
export type ChatSide = "adapter" | "base";

/** What is known of a model that is ready to answer. */
export interface ChatFacts {
  /** Whether it knows conversations; another goes on from each text by itself. */
  readonly hasTemplate: boolean;
  readonly contextLength: number;
  readonly sides: readonly ChatSide[];
  /** What may be asked: prompts that the run has answered; empty for a base model. */
  readonly examples: readonly string[];
}

/** What is to be answered. */
export interface ChatOrder {
  /** By each side that is to answer: the conversation with it. */
  readonly turns: readonly { readonly side: ChatSide; readonly messages: readonly Message[] }[];
  readonly options: {
    readonly temperature: number;
    readonly seed: number;
    readonly maxNewTokens: number;
  };
}

/** Which of two models to export. */
export interface OnnxOrder {
  readonly subject: LocalSubject;
  readonly side: ChatSide;
}

/** A model that transformers.js runs. */
export interface ExportedModel extends Omit<ChatFacts, "sides"> {
  /** By their paths in the model's folder. */
  readonly files: readonly { readonly path: string; readonly content: Blob }[];
}

/** A part of an answer. */
export interface ChatPiece {
  readonly side: ChatSide;
  readonly text: string;
  /** New tokens that it stands for. */
  readonly tokens: number;
  /** Why the answer ends here; null while it goes on. */
  readonly end: StopReason | null;
}
