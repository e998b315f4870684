/**
 * Which tokens of a conversation the loss counts: what the model writes itself, and nothing it is given.
 *
 * @module
 */

import { encodeWithBoundaries } from "./boundaries.ts";
import { type ChatTemplate, ChatTemplateError } from "./chat_template.ts";
import { isTrained, type Message } from "./formats.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Label of a token that the loss does not count, as in PyTorch and Hugging Face. */
export const IGNORE_INDEX = -100;

/** Ids with their labels, unshifted: `labels[t]` is `ids[t]` or IGNORE_INDEX. */
export interface LabelledIds {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
  /** Whether earlier assistant turns went untrained because the template renders them differently later on. */
  readonly onlyLastTurn: boolean;
}

/** From where to where a rendered conversation is trained, in UTF-16 units. */
interface Span {
  readonly start: number;
  readonly end: number;
  /** Whether it ends with a special token that the template wrote. */
  readonly marked: boolean;
}

/**
 * Renders and encodes a conversation, and labels its assistant turns.
 *
 * A turn is trained from behind its header (`<|im_start|>assistant\n`, found as what the template writes when asked
 * for a generation prompt) to the last special token that the template writes for it (`<|im_end|>`): an answer that
 * stops. White space behind that token is not trained, as nothing is generated there. A template that writes no
 * special token behind an answer gets EOS appended after the last one, unless EOS ends the text already. Turns after
 * the last trained one are left out: nothing there is trained, and no answer sees it.
 *
 * The rendered text is encoded without the tokenizer's own BOS and EOS, as `apply_chat_template` does, so a BOS that
 * the template writes is never doubled. Ids equal those of the whole text.
 *
 * Some templates (Qwen3's) render an assistant turn differently once another follows. Then only the last turn is
 * trained.
 *
 * @param allowSpecialTokens Whether special-token text inside the messages becomes special tokens; default false.
 * @throws {ChatTemplateError} If the template refuses the conversation, or where its answer begins cannot be told.
 */
export function labelChat(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly Message[],
  allowSpecialTokens = false,
): LabelledIds {
  const turns = messages.slice(0, messages.findLastIndex(isTrained) + 1).map((message) =>
    allowSpecialTokens ? message : { ...message, content: tokenizer.literal(message.content) }
  );
  const text = template.render(turns, false);
  const trained = turns.flatMap((turn, i) => isTrained(turn) ? [i] : []);
  const last = lastSpan(tokenizer, template, turns, text);
  const earlier = trained.slice(0, -1).map((i) =>
    earlierSpan(tokenizer, template, turns, i, text, last.marked)
  );
  const stable = earlier.every((span) => span !== null);
  const spans = stable ? [...earlier, last] : [last];
  const { ids, labels } = labelSpans(tokenizer, text, spans);
  const { eosTokenId } = tokenizer;
  if (!last.marked && eosTokenId !== null && ids.at(-1) !== eosTokenId) {
    ids.push(eosTokenId);
    labels.push(eosTokenId);
  }
  return { ids, labels, onlyLastTurn: !stable };
}

function labelSpans(tokenizer: Tokenizer, text: string, spans: readonly Span[]) {
  const { ids, counts } = encodeWithBoundaries(
    tokenizer,
    text,
    spans.flatMap(({ start, end }) => [start, end]),
  );
  const labels = new Array<number>(ids.length).fill(IGNORE_INDEX);
  for (let span = 0; span < spans.length; span++) {
    for (let t = counts[2 * span]!; t < counts[2 * span + 1]!; t++) labels[t] = ids[t]!;
  }
  return { ids: [...ids], labels };
}

function lastSpan(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  turns: readonly Message[],
  text: string,
): Span {
  const header = template.render(turns.slice(0, -1), true);
  if (!text.startsWith(header) || header.length === text.length) {
    throw new ChatTemplateError(
      "the chat template writes a generation prompt that does not begin the answer, so where the answer starts " +
        "cannot be told: begin with a user turn, or give another template",
    );
  }
  const end = tokenizer.endOfLastSpecialToken(text.slice(header.length));
  const marked = end !== -1;
  return { start: header.length, end: marked ? header.length + end : text.length, marked };
}

/**
 * The span of an assistant turn that others follow; null if the template renders it differently then. Compared with
 * the conversation that stops at this turn, because a template may close a conversation with one more token (Phi-3).
 */
function earlierSpan(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  turns: readonly Message[],
  turn: number,
  text: string,
  marked: boolean,
): Span | null {
  const header = template.render(turns.slice(0, turn), true);
  if (!text.startsWith(header)) return null;
  const stopped = template.render(turns.slice(0, turn + 1), false);
  const start = header.length;
  if (!marked) return text.startsWith(stopped) ? { start, end: stopped.length, marked } : null;
  const tail = text.slice(start, commonLength(stopped, text));
  const content = turns[turn]!.content.trim();
  const end = tokenizer.endOfLastSpecialToken(tail);
  const complete = tail.includes(content) && end >= tail.indexOf(content) + content.length;
  return complete ? { start, end: start + end, marked } : null;
}

/** How many UTF-16 units two texts share at their start. */
function commonLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}
