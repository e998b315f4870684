/**
 * A tokenizer's files as GGUF metadata: byte-level BPE (`gpt2`), and SentencePiece with byte fallback (`llama`), whose
 * merges become scores.
 *
 * llama.cpp knows ways to cut text by name only. The name is found by trying: the file's tokenizer is read back as
 * `checkpoint/gguf_tokenizer.ts` reads any other, and must give the same ids for texts that are cut in many ways.
 *
 * @module
 */
import { PRE_TOKENIZERS } from "../checkpoint/gguf_pre_tokenizers.ts";
import { bool, f32s, type GgufEntry, i32s, text, texts, u32 } from "../checkpoint/gguf_writer.ts";
import { ChatTemplate } from "../data/chat_template.ts";
import { Tokenizer } from "../data/tokenizer.ts";
import { readTokenizerFiles, type TokenizerFiles } from "../data/tokenizer_files.ts";
import { ModelFormatError, UnsupportedModelError } from "../errors.ts";
import { readStopTokens, turnEndId } from "../generate/prompt.ts";
import type { ModelConfig } from "../models/config.ts";
import type { ReadableFolder } from "../storage.ts";
import { sameCut } from "./pre_tokenizer_match.ts";
import { firstDifference } from "./tokenizer_probe.ts";

/** A tokenizer as metadata, and what a chat with it needs. */
export interface GgufVocabulary {
  /** Full keys. */
  readonly entries: ReadonlyMap<string, GgufEntry>;
  /** What the metadata was made from. */
  readonly tokenizer: Tokenizer;
  /** Null for a model without one. */
  readonly template: ChatTemplate | null;
  /** Texts of the tokens that end an answer, by id. */
  readonly stops: readonly string[];
  /** Whether the program that reads the file puts BOS before a text. */
  readonly addsBos: boolean;
}

/** Kinds of tokens, as GGUF numbers them. */
const Kind = { NORMAL: 1, UNKNOWN: 2, CONTROL: 3, USER_DEFINED: 4, UNUSED: 5, BYTE: 6 } as const;

const SPACE = "▁", BYTE = /^<0x[0-9A-F]{2}>$/;
/** Of tokens that are never joined. */
const NO_SCORE = -1000;

/** What of tokenizer.json's model is read. */
interface Bpe {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (string | readonly [string, string])[];
  readonly byteFallback: boolean;
  /** Place of the first merge that makes a token. */
  readonly ranks: ReadonlyMap<string, number>;
}

/**
 * Reads a model folder's tokenizer.
 *
 * @param config Of the model: its vocabulary is as large as the embedding has rows.
 * @param chatTemplate Jinja in place of the tokenizer's own; null for that.
 * @throws {StorageNotFoundError} If there is no tokenizer. @throws {ModelFormatError} If its files are damaged.
 * @throws {UnsupportedModelError} If GGUF, or llama.cpp, has no such tokenizer.
 */
export async function ggufVocabulary(
  folder: ReadableFolder,
  config: ModelConfig,
  chatTemplate: string | null,
): Promise<GgufVocabulary> {
  const files = await readTokenizerFiles(folder), tokenizer = await Tokenizer.load(folder);
  const bpe = readBpe(files);
  const jinja = chatTemplate ?? tokenizer.chatTemplate;
  const template = jinja === null ? null : new ChatTemplate(jinja, tokenizer);
  const stopIds = await readStopTokens(folder, config, tokenizer, template);
  const bare = tokenizer.encode("a"), whole = tokenizer.encode("a", { addSpecialTokens: true });
  const addsBos = tokenizer.bosTokenId !== null && whole[0] === tokenizer.bosTokenId && bare[0] !== whole[0];
  const addsEos = tokenizer.eosTokenId !== null && whole.at(-1) === tokenizer.eosTokenId &&
    bare.at(-1) !== whole.at(-1);
  const vocabulary = listTokens(files, bpe, config.vocabSize);
  const eos = tokenizer.eosTokenId ?? config.eosTokenIds[0] ?? null,
    turnEnd = template && turnEndId(tokenizer, template);
  const ids = new Map<string, number | null>([
    ["bos", tokenizer.bosTokenId],
    ["eos", eos],
    ["eot", turnEnd === eos ? null : turnEnd],
    ["unknown", idOf(tokenizer, files.specialTokens.unk_token)],
    ["padding", idOf(tokenizer, files.specialTokens.pad_token) ?? config.padTokenId],
  ]);
  const common: [string, GgufEntry][] = [
    ["tokens", texts(vocabulary.tokens)],
    ["token_type", i32s(vocabulary.kinds)],
    ...[...ids].flatMap(([name, id]): [string, GgufEntry][] =>
      id === null || id >= config.vocabSize ? [] : [[`${name}_token_id`, u32(id)]]
    ),
    ["add_bos_token", bool(addsBos)],
    ["add_eos_token", bool(addsEos)],
  ];
  const withTemplate = (entries: readonly [string, GgufEntry][]) =>
    new Map([
      ...entries.map(([key, entry]): [string, GgufEntry] => [`tokenizer.ggml.${key}`, entry]),
      ...(jinja === null ? [] : [["tokenizer.chat_template", text(jinja)] as [string, GgufEntry]]),
    ]);
  const entries = bpe.byteFallback
    ? withTemplate([
      ["model", text("llama")],
      ["pre", text("default")],
      ...common,
      ...scored(files, bpe, vocabulary),
    ])
    : await named(
      files,
      tokenizer,
      (pre) =>
        withTemplate([["model", text("gpt2")], ["pre", text(pre)], ...common, [
          "merges",
          texts(mergeLines(bpe)),
        ]]),
    );
  if (bpe.byteFallback) {
    const different = await firstDifference(tokenizer, entries);
    if (different !== null) throw noSuchTokenizer(folder.uri, "llama", different);
  }
  const stops = [...stopIds].sort((a, b) => a - b).map((id) => tokenizer.decode([id])).filter((stop) =>
    stop !== ""
  );
  return { entries, tokenizer, template, stops, addsBos };
}

function readBpe({ tokenizer, uri }: TokenizerFiles): Bpe {
  const model = tokenizer.model as Record<string, unknown>;
  const isByteLevel = /"ByteLevel"/.test(JSON.stringify([tokenizer.pre_tokenizer, tokenizer.decoder]));
  const byteFallback = model.byte_fallback === true;
  if (model.type !== "BPE" || !(isByteLevel || byteFallback)) {
    const found = model.type === "BPE" ? "BPE without bytes" : String(model.type);
    throw new UnsupportedModelError(
      `Cannot export the tokenizer of "${uri}" as GGUF: it is ${found}, and byte-level BPE or BPE with byte fallback is ` +
        "supported",
    );
  }
  const merges = model.merges as Bpe["merges"], ranks = new Map<string, number>();
  for (const [i, merge] of merges.entries()) {
    const joined = pairOf(merge).join("");
    if (!ranks.has(joined)) ranks.set(joined, i);
  }
  return { vocab: model.vocab as Bpe["vocab"], merges, byteFallback, ranks };
}

function pairOf(merge: string | readonly [string, string]): readonly [string, string] {
  if (typeof merge !== "string") return merge;
  const at = merge.indexOf(" ", 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

function mergeLines({ merges }: Bpe): string[] {
  return merges.map((merge) => pairOf(merge).join(" "));
}

interface TokenList {
  readonly tokens: readonly string[];
  readonly kinds: readonly number[];
}

/** Every row of the embedding has a token; those that the tokenizer does not have are marked as unused. */
function listTokens({ addedTokens, specialTokens, uri }: TokenizerFiles, bpe: Bpe, rows: number): TokenList {
  const tokens: (string | undefined)[] = new Array(rows).fill(undefined),
    kinds = new Array<number>(rows).fill(Kind.UNUSED);
  for (const [token, id] of Object.entries(bpe.vocab)) {
    if (id >= rows) {
      throw new ModelFormatError(
        `Cannot export "${uri}": token ${JSON.stringify(token)} has id ${id}, the embedding has ${rows} rows`,
      );
    }
    tokens[id] = token;
    kinds[id] = bpe.byteFallback && BYTE.test(token) ? Kind.BYTE : Kind.NORMAL;
  }
  for (const { id, content, special } of addedTokens) {
    if (id >= rows) continue; // such as the image token of a text model: nothing is computed of it
    // runs of spaces are joined by merges: their own spelling is found in text that holds it, which none does
    if (bpe.byteFallback && !special && content.includes(SPACE) && bpe.ranks.has(content)) continue;
    // SentencePiece's other tokens are found in text that still has its spaces
    tokens[id] = !special && bpe.byteFallback ? content.replaceAll(SPACE, " ") : content;
    kinds[id] = bpe.byteFallback && content === specialTokens.unk_token
      ? Kind.UNKNOWN
      : special
      ? Kind.CONTROL
      : Kind.USER_DEFINED;
  }
  return { tokens: tokens.map((token, id) => token ?? `[PAD${id}]`), kinds };
}

/** Scores that join in the order of the merges, and whether a space is put before a text. */
function scored(
  { tokenizer }: TokenizerFiles,
  bpe: Bpe,
  { tokens, kinds }: TokenList,
): [string, GgufEntry][] {
  const scores = tokens.map((token, id) => {
    if (kinds[id] === Kind.BYTE) return 0;
    return kinds[id] === Kind.NORMAL ? 0 - (bpe.ranks.get(token) ?? bpe.merges.length) : NO_SCORE;
  });
  return [["scores", f32s(scores)], ["add_space_prefix", bool(prefixesSpace(tokenizer))]];
}

function prefixesSpace({ normalizer, pre_tokenizer }: Readonly<Record<string, unknown>>): boolean {
  const rules = JSON.stringify([normalizer, pre_tokenizer]);
  if (rules.includes('"Prepend"')) return true;
  return rules.includes('"Metaspace"') && !/"prepend_scheme":"never"|"add_prefix_space":false/.test(rules);
}

/** The entries under the name of the way to cut that gives the tokenizer's ids. */
async function named(
  { tokenizer: json, uri }: TokenizerFiles,
  tokenizer: Tokenizer,
  entriesOf: (pre: string) => Map<string, GgufEntry>,
): Promise<Map<string, GgufEntry>> {
  const distinct = [...PRE_TOKENIZERS].filter(([, way], i, all) =>
    all.findIndex(([, other]) => other === way) === i
  );
  const alike = distinct.filter(([, way]) => sameCut(json, way)),
    others = distinct.filter((way) => !alike.includes(way));
  let different = "";
  for (const [pre] of [...alike, ...others]) {
    const entries = entriesOf(pre), found = await firstDifference(tokenizer, entries);
    if (found === null) return entries;
    different ||= found;
  }
  throw noSuchTokenizer(uri, distinct.map(([pre]) => pre).join(", "), different);
}

function noSuchTokenizer(uri: string, known: string, probe: string): UnsupportedModelError {
  return new UnsupportedModelError(
    `Cannot export the tokenizer of "${uri}" as GGUF: none of llama.cpp's ways to cut text that are known here ` +
      `(${known}) gives its ids for ${
        JSON.stringify(probe)
      }; export the merged folder and convert it with llama.cpp`,
  );
}

function idOf(tokenizer: Tokenizer, token: string | undefined): number | null {
  if (token === undefined) return null;
  const ids = tokenizer.encode(token);
  return ids.length === 1 ? ids[0]! : null;
}
