/**
 * Which tokens of a conversation the loss counts: what the model writes itself, and nothing it is given.
 *
 * @module
 */

import { encodeWithBoundaries } from "./boundaries.ts";
import { type ChatTemplate, ChatTemplateError } from "./chat_template.ts";
import { type Conversation, isTrained } from "./formats.ts";
import type { TextSpan } from "./generation_marks.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Label of a token that the loss does not count, as in PyTorch and Hugging Face. */
export const IGNORE_INDEX = -100;

/** What of a row is trained: its answers, everything, or the last answer. */
export type TrainOn = "completions" | "all" | "last";

/** Ids with their labels, unshifted: `labels[t]` is `ids[t]` or IGNORE_INDEX. */
export interface LabelledIds {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
}

/** From where to where a rendered conversation is trained. */
interface Span extends TextSpan {
  /** Whether it ends with a special token that the template wrote. */
  readonly marked: boolean;
}

/** How conversations are labelled. */
export interface ChatLabelling {
  /** Default `completions`. */
  readonly trainOn?: TrainOn;
  /** Whether special-token text inside the messages becomes special tokens; default false. */
  readonly allowSpecialTokens?: boolean;
}

/**
 * Renders and encodes a conversation, and labels its assistant turns.
 *
 * A turn is trained from behind its header (`<|im_start|>assistant\n`, found as what the template writes when asked
 * for a generation prompt) to the last special token that the template writes for it (`<|im_end|>`): an answer that
 * stops. White space behind that token is not trained, as nothing is generated there. A template that writes no
 * special token behind an answer gets EOS appended after the last one, unless EOS ends the text already. Turns after
 * the last trained one are left out: nothing there is trained, and no answer sees it. Where the template has
 * `{% generation %}`, what that encloses is trained instead.
 *
 * The rendered text is encoded without the tokenizer's own BOS and EOS, as `apply_chat_template` does, so a BOS that
 * the template writes is never doubled. Ids equal those of the whole text.
 *
 * Some templates (Qwen3's) render an assistant turn differently once another follows. Then each trained turn gets a
 * row of its own, which ends with it: what the model sees when it writes that turn.
 *
 * @returns One row, or one for each trained turn.
 * @throws {ChatTemplateError} If the template refuses the conversation, or where its answer begins cannot be told.
 */
export function labelChat(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  conversation: Conversation,
  { trainOn = "completions", allowSpecialTokens = false }: ChatLabelling = {},
): LabelledIds[] {
  const meant = allowSpecialTokens ? conversation : literal(tokenizer, conversation);
  if (trainOn === "all") return [labelAll(tokenizer, template, meant)];
  const last = meant.messages.findLastIndex(isTrained);
  const chat = { ...meant, messages: meant.messages.slice(0, last + 1) };
  const generated = template.generations(chat);
  if (generated) return [labelGenerations(tokenizer, chat, generated, trainOn)];
  const trained = chat.messages.flatMap((turn, i) => isTrained(turn) ? [i] : []);
  const text = template.render(chat.messages, false, chat);
  const lastTurn = lastSpan(tokenizer, template, chat, text);
  const earlier = trainOn === "last"
    ? []
    : trained.slice(0, -1).map((i) => earlierSpan(tokenizer, template, chat, i, text, lastTurn.marked));
  if (earlier.every((span) => span !== null)) {
    return [withEnd(tokenizer, labelSpans(tokenizer, text, [...earlier, lastTurn]), lastTurn.marked)];
  }
  return trained.map((i) => {
    const until = { ...chat, messages: chat.messages.slice(0, i + 1) };
    const rendered = template.render(until.messages, false, until);
    const span = lastSpan(tokenizer, template, until, rendered);
    return withEnd(tokenizer, labelSpans(tokenizer, rendered, [span]), span.marked);
  });
}

/** Every text in the conversation, as text only. */
function literal(tokenizer: Tokenizer, conversation: Conversation): Conversation {
  const { messages, tools, ...rest } = conversation;
  return {
    ...rest,
    messages: messages.map((message) => ({
      ...message,
      content: tokenizer.literal(message.content),
      ...(message.tool_calls ? { tool_calls: literalWithin(tokenizer, message.tool_calls) } : {}),
    })),
    ...(tools ? { tools: literalWithin(tokenizer, tools) } : {}),
  };
}

function literalWithin<T>(tokenizer: Tokenizer, value: T): T {
  const visit = (inner: unknown): unknown => {
    if (typeof inner === "string") return tokenizer.literal(inner);
    if (Array.isArray(inner)) return inner.map(visit);
    if (typeof inner !== "object" || inner === null) return inner;
    return Object.fromEntries(Object.entries(inner).map(([key, held]) => [key, visit(held)]));
  };
  return visit(value) as T;
}

/** Every token of the whole conversation is trained. */
function labelAll(tokenizer: Tokenizer, template: ChatTemplate, chat: Conversation): LabelledIds {
  const text = template.render(chat.messages, false, chat);
  const ids = tokenizer.encode(text);
  return withEnd(tokenizer, { ids, labels: [...ids] }, tokenizer.endOfLastSpecialToken(text) !== -1);
}

/** The spans that the template marks, one for each assistant turn, without those of turns that are not trained. */
function labelGenerations(
  tokenizer: Tokenizer,
  { messages }: Conversation,
  { text, spans }: { readonly text: string; readonly spans: readonly TextSpan[] },
  trainOn: TrainOn,
): LabelledIds {
  const answers = messages.filter(({ role }) => role === "assistant");
  if (spans.length !== answers.length) {
    throw new ChatTemplateError(
      `the chat template's generation tags enclose ${spans.length} parts of ${answers.length} assistant turns, so ` +
        "which turn is trained cannot be told: give another template",
    );
  }
  const kept = spans.filter((_, i) =>
    isTrained(answers[i]!) && (trainOn !== "last" || i === spans.length - 1)
  );
  return labelSpans(tokenizer, text, kept);
}

/** Appends EOS, trained, to a row whose template marks no end of an answer. */
function withEnd(tokenizer: Tokenizer, { ids, labels }: LabelledIds, marked: boolean): LabelledIds {
  const { eosTokenId } = tokenizer;
  if (marked || eosTokenId === null || ids.at(-1) === eosTokenId) return { ids, labels };
  return { ids: [...ids, eosTokenId], labels: [...labels, eosTokenId] };
}

/** A text's ids, labelled within the spans. */
export function labelSpans(
  tokenizer: Tokenizer,
  text: string,
  spans: readonly TextSpan[],
): LabelledIds {
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

function lastSpan(tokenizer: Tokenizer, template: ChatTemplate, chat: Conversation, text: string): Span {
  const header = template.render(chat.messages.slice(0, -1), true, chat);
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
  chat: Conversation,
  turn: number,
  text: string,
  marked: boolean,
): Span | null {
  const { messages } = chat;
  const header = template.render(messages.slice(0, turn), true, chat);
  if (!text.startsWith(header)) return null;
  const stopped = template.render(messages.slice(0, turn + 1), false, chat);
  const start = header.length;
  if (!marked) return text.startsWith(stopped) ? { start, end: stopped.length, marked } : null;
  const tail = text.slice(start, commonLength(stopped, text));
  const content = messages[turn]!.content.trim();
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
