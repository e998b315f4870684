/**
 * Regular expressions as Python's `re` reads them, for the fields of PEFT that hold some.
 *
 * @see https://docs.python.org/3/library/re.html
 * @module
 */

/** What is spelt otherwise, and what must be passed by whole so that nothing inside it is taken for that. */
const TOKEN =
  /\\[^]|\[\^?\]?(?:\\[^]|[^\]\\])*\]|\(\?P<(\w+)>|\(\?P=(\w+)\)|\(\?([a-zA-Z]+)\)|\{,(\d+)\}|\(\?#[^)]*\)|\(\?>/g;

/** Python's flags that JavaScript has, by its letter; those of `a`, `L` and `u` change nothing in module paths. */
const FLAGS: { readonly [flag: string]: string } = { i: "i", m: "m", s: "s", a: "", L: "", u: "" };

/**
 * Compiles an expression of Python's. Named groups, `\A`, `\Z`, `{,n}`, comments and flags at the start are translated; the
 * rest means the same in both languages.
 *
 * @param whole Matches the whole text, as `re.fullmatch`; else from its start on, as `re.match`.
 * @throws {SyntaxError} If it is no expression, or uses what JavaScript cannot do: verbose mode and atomic groups.
 */
export function pythonRegex(pattern: string, whole: boolean): RegExp {
  let flags = "";
  const fail = (what: string) =>
    new SyntaxError(`Cannot read "${pattern}" as a regular expression: ${what} is not supported`);
  const translated = pattern.replace(
    TOKEN,
    (token: string, group?: string, reference?: string, letters?: string, most?: string) => {
      if (group) return `(?<${group}>`;
      if (reference) return `\\k<${reference}>`;
      if (most) return `{0,${most}}`;
      if (token === "(?>") throw fail("an atomic group");
      if (letters) {
        for (const letter of letters) {
          if (FLAGS[letter] === undefined) throw fail(`flag "${letter}"`);
          flags += FLAGS[letter];
        }
        return "";
      }
      if (token.startsWith("(?#")) return "";
      if (token === "\\A") return "^";
      if (token === "\\Z") return "$";
      // a bracket that comes first is one of the class
      return token.replace(/^\[(\^?)\](?=.)/, "[$1\\]");
    },
  );
  try {
    return new RegExp(`^(?:${translated})${whole ? "$" : ""}`, [...new Set(flags)].join(""));
  } catch (error) {
    throw new SyntaxError(
      `Cannot read "${pattern}" as a regular expression: ${(error as Error).message.replace(/^.*: /, "")}`,
    );
  }
}
