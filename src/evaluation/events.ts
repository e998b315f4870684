/**
 * The words of an evaluation: what is measured, and what it tells. Plain data.
 *
 * @module
 */

/** What can be measured. `loss` brings perplexity and token accuracy. */
export type Metric = "loss" | "exact_match";
/** Every {@link Metric}. */
export const METRICS: readonly Metric[] = ["loss", "exact_match"];

/** Whose measurement it is: the base model's, or that of the adapter on it. */
export type Measured = "base" | "adapter";

/** What was found of one model. What was not asked for is null. */
export interface Scores {
  /** Mean over labelled tokens, nats. */
  readonly loss: number | null;
  /** e to the loss. */
  readonly perplexity: number | null;
  /** Share of labelled tokens to which the model gave the largest logit, 0..1. */
  readonly tokenAccuracy: number | null;
  /** Share of questions whose greedy answer is the expected one, 0..1; null also where no row is a question. */
  readonly exactMatch: number | null;
  /** Exact answers, as a count; null as `exactMatch`. */
  readonly matches: number | null;
}

/** A question with its answers; null where a model was not asked. */
export interface AnsweredRow {
  /** From 1, among the rows that are measured on. */
  readonly row: number;
  /** The question as the model reads it, special tokens included. */
  readonly prompt: string;
  /** The answer of the data. */
  readonly expected: string;
  /** The base model's answer. */
  readonly base: string | null;
  /** The adapter's answer. */
  readonly adapter: string | null;
}

/** What is about to be measured. */
export interface EvaluationSummary {
  /** The base model as it was named. */
  readonly model: string;
  /** The adapter as it was named; null for none. */
  readonly adapter: string | null;
  /** The GPU, and whether it computes on the CPU. */
  readonly device: string;
  /** Whether the GPU computes on the CPU. */
  readonly softwareDevice: boolean;
  /** Rows that are measured on. */
  readonly rows: number;
  /** Their tokens, after cutting. */
  readonly tokens: number;
  /** Rows with a question before their last trained part; others have no answer to compare. */
  readonly questions: number;
}

/** Everything an evaluation tells, in order. */
export type EvaluationEvent =
  | { readonly type: "phase"; readonly message: string }
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "started"; readonly summary: EvaluationSummary }
  | {
    readonly type: "progress";
    readonly of: Measured;
    readonly metric: Metric;
    /** Rows. */
    readonly done: number;
    readonly total: number;
    readonly etaSeconds: number;
  }
  | {
    readonly type: "finished";
    readonly seconds: number;
    readonly base: Scores | null;
    readonly adapter: Scores | null;
    /** Empty unless exact_match was asked for. */
    readonly answers: readonly AnsweredRow[];
  };
