/**
 * The tokenizer of a GGUF file as tokenizer.json and tokenizer_config.json spell it, so that the same code reads both:
 * byte-level BPE (`gpt2`), and SentencePiece with byte fallback (`llama`), whose scores become merges.
 *
 * @module
 */
import type { GgufDescription } from "./gguf_fields.ts";
import { PRE_TOKENIZERS } from "./gguf_pre_tokenizers.ts";
import { TokenizerFields } from "./gguf_tokenizer_fields.ts";

/** The two files of a tokenizer. */
export interface GgufTokenizer {
  /** tokenizer.json */
  readonly tokenizer: Readonly<Record<string, unknown>>;
  /** tokenizer_config.json */
  readonly config: Readonly<Record<string, unknown>>;
}

/** The parts of tokenizer.json that differ between the two kinds. */
interface Pipeline {
  readonly model: Readonly<Record<string, unknown>>;
  readonly normalizer: object | null;
  readonly preTokenizer: object | null;
  readonly decoder: object;
  readonly addsBos: boolean;
}

/** A vocabulary and how its tokens are used. */
interface Vocabulary {
  readonly tokens: readonly string[];
  readonly ids: ReadonlyMap<string, number>;
  /** Kind of each token, as {@link Kind} numbers them. */
  readonly kinds: ArrayLike<number>;
}

const Kind = { NORMAL: 1, UNKNOWN: 2, CONTROL: 3, USER_DEFINED: 4 } as const;

const SPACE = "▁";

/**
 * Reads a file's tokenizer.
 *
 * @throws {ModelFormatError} If its metadata contradicts itself or lacks a part.
 * @throws {UnsupportedModelError} If it is of another kind, or cuts text in a way that is not known.
 */
export function ggufTokenizer(file: GgufDescription): GgufTokenizer {
  const reader = new TokenizerFields(file), vocabulary = readVocabulary(reader);
  const kind = reader.text("model");
  if (kind !== "gpt2" && kind !== "llama") {
    throw reader.unsupported(`a tokenizer of kind "${kind}"`, "gpt2, llama");
  }
  const pipeline = kind === "gpt2" ? byteLevelBpe(reader, vocabulary) : sentencePiece(reader, vocabulary);
  const tokenAt = (name: string) => reader.special(name, vocabulary.tokens);
  const bos = tokenAt("bos"),
    eos = tokenAt("eos"),
    padding = tokenAt("padding"),
    unknown = tokenAt("unknown");
  const addsBos = reader.flag("add_bos_token", pipeline.addsBos),
    addsEos = reader.flag("add_eos_token", false);
  const template = file.metadata.get("tokenizer.chat_template");
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: addedTokens(vocabulary),
      normalizer: pipeline.normalizer,
      pre_tokenizer: pipeline.preTokenizer,
      post_processor: surroundings(addsBos ? bos : null, addsEos ? eos : null, vocabulary),
      decoder: pipeline.decoder,
      model: pipeline.model,
    },
    config: {
      tokenizer_class: "PreTrainedTokenizerFast",
      clean_up_tokenization_spaces: false,
      add_bos_token: addsBos && bos !== null,
      add_eos_token: addsEos && eos !== null,
      ...(bos === null ? {} : { bos_token: bos }),
      ...(eos === null ? {} : { eos_token: eos }),
      ...(padding === null ? {} : { pad_token: padding }),
      ...(unknown === null ? {} : { unk_token: unknown }),
      ...(typeof template === "string" ? { chat_template: template } : {}),
    },
  };
}

function readVocabulary(reader: TokenizerFields): Vocabulary {
  const tokens = reader.texts("tokens");
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (ids.has(token)) {
      throw reader.wrong("tokens", `has ${JSON.stringify(token)} at ${ids.get(token)} and at ${id}`);
    }
    ids.set(token, id);
  }
  return { tokens, ids, kinds: reader.numbers("token_type", tokens.length, Kind.NORMAL) };
}

function byteLevelBpe(reader: TokenizerFields, { ids }: Vocabulary): Pipeline {
  const pre = reader.text("pre", "gpt-2"), known = PRE_TOKENIZERS.get(pre);
  if (!known) {
    throw reader.unsupported(`"tokenizer.ggml.pre" of "${pre}"`, [...PRE_TOKENIZERS.keys()].join(", "));
  }
  const merges = reader.texts("merges").map((merge, i) => {
    const at = merge.indexOf(" ", 1);
    if (at > 0 && at < merge.length - 1) return [merge.slice(0, at), merge.slice(at + 1)];
    throw reader.wrong("merges", `has ${JSON.stringify(merge)} at ${i}, two tokens and a space are wanted`);
  });
  return {
    model: bpe(ids, merges, { ignore_merges: known.ignoreMerges }),
    normalizer: known.normalizer,
    preTokenizer: known.preTokenizer,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    addsBos: known.addsBos,
  };
}

function sentencePiece(reader: TokenizerFields, vocabulary: Vocabulary): Pipeline {
  const { tokens, ids } = vocabulary;
  const scores = reader.numbers("scores", tokens.length);
  const prefixed = reader.flag("add_space_prefix", true);
  const toSpaces = { type: "Replace", pattern: { String: SPACE }, content: " " };
  const fromSpaces = { type: "Replace", pattern: { String: " " }, content: SPACE };
  const prefix = { type: "Prepend", prepend: SPACE };
  const strip = { type: "Strip", content: " ", start: 1, stop: 0 };
  const decoders = [toSpaces, { type: "ByteFallback" }, { type: "Fuse" }];
  return {
    model: bpe(ids, mergesOfScores(vocabulary, scores), {
      unk_token: reader.special("unknown", tokens),
      fuse_unk: true,
      byte_fallback: true,
    }),
    normalizer: prefixed ? { type: "Sequence", normalizers: [prefix, fromSpaces] } : fromSpaces,
    preTokenizer: null,
    decoder: { type: "Sequence", decoders: prefixed ? [...decoders, strip] : decoders },
    addsBos: true,
  };
}

function bpe(
  ids: ReadonlyMap<string, number>,
  merges: readonly string[][],
  settings: object,
): Record<string, unknown> {
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    ...settings,
    vocab: Object.fromEntries(ids),
    merges,
  };
}

/**
 * SentencePiece joins, again and again, the two neighbours whose union is the token of the highest score. Merges do the
 * same if every way to make a token is listed, in the order of the tokens' scores.
 */
function mergesOfScores({ tokens, ids, kinds }: Vocabulary, scores: ArrayLike<number>): string[][] {
  const joined = (id: number) => kinds[id] === Kind.NORMAL || kinds[id] === Kind.USER_DEFINED;
  const byScore = tokens.map((_, id) => id).filter(joined).sort((a, b) => scores[b]! - scores[a]! || a - b);
  return byScore.flatMap((id) => {
    const token = tokens[id]!;
    const ways: string[][] = [];
    for (let at = 1; at < token.length; at++) {
      const left = token.slice(0, at), right = token.slice(at);
      if (ids.has(left) && ids.has(right)) ways.push([left, right]);
    }
    return ways;
  });
}

function addedTokens({ tokens, kinds }: Vocabulary): object[] {
  return tokens.flatMap((content, id) => {
    const special = kinds[id] === Kind.CONTROL || kinds[id] === Kind.UNKNOWN;
    if (!special && kinds[id] !== Kind.USER_DEFINED) return [];
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
}

/** What puts BOS and EOS around a text; null where neither is wanted. */
function surroundings(bos: string | null, eos: string | null, { ids }: Vocabulary): object | null {
  if (bos === null && eos === null) return null;
  const around = (id: "A" | "B", typeId: number) => [
    ...(bos === null ? [] : [{ SpecialToken: { id: bos, type_id: typeId } }]),
    { Sequence: { id, type_id: typeId } },
    ...(eos === null ? [] : [{ SpecialToken: { id: eos, type_id: typeId } }]),
  ];
  const used = [bos, eos].filter((token) => token !== null);
  return {
    type: "TemplateProcessing",
    single: around("A", 0),
    pair: [...around("A", 0), ...around("B", 1)],
    special_tokens: Object.fromEntries(used.map((id) => [id, { id, ids: [ids.get(id)!], tokens: [id] }])),
  };
}
