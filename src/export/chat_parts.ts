/**
 * A chat template taken apart: the fixed texts around system, user and assistant messages. Ollama has templates of its own
 * language, which must give the same text as the Jinja that was trained with.
 *
 * The parts are found by rendering short conversations, and hold only if they give the text of every other one that is
 * tried.
 *
 * @module
 */
import { type ChatTemplate, ChatTemplateError } from "../data/chat_template.ts";
import type { Message } from "../data/formats.ts";

/** What stands around messages. */
export interface ChatParts {
  /** Before the first user turn, where there is no system message. */
  readonly head: string;
  /** Around a system message; null for a template that takes none. */
  readonly system: {
    readonly before: string;
    readonly after: string;
    /** Whether it stands inside the first user turn, whose own opening it then replaces. */
    readonly inUserTurn: boolean;
  } | null;
  readonly user: { readonly before: string; readonly after: string };
  readonly assistant: { readonly before: string; readonly after: string };
  /** After a user turn that is to be answered. */
  readonly prompt: string;
}

const USER = "qwx user one", ANSWER = "qwx answer one", NEXT = "qwx user two", SYSTEM = "qwx system one";

const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
const system = (content: string): Message => ({ role: "system", content });

/**
 * The parts of a template; null for one that cannot be taken apart so. One that writes the system message before the last
 * user turn takes none.
 *
 * @param leftOut Text that is not counted where a conversation begins with it: a BOS that is put there otherwise.
 */
export function chatParts(template: ChatTemplate, leftOut: string | null): ChatParts | null {
  const render = (messages: readonly Message[], prompt = true) =>
    rendered(template, messages, prompt, leftOut);
  const long = cut(render([user(USER), assistant(ANSWER), user(NEXT)]), [USER, ANSWER, NEXT]);
  const open = cut(render([user(USER)], false), [USER]);
  const answered = cut(render([user(USER), assistant(ANSWER)], false), [USER, ANSWER]);
  if (!long || !open || !answered) return null;
  const [opening, between, afterAnswer, prompt] = long as [string, string, string, string];
  const userAfter = commonStart(commonStart(open[1]!, between), prompt);
  const answerAfter = commonStart(answered[2]!, afterAnswer),
    userBefore = afterAnswer.slice(answerAfter.length);
  if (!opening.endsWith(userBefore)) return null;
  const parts: ChatParts = {
    head: withoutEnd(opening, userBefore),
    system: systemParts(cut(render([system(SYSTEM), user(USER)]), [SYSTEM, USER]), userBefore),
    user: { before: userBefore, after: userAfter },
    assistant: { before: between.slice(userAfter.length), after: answerAfter },
    prompt: prompt.slice(userAfter.length),
  };
  // a system message that stands elsewhere in longer conversations has no place that holds
  const found = [parts, { ...parts, system: null }];
  return found.find((tried) => TRIALS.every((trial) => holds(tried, trial, render))) ?? null;
}

/** Conversations that the parts must give the text of. */
const TRIALS: readonly (readonly Message[])[] = [
  [user("Hi")],
  [user("Hi there."), assistant("Hello!\n\nHow are you?"), user("Fine, {{ thanks }}.")],
  [user("1"), assistant("2"), user("3"), assistant("4"), user("5")],
  [system("Be brief."), user("Hi")],
  [system("Be brief.\n\nBe kind."), user("1"), assistant("2"), user("3"), assistant("4"), user("5")],
];

function holds(
  parts: ChatParts,
  trial: readonly Message[],
  render: (messages: readonly Message[]) => string | null,
): boolean {
  if (trial[0]!.role === "system" && parts.system === null) return true;
  return render(trial) === joinedParts(parts, trial);
}

/** The text of a conversation that ends with the user, made from parts. */
export function joinedParts(
  { head, system, user, assistant, prompt }: ChatParts,
  messages: readonly Message[],
): string {
  const [first] = messages, given = first?.role === "system" ? first.content : null;
  let text = given === null || !system ? head : system.before + given + system.after;
  const turns = messages.filter(({ role }) => role !== "system");
  for (const [i, { role, content }] of turns.entries()) {
    if (role === "assistant") text += assistant.before + content + assistant.after;
    else {
      const opened = i === 0 && given !== null && system !== null && system.inUserTurn;
      text += (opened ? "" : user.before) + content + user.after;
    }
  }
  return text + prompt;
}

function systemParts(found: readonly string[] | null, userBefore: string): ChatParts["system"] {
  if (!found) return null;
  const [before, between] = found as [string, string, string];
  const ownTurn = between.endsWith(userBefore);
  return { before, after: ownTurn ? withoutEnd(between, userBefore) : between, inUserTurn: !ownTurn };
}

/** Null for a conversation that the template refuses. */
function rendered(
  template: ChatTemplate,
  messages: readonly Message[],
  prompt: boolean,
  leftOut: string | null,
): string | null {
  try {
    const text = template.render(messages, prompt);
    return leftOut && text.startsWith(leftOut) ? text.slice(leftOut.length) : text;
  } catch (error) {
    if (error instanceof ChatTemplateError) return null;
    throw error;
  }
}

/** What stands before, between and after the words; null where one is missing, or they stand in another order. */
function cut(text: string | null, words: readonly string[]): string[] | null {
  if (text === null) return null;
  const pieces: string[] = [];
  let from = 0;
  for (const word of words) {
    const at = text.indexOf(word, from);
    if (at < 0) return null;
    pieces.push(text.slice(from, at));
    from = at + word.length;
  }
  return [...pieces, text.slice(from)];
}

function commonStart(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return a.slice(0, length);
}

function withoutEnd(text: string, end: string): string {
  return text.slice(0, text.length - end.length);
}
