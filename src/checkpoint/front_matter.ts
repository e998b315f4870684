/**
 * YAML between the first two `---` lines of a file, which the Hugging Face Hub reads. Loaded when a card is read or
 * written: a page that only trains need not wait for it.
 *
 * @module
 */
import { dump, load, YAMLException } from "js-yaml";

/** The block, with its two lines. */
export function writeFrontMatter(fields: Readonly<Record<string, unknown>>): string {
  return `---\n${dump(fields, { lineWidth: -1 })}---`;
}

/** Its fields. What is not YAML tells nothing; the file is not ours to judge. */
export function readFrontMatter(text: string): Record<string, unknown> {
  const yaml = /^\uFEFF?---\r?\n([^]*?)\r?\n---\s*(?:\r?\n|$)/.exec(text)?.[1];
  if (yaml === undefined) return {};
  try {
    const fields: unknown = load(yaml);
    return typeof fields === "object" && fields !== null ? fields as Record<string, unknown> : {};
  } catch (error) {
    if (error instanceof YAMLException) return {};
    throw error;
  }
}
