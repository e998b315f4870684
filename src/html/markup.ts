/**
 * Markup whose texts are escaped where they are put in, so that nothing read from a file becomes markup.
 *
 * @module
 */

/** Text that is markup already. Made by {@link markup} and {@link trusted} only. */
export class Markup {
  constructor(readonly text: string) {}
}

/** What a template takes: texts and numbers are escaped, markup is not, null is nothing. */
export type Content = string | number | Markup | null | readonly Content[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it stands between tags or in a quoted attribute. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

/** Own text that is markup, a style sheet or a script: nothing from outside. */
export function trusted(text: string): Markup {
  return new Markup(text);
}

/** A template tag: markup`<td>${text}</td>`. Attributes must be quoted. */
export function markup(parts: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(parts.reduce((text, part, i) => text + written(values[i - 1]!) + part));
}

function written(content: Content): string {
  if (content instanceof Markup) return content.text;
  if (content === null) return "";
  if (typeof content === "number" || typeof content === "string") return escaped(String(content));
  return content.map(written).join("");
}
