/**
 * Whether tokenizer.json cuts text in the words of a known way. Settings that change nothing are left out.
 *
 * @module
 */
import type { PreTokenizer } from "../checkpoint/gguf_pre_tokenizers.ts";

/** Whether normaliser, cuts and merging are spelled alike. */
export function sameCut(
  { normalizer, pre_tokenizer, model }: Readonly<Record<string, unknown>>,
  way: PreTokenizer,
): boolean {
  const ignoresMerges = (model as { ignore_merges?: boolean }).ignore_merges ?? false;
  return ignoresMerges === way.ignoreMerges && spelled(normalizer) === spelled(way.normalizer) &&
    spelled(pre_tokenizer) === spelled(way.preTokenizer);
}

/** Each rule by its type and what it matches, one after the other. */
function spelled(rule: unknown): string {
  if (typeof rule !== "object" || rule === null) return "";
  const { type, pattern, individual_digits, use_regex, pretokenizers, normalizers } = rule as Record<
    string,
    unknown
  >;
  const parts = pretokenizers ?? normalizers;
  if (Array.isArray(parts)) return parts.map(spelled).join(" ");
  const regex = (pattern as { Regex?: string } | undefined)?.Regex;
  // the reader of tokenizer.json spells digits as a pattern
  if (type === "Digits" || (type === "Split" && (regex === "\\p{N}" || regex === "\\p{N}+"))) {
    return `digits${individual_digits === true || regex === "\\p{N}" ? "" : "+"}`;
  }
  return `${type}${regex ?? ""}${type === "ByteLevel" && use_regex !== false ? " words" : ""}`;
}
