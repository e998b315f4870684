/**
 * JSON as Python's `json.dumps(value, indent=2, sort_keys=True)` spells it, so that files do not differ from
 * those of PEFT and transformers where their content does not.
 *
 * @module
 */

/** What can be written. */
export type PythonValue =
  | null
  | boolean
  | number
  | string
  | PythonFloat
  | readonly PythonValue[]
  | { readonly [key: string]: PythonValue };

/** A number that Python holds as a float, hence writes as `2.0` where JavaScript has 2. */
export class PythonFloat {
  constructor(readonly value: number) {}
}

/** The text of a value, without a newline at its end. */
export function pythonJson(value: PythonValue, indent = ""): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : pythonFloat(value);
  if (value instanceof PythonFloat) return pythonFloat(value.value);
  if (value === null || typeof value === "boolean") return String(value);
  const inner = `${indent}  `;
  const [open, close, items] = isList(value)
    ? ["[", "]", value.map((item) => pythonJson(item, inner))]
    : ["{", "}", sortedEntries(value).map(([key, item]) => `${quoted(key)}: ${pythonJson(item, inner)}`)];
  if (items.length === 0) return open + close;
  return `${open}\n${items.map((item) => inner + item).join(",\n")}\n${indent}${close}`;
}

/**
 * A float by Python's repr: the shortest digits that read back as the same number, with an exponent of at
 * least two digits below 1e-4 and from 1e16 on.
 *
 * @throws {RangeError} If the value is not finite, for which JSON has no word.
 */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`Cannot write ${value} as JSON as it is not finite`);
  const [digits = "", power = ""] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (Object.is(value, -0)) return "-0.0";
  if (Number.isInteger(value)) return `${value}.0`;
  // JavaScript's own spelling takes to exponents only below 1e-6.
  return String(value);
}

function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function sortedEntries(value: { readonly [key: string]: PythonValue }): [string, PythonValue][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

function isList(value: object): value is readonly PythonValue[] {
  return Array.isArray(value);
}
