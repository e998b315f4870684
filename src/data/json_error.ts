/**
 * Where a text stops being JSON. Engines tell it in words of their own, and of short texts not at all.
 *
 * @module
 */

/** A mark, a number or a word, behind white space. */
const TOKEN = /[ \t\n\r]*([{}[\],:"]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;

/** What may come next: a value, a value or `]`, a key, a key or `}`, a colon, a comma or what closes, nothing. */
type Expected = "value" | "value or end" | "key" | "key or end" | "colon" | "comma or end" | "nothing";

/** Offset of the first token that cannot follow what is before it, in UTF-16 units; null for JSON. */
export function jsonErrorAt(text: string): number | null {
  const open: string[] = [];
  let expected: Expected = "value";
  const behindValue = () => open.length === 0 ? "nothing" : "comma or end";
  for (let at = 0;;) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text), start = text.slice(at).search(/[^ \t\n\r]/) + at;
    if (start < at) return expected === "nothing" ? null : text.length;
    const token = found?.[1];
    if (token === undefined) return start;
    const next = token === '"' ? stringEnd(text, start + 1) : TOKEN.lastIndex;
    if (next < 0) return -next;
    at = next;
    if (expected === "key" || expected === "key or end") {
      if (token === '"') expected = "colon";
      else if (token === "}" && expected === "key or end") (open.pop(), expected = behindValue());
      else return start;
    } else if (expected === "colon") {
      if (token !== ":") return start;
      expected = "value";
    } else if (expected === "comma or end") {
      if (token === ",") expected = open.at(-1) === "{" ? "key" : "value";
      else if (token === (open.at(-1) === "{" ? "}" : "]")) (open.pop(), expected = behindValue());
      else return start;
    } else if (expected === "nothing") {
      return start;
    } else if (token === "{" || token === "[") {
      open.push(token);
      expected = token === "{" ? "key or end" : "value or end";
    } else if (token === "]" && expected === "value or end") {
      open.pop();
      expected = behindValue();
    } else if (/^[\]},:]$/.test(token)) {
      return start;
    } else {
      expected = behindValue();
    }
  }
}

/** One past the quote that ends a string; where that cannot be, the place of what is wrong, negated. */
function stringEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (code < 0x20) return -at;
    if (code !== 0x5c) continue;
    const escaped = /["\\/bfnrt]|u[0-9a-fA-F]{4}/y;
    escaped.lastIndex = at + 1;
    if (!escaped.test(text)) return -at;
    at = escaped.lastIndex - 1;
  }
  return -text.length;
}
