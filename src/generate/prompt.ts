/**
 * Prompts as token ids, and the ids that end an answer.
 *
 * @module
 */
import { type ChatTemplate, ChatTemplateError } from "../data/chat_template.ts";
import type { Message } from "../data/formats.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { ModelFormatError } from "../errors.ts";
import type { ModelConfig } from "../models/config.ts";
import { type ReadableFolder, readText } from "../storage.ts";

/** The file in which a model says how to generate with it. */
export const GENERATION_CONFIG_FILE = "generation_config.json";

/**
 * Ids of a text to go on from: BOS by the tokenizer's own rule, once, and no EOS. Special-token text becomes special
 * tokens.
 */
export function textPrompt(tokenizer: Tokenizer, text: string): number[] {
  const { bosTokenId, eosTokenId } = tokenizer;
  const bare = tokenizer.encode(text), ids = tokenizer.encode(text, { addSpecialTokens: true });
  if (eosTokenId !== null && ids.at(-1) === eosTokenId && bare.at(-1) !== eosTokenId) ids.pop();
  if (bosTokenId !== null && ids[0] === bosTokenId && ids[1] === bosTokenId) ids.shift();
  return ids.length === 0 && bosTokenId !== null ? [bosTokenId] : ids;
}

/**
 * Ids of a conversation up to where the assistant speaks. Special-token text inside messages stays text.
 *
 * @throws {ChatTemplateError} If the template refuses the conversation.
 */
export function chatPrompt(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly Message[],
): number[] {
  const literal = messages.map((message) => ({ ...message, content: tokenizer.literal(message.content) }));
  return tokenizer.encode(template.render(literal, true));
}

/**
 * Ids that end an answer: `eos_token_id` of generation_config.json and config.json, the tokenizer's EOS, and the special
 * token that the chat template writes behind an assistant's turn, which some models' configs do not name.
 *
 * @throws {ModelFormatError} If generation_config.json is no JSON object, or names no token ids.
 */
export async function readStopTokens(
  folder: ReadableFolder,
  { eosTokenIds }: Pick<ModelConfig, "eosTokenIds">,
  tokenizer: Tokenizer,
  template: ChatTemplate | null,
): Promise<Set<number>> {
  const ids = new Set([...eosTokenIds, ...await generationConfigEos(folder)]);
  if (tokenizer.eosTokenId !== null) ids.add(tokenizer.eosTokenId);
  const turnEnd = template && turnEndId(tokenizer, template);
  if (turnEnd !== null) ids.add(turnEnd);
  return ids;
}

async function generationConfigEos(folder: ReadableFolder): Promise<number[]> {
  if (!await folder.exists(GENERATION_CONFIG_FILE)) return [];
  const uri = `${folder.uri}/${GENERATION_CONFIG_FILE}`;
  let config: { eos_token_id?: unknown } | null;
  try {
    config = JSON.parse(await readText(folder, GENERATION_CONFIG_FILE));
  } catch (error) {
    throw new ModelFormatError(`Cannot read "${uri}": ${(error as Error).message}; fetch it again`);
  }
  const value = config?.eos_token_id ?? [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (ids.every((id): id is number => Number.isInteger(id) && (id as number) >= 0)) return ids;
  throw new ModelFormatError(
    `Cannot read "${uri}": eos_token_id is ${JSON.stringify(value)}, a token id or a list of such is wanted`,
  );
}

/** The first special token behind an assistant's words; null if the template writes none, or refuses the probe. */
export function turnEndId(tokenizer: Tokenizer, template: ChatTemplate): number | null {
  const probe = "qwx";
  let text: string;
  try {
    text = template.render([
      { role: "user", content: "a" },
      { role: "assistant", content: probe },
    ], false);
  } catch (error) {
    if (error instanceof ChatTemplateError) return null;
    throw error;
  }
  const behind = text.slice(text.lastIndexOf(probe) + probe.length);
  const isSpecial = (id: number) =>
    tokenizer.decode([id], { skipSpecialTokens: true }) === "" &&
    tokenizer.decode([id]) !== "";
  return tokenizer.encode(behind).find(isSpecial) ?? null;
}
