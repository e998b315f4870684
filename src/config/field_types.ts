/**
 * The vocabulary of the declarations: what is said about an option beside its type, and the types that recur.
 *
 * @module
 */

import * as z from "zod/mini";
import { secretIn } from "../redact.ts";
import { show } from "./issues.ts";

/** Headings under which `--help` and forms list the options, in this order. */
export const SECTIONS = [
  "Job",
  "Data",
  "LoRA",
  "Quantization",
  "Training",
  "Device",
  "Storage",
  "Output",
  "Tracking",
] as const;
/** One of {@link SECTIONS}. */
export type Section = (typeof SECTIONS)[number];

/** Parts of plugins that options name. */
export type PluginPart = "dataFormats" | "trackers" | "trainers";

/** What a declaration carries beside its zod type. */
export interface FieldMeta {
  readonly section: Section;
  /** One sentence fragment for `--help` and the JSON Schema. */
  readonly help: string;
  /** Other wire names that mean the same. */
  readonly aliases?: readonly string[];
  /** Word for the value in `--help`; derived from the type when absent. */
  readonly placeholder?: string;
  /** Whether text that cannot be a list of names is a regular expression. */
  readonly expression?: boolean;
  /** Whether the option may be given several times, each adding to the list. */
  readonly repeats?: boolean;
  /** Whether a list is of texts, which may hold commas: as text, each stands on a line of its own. */
  readonly lines?: boolean;
  /** Parts of plugins whose names are words of the option, too. */
  readonly pluginPart?: PluginPart;
  /** Shown as the default where the true one is computed from other options. */
  readonly defaultText?: string;
}

/** The {@link FieldMeta} of each declared zod type. */
export const fieldMeta: z.core.$ZodRegistry<FieldMeta> = z.registry<FieldMeta>();

/** A non-empty path or URI. What it holds is written into records, so that secrets have no place in it. */
export const path = () =>
  z.string().check(
    z.minLength(1),
    z.refine((uri) => secretIn(uri) === null, {
      error: ({ input }) =>
        `must not hold ${
          secretIn(String(input))
        }, as options are recorded with the run: take it out and give ` +
        "credentials by the environment, such as HF_TOKEN, AWS_SECRET_ACCESS_KEY or AZURE_STORAGE_SAS_TOKEN",
    }),
  );
/** One path or several. */
export const paths = () => z.union([path(), z.array(path()).check(z.minLength(1))]);
/** Module names, or a regular expression for their paths; the text says what was wanted. */
export const modules = (text: string) => {
  const name = z.string().check(z.minLength(1));
  return z.union([name, z.array(name).check(z.minLength(1))], wanted(text));
};
/** One of these words, or a name that a plugin brings: which of those there are is known once plugins are loaded. */
export const wordOrPlugin = (words: readonly [string, ...string[]]) =>
  z.enum(words) as unknown as z.ZodMiniType<string, string>;
/** A whole number, bounds included. */
export const wholeNumber = (from: number, to: number) => z.int().check(z.gte(from), z.lte(to));
/** A number in [0, 1). */
export const fraction = () => z.number().check(z.gte(0), z.lt(1));
/** Largest count of steps. */
export const MAX_STEPS = 2 ** 31 - 1;

/** A number of steps, or below 1 a share of all steps of the run. */
export const stepsOrShare = () =>
  z.number().check(
    z.gte(0),
    z.lte(MAX_STEPS),
    z.refine(
      (steps) => steps < 1 || Number.isInteger(steps),
      wanted("must be below 1 (a share) or a whole number of steps"),
    ),
  );

/** The error setting of a check whose bounds zod cannot word: what was wanted, then what was found. */
export function wanted(text: string): { error: (issue: { input?: unknown }) => string } {
  return { error: ({ input }) => `${text}: current value is ${show(input)}` };
}
