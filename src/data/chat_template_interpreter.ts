/**
 * Running a chat template within bounds. A template comes with a model from anywhere and is a program: it must not hang
 * a run or fill the memory, and must write the same text on every day.
 *
 * @module
 */
import { Environment, Interpreter, type Template } from "@huggingface/jinja";

/**
 * Expressions that one rendering may evaluate. What is done with a list takes longer: it counts as one for each entry,
 * 16 where a loop runs over it, little where one entry is picked; a text counts as one for each 16 characters.
 */
export const MAX_TEMPLATE_WORK = 2 ** 23;
/** The longest text that a template may make, in UTF-16 units. */
export const MAX_RENDERED_LENGTH = 2 ** 23;
/** The longest list that a template may make. */
const MAX_LIST_LENGTH = 2 ** 17;

/** The day that templates see as today: Llama 3's own default. A resumed run must see the tokens of the first. */
export const TEMPLATE_DAY = "26 Jul 2024";

type Node = NonNullable<Parameters<Interpreter["evaluate"]>[0]>;
type Value = ReturnType<Interpreter["evaluate"]>;

/**
 * The text that a parsed template writes.
 *
 * @throws {RangeError} If it works too long, or a text or list of it is too large.
 * @throws {Error} What the template itself raises.
 */
export function renderTemplate(
  program: Template["parsed"],
  variables: Readonly<Record<string, unknown>>,
): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) environment.set(name, value);
  return String(new BoundedInterpreter(environment).run(program).value);
}

/** What transformers gives every template beside the conversation. */
const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  range: boundedRange,
  strftime_now: formatDay,
};

/** Counts what is evaluated, measures what comes of it, and strips characters as Python does. */
class BoundedInterpreter extends Interpreter {
  #work = 0;
  /** What one entry of a list counts for where this expression gives it; 1 for those not named. */
  readonly #shares = new Map<Node | undefined, number>();

  override evaluate(node: Node | undefined, environment: Environment): Value {
    if (isPick(node)) this.#shares.set(node.object, 1 / 64);
    if (isLoop(node)) this.#shares.set(node.iterable.lhs ?? node.iterable, 16);
    const value = this.#strip(node, environment) ?? super.evaluate(node, environment);
    const { value: inner } = value;
    if (typeof inner === "string") this.#count(inner.length, MAX_RENDERED_LENGTH, 1 / 16, "characters");
    else if (Array.isArray(inner)) {
      this.#count(inner.length, MAX_LIST_LENGTH, this.#shares.get(node) ?? 1, "entries");
    } else this.#count(0, 0, 0, "");
    return value;
  }

  /** One expression, and `share` more for each unit of its value. */
  #count(size: number, most: number, share: number, units: string): void {
    if (size > most) throw new RangeError(`it makes a value of ${size} ${units}, more than ${most}`);
    this.#work += 1 + size * share;
    if (this.#work > MAX_TEMPLATE_WORK) {
      throw new RangeError(`it works too long (more than ${MAX_TEMPLATE_WORK} expressions)`);
    }
  }

  /** `text.strip(characters)`, lstrip and rstrip: the interpreter strips white space whatever they are given. */
  #strip(node: Node | undefined, environment: Environment): Value | null {
    if (!isCall(node) || node.args.length !== 1 || !isMember(node.callee)) return null;
    const { object, property } = node.callee, method = String(property.value);
    if (!/^[lr]?strip$/.test(method)) return null;
    const text = this.evaluate(object, environment).value;
    const characters = this.evaluate(node.args[0], environment).value;
    if (typeof text !== "string" || typeof characters !== "string") return null;
    return new Environment().set("stripped", stripped(text, characters, method));
  }
}

/** `for variable in iterable` of the parsed template; an iterable with an `if` has its list in `lhs`. */
interface LoopNode extends Node {
  readonly iterable: Node & { readonly lhs?: Node };
}

/** `object.property` or `object[property]` of the parsed template. */
interface MemberNode extends Node {
  readonly object: Node;
  readonly property: Node & { readonly value?: unknown };
  readonly computed: boolean;
}

/** `callee(args)` of the parsed template. */
interface CallNode extends Node {
  readonly callee: Node;
  readonly args: readonly Node[];
}

const isLoop = (node: Node | undefined): node is LoopNode => node?.type === "For";
const isMember = (node: Node | undefined): node is MemberNode => node?.type === "MemberExpression";
/** Whether one entry is taken: all of a list is at hand, and little of it is touched. */
const isPick = (node: Node | undefined): node is MemberNode =>
  isMember(node) && node.property.type !== "SliceExpression";
const isCall = (node: Node | undefined): node is CallNode => node?.type === "CallExpression";

function stripped(text: string, characters: string, method: string): string {
  const set = new Set(characters), points = [...text];
  let first = 0, end = points.length;
  if (method !== "rstrip") { while (first < end && set.has(points[first]!)) first++; }
  if (method !== "lstrip") { while (first < end && set.has(points[end - 1]!)) end--; }
  return points.slice(first, end).join("");
}

function boundedRange(...bounds: number[]): number[] {
  const [start, stop, step = 1] = bounds.length < 2
    ? [0, bounds[0] ?? 0]
    : bounds as [number, number, number?];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MAX_LIST_LENGTH)) {
    throw new RangeError(`range() of ${length} entries, more than ${MAX_LIST_LENGTH}`);
  }
  return Array.from({ length }, (_, i) => start + i * step);
}

/** `TEMPLATE_DAY` at midnight by the letters of C's strftime; other letters stay as they are. */
function formatDay(format: string): string {
  const [day, month, year] = TEMPLATE_DAY.split(" ") as [string, string, string];
  const parts: Readonly<Record<string, string>> = {
    "%d": day,
    "%b": month,
    "%B": "July",
    "%m": "07",
    "%y": year.slice(2),
    "%Y": year,
    "%a": "Fri",
    "%A": "Friday",
    "%H": "00",
    "%M": "00",
    "%S": "00",
    "%%": "%",
  };
  return format.replace(/%./g, (letters) => parts[letters] ?? letters);
}
