/**
 * Wording of what is wrong with a configuration, in the form "what was wanted: current value is what was found".
 *
 * @module
 */

import type * as z from "zod/mini";
import { redacted } from "../redact.ts";
import { didYouMean } from "./nearest.ts";

type RawIssue = z.core.$ZodRawIssue;

/** A value as it would be written in JSON, without secrets, cut to 60 characters. */
export function show(value: unknown): string {
  const text = typeof value === "number" ? String(value) : redacted(JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

const NAMES: Readonly<Record<string, string>> = {
  string: "text",
  int: "a whole number",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "an object of options",
  record: "options by name, such as num_cycles=2",
};

/** What a value of two types must be, by what its first type expects. */
const UNIONS: Readonly<Record<string, string>> = {
  string: "must be a path or a list of paths",
};

function wanted(issue: RawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${NAMES[issue.expected as string] ?? issue.expected}`;
    case "invalid_value":
      return `must be ${(issue.values as unknown[]).length > 1 ? "one of " : ""}${
        (issue.values as unknown[]).join(", ")
      }`;
    case "too_small":
      if (issue.origin === "string") return "must not be empty";
      if (issue.origin === "array") return "must list at least one name";
      return `must be ${issue.inclusive ? "at least" : "above"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin === "string") return `must be at most ${issue.maximum} characters long`;
      return `must be ${issue.inclusive ? "at most" : "below"} ${issue.maximum}`;
    case "invalid_union":
      return UNIONS[(issue.errors as RawIssue[][])[0]![0]!.expected as string] ??
        'must be "all-linear" or a list of layer names';
    default:
      return "is not valid";
  }
}

/** zod's error map: the message of one issue, without its path. */
export function describeIssue(issue: RawIssue): string {
  if (/^invalid_(type|union)$/.test(issue.code) && issue.input === undefined) return "is missing";
  if (issue.code === "invalid_value" && typeof issue.input === "string") {
    const close = didYouMean(issue.input, (issue.values as unknown[]).map(String));
    return `${wanted(issue)}: current value is ${show(issue.input)}${close.replace(":", ",")}`;
  }
  return `${wanted(issue)}: current value is ${show(issue.input)}`;
}
