import type { ChatTemplate } from "./chat_template.ts";
import type { Example } from "./formats.ts";
import { IGNORE_INDEX, labelChat, type LabelledIds } from "./mask.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** One row as the model sees it. Both arrays have its length. */
export interface TokenizedExample {
  readonly inputIds: Int32Array;
  /** Unshifted: the id itself where the loss counts it, else IGNORE_INDEX. */
  readonly labels: Int32Array;
}

/** How rows become tokens. */
export interface Tokenization {
  readonly tokenizer: Tokenizer;
  /** Needed for `messages` rows. */
  readonly template: ChatTemplate | null;
  /** Whether special-token text inside messages becomes special tokens; default false. */
  readonly allowSpecialTokens?: boolean;
}

/**
 * Ids and labels of a row.
 *
 * `messages`: see `labelChat()`. `text`: every token is trained; the tokenizer puts BOS by its own rule, once even if
 * the text begins with it; EOS is appended unless the text ends with it. Special-token text becomes special tokens,
 * because whoever writes a whole row writes its markers too.
 *
 * @throws {ChatTemplateError} If the chat template refuses the conversation.
 * @throws {TypeError} If a `messages` row comes without a template.
 */
export function tokenizeExample(example: Example, how: Tokenization): LabelledIds {
  const { tokenizer, template, allowSpecialTokens = false } = how;
  if (example.kind === "messages") {
    if (!template) throw new TypeError("Cannot tokenise a messages row without a chat template");
    return labelChat(tokenizer, template, example.messages, allowSpecialTokens);
  }
  const ids = tokenizer.encode(example.text, { addSpecialTokens: true });
  const { bosTokenId, eosTokenId } = tokenizer;
  if (bosTokenId !== null && ids[0] === bosTokenId && ids[1] === bosTokenId) ids.shift();
  if (eosTokenId !== null && ids.at(-1) !== eosTokenId) ids.push(eosTokenId);
  return { ids, labels: ids, onlyLastTurn: false };
}

/**
 * The first `maxLength` tokens of a row.
 *
 * @returns The row, null if none of its tokens is trained; and how many trained tokens were cut off.
 */
export function cutExample(
  { ids, labels }: Pick<LabelledIds, "ids" | "labels">,
  maxLength: number,
): { example: TokenizedExample | null; lostTokens: number } {
  const example = {
    inputIds: Int32Array.from(ids.slice(0, maxLength)),
    labels: Int32Array.from(labels.slice(0, maxLength)),
  };
  const kept = trainedTokens(example.labels);
  return { example: kept === 0 ? null : example, lostTokens: trainedTokens(labels) - kept };
}

/** How many labels the loss counts. The first token is never predicted, so its label does not count. */
export function trainedTokens(labels: ArrayLike<number>): number {
  let count = 0;
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORE_INDEX) count++;
  return count;
}
