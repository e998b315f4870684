import { ModelFormatError, StorageNotFoundError } from "../errors.ts";
import { type ReadableFolder, readText } from "../storage.ts";

/** Special tokens by their names in `tokenizer_config.json`. */
export type SpecialTokens = Readonly<Partial<Record<typeof SPECIAL_TOKEN_NAMES[number], string>>>;

const SPECIAL_TOKEN_NAMES = ["bos_token", "eos_token", "pad_token", "unk_token"] as const;

/** One entry of `added_tokens` in `tokenizer.json`. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/** What a model folder says of its tokenizer. */
export interface TokenizerFiles {
  readonly uri: string;
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly addedTokens: readonly AddedToken[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly specialTokens: SpecialTokens;
  readonly chatTemplate: string | null;
}

/**
 * Reads a folder's tokenizer files. `tokenizer_config.json` comes before `special_tokens_map.json`, and
 * `chat_template.jinja` before the template in the configuration; of several named templates, the one called
 * `default`, else the first.
 *
 * @throws {StorageNotFoundError} If there is no `tokenizer.json`.
 * @throws {ModelFormatError} If a file is no JSON object, or `tokenizer.json` lacks its parts.
 */
export async function readTokenizerFiles(folder: ReadableFolder): Promise<TokenizerFiles> {
  const names = await folder.list();
  if (!names.includes("tokenizer.json")) throw missing(folder, names);
  const tokenizer = await readObject(folder, "tokenizer.json");
  const optional = async (name: string): Promise<Record<string, unknown>> =>
    names.includes(name) ? await readObject(folder, name) : {};
  const config = await optional("tokenizer_config.json");
  const map = await optional("special_tokens_map.json");
  const template = names.includes("chat_template.jinja")
    ? await readText(folder, "chat_template.jinja")
    : templateIn(config.chat_template);
  return {
    uri: folder.uri,
    tokenizer: { ...tokenizer, pre_tokenizer: withUnicodeDigits(tokenizer.pre_tokenizer) },
    addedTokens: addedTokensOf(tokenizer, folder.uri),
    config,
    specialTokens: specialTokensOf(config, map),
    chatTemplate: template,
  };
}

function missing(folder: ReadableFolder, names: readonly string[]): StorageNotFoundError {
  const found = names.length === 0 ? "no files" : names.slice(0, 12).join(", ");
  const cure = names.includes("tokenizer.model")
    ? "convert tokenizer.model in Python (AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER))"
    : "copy the model's tokenizer.json there";
  return new StorageNotFoundError(
    `Cannot load a tokenizer from "${folder.uri}" as tokenizer.json is not there (found ${found}): ${cure}`,
  );
}

async function readObject(folder: ReadableFolder, name: string): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(await readText(folder, name));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    throw new ModelFormatError(
      `Cannot read "${folder.uri}/${name}" as JSON: ${error.message}; it may be cut short, fetch it again`,
      { cause: error },
    );
  }
  if (isObject(value)) return value;
  throw new ModelFormatError(
    `Cannot read "${folder.uri}/${name}" as it is not a JSON object: fetch it again`,
  );
}

function addedTokensOf(
  { model, added_tokens: tokens = [] }: Record<string, unknown>,
  uri: string,
): AddedToken[] {
  const valid = isObject(model) && Array.isArray(tokens) &&
    tokens.every((token) =>
      isObject(token) && typeof token.content === "string" && Number.isInteger(token.id)
    );
  if (valid) return tokens as AddedToken[];
  throw new ModelFormatError(
    `Cannot use "${uri}/tokenizer.json" as it lacks a "model" or its "added_tokens" lack id and content: ` +
      `fetch the model's files again`,
  );
}

/**
 * The `Digits` rule of `tokenizers` splits at every numeric character (Ⅷ, ½, ²); the encoder at hand (0.2.0) splits
 * at ASCII digits only. Spelled as a `Split`, both agree. The golden ids of "Ⅷ" tell when this may go.
 */
function withUnicodeDigits(rule: unknown): unknown {
  if (!isObject(rule)) return rule;
  if (Array.isArray(rule.pretokenizers)) {
    return { ...rule, pretokenizers: rule.pretokenizers.map(withUnicodeDigits) };
  }
  if (rule.type !== "Digits") return rule;
  const pattern = { Regex: rule.individual_digits ? "\\p{N}" : "\\p{N}+" };
  return { type: "Split", pattern, behavior: "Isolated", invert: false };
}

/** A token is written as its text, or as an object with its text in `content`. */
function specialTokensOf(config: Record<string, unknown>, map: Record<string, unknown>): SpecialTokens {
  const textOf = (token: unknown) => isObject(token) ? token.content : token;
  const entries = SPECIAL_TOKEN_NAMES.map((name) => [name, textOf(config[name]) ?? textOf(map[name])]);
  return Object.fromEntries(entries.filter(([, token]) => typeof token === "string"));
}

function templateIn(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return null;
  const named = value.filter((entry) => isObject(entry) && typeof entry.template === "string");
  return (named.find(({ name }) => name === "default") ?? named[0])?.template ?? null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
