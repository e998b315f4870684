import { encodeWithBoundaries } from "./boundaries.ts";
import type { ChatTemplate } from "./chat_template.ts";
import type { Conversation, Example } from "./formats.ts";
import { IGNORE_INDEX, labelChat, type LabelledIds, type TrainOn } from "./mask.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** One row as the model sees it. Both arrays have its length. */
export interface TokenizedExample {
  /** Token ids. */
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
  /** Default `completions`. */
  readonly trainOn?: TrainOn;
}

/**
 * Ids and labels of a row; several rows where `labelChat()` makes several.
 *
 * `messages`: see `labelChat()`. `request`: a conversation of one question and answer where there is a template, else
 * `plainRequest()`. `pair`: prompt and completion as one text, of which the completion is trained. `text`: every token
 * is trained. Where no template writes the row, the tokenizer puts BOS by its own rule, once even if the text begins
 * with it; EOS is appended unless the text ends with it; and special-token text becomes special tokens, because
 * whoever writes a whole row writes its markers too.
 *
 * @throws {ChatTemplateError} If the chat template refuses the conversation.
 * @throws {TypeError} If a `messages` row comes without a template.
 */
export function tokenizeExample(example: Example, how: Tokenization): LabelledIds[] {
  const { tokenizer, template, trainOn = "completions" } = how;
  switch (example.kind) {
    case "messages":
      if (!template) throw new TypeError("Cannot tokenise a messages row without a chat template");
      return labelChat(tokenizer, template, example, how);
    case "request":
      if (template) return labelChat(tokenizer, template, asConversation(example), how);
      return [labelText(tokenizer, ...plainRequest(example), trainOn)];
    case "pair":
      return [labelText(tokenizer, example.prompt, example.completion, trainOn)];
    case "text":
      return [labelText(tokenizer, "", example.text, trainOn)];
  }
}

type Request = Extract<Example, { kind: "request" }>;

/** A request as a user asks it: instruction and input, a blank line between them. */
export function asConversation({ instruction, input, output }: Request): Conversation {
  const content = [instruction, input].filter((part) => part.trim() !== "").join("\n\n");
  return { messages: [{ role: "user", content }, { role: "assistant", content: output }] };
}

/**
 * Prompt and completion of a request for a model without a chat template, with the headings of Stanford's Alpaca.
 *
 * @see Taori et al. 2023, Stanford Alpaca, the prompt of its fine-tuning script.
 */
export function plainRequest({ instruction, input, output }: Request): [prompt: string, completion: string] {
  const part = (heading: string, text: string) => text.trim() === "" ? "" : `### ${heading}:\n${text}\n\n`;
  return [`${part("Instruction", instruction)}${part("Input", input)}### Response:\n`, output];
}

/** A whole text, trained from behind the prompt on. */
function labelText(
  tokenizer: Tokenizer,
  prompt: string,
  completion: string,
  trainOn: TrainOn,
): LabelledIds {
  const text = prompt + completion;
  const ids = tokenizer.encode(text, { addSpecialTokens: true });
  const trainedFrom = prompt === "" || trainOn === "all" ? 0 : promptTokens(tokenizer, text, prompt, ids);
  const labels = ids.map((id, t) => t < trainedFrom ? IGNORE_INDEX : id);
  const { bosTokenId, eosTokenId } = tokenizer;
  if (bosTokenId !== null && ids[0] === bosTokenId && ids[1] === bosTokenId) {
    ids.shift();
    labels.shift();
  }
  if (eosTokenId !== null && ids.at(-1) !== eosTokenId) {
    ids.push(eosTokenId);
    labels.push(eosTokenId);
  }
  return { ids, labels };
}

/** How many of the ids belong to the prompt, those that the tokenizer puts before the text included. */
function promptTokens(tokenizer: Tokenizer, text: string, prompt: string, ids: readonly number[]): number {
  const { ids: bare, counts } = encodeWithBoundaries(tokenizer, text, [prompt.length]);
  const added = ids.length - bare.length;
  let before = 0;
  while (before < added && bare.some((id, i) => ids[before + i] !== id)) before++;
  return before + counts[0]!;
}

/** How many labels the loss counts. The first token is never predicted, so its label does not count. */
export function trainedTokens(labels: ArrayLike<number>): number {
  let count = 0;
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORE_INDEX) count++;
  return count;
}
