import assert from "node:assert/strict";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { Detokenizer } from "../../src/generate/detokenizer.ts";
import { exactMatch } from "../../src/generate/exact_match.ts";
import type { GeneratedToken, GenerateOptions, Generator } from "../../src/generate/generator.ts";
import { collectTexts, generateText, type TextOptions } from "../../src/generate/text.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { chatTokenizer } from "../helpers/tiny_tokenizer.ts";

/** In the manner of Llama 2: spaces are "▁", the first is dropped, what has no token is spelled in bytes. */
function fallbackTokenizer(): Promise<Tokenizer> {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, "▁", "▁a", "▁the", "b", "c", "."];
  const special = ["<unk>", "<s>", "</s>"].map((content, id) => {
    return {
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    };
  });
  return Tokenizer.load(
    new MemoryFolder("fallback", {
      "tokenizer.json": JSON.stringify({
        added_tokens: special,
        normalizer: {
          type: "Sequence",
          normalizers: [
            { type: "Prepend", prepend: "▁" },
            { type: "Replace", pattern: { String: " " }, content: "▁" },
          ],
        },
        pre_tokenizer: null,
        post_processor: null,
        decoder: {
          type: "Sequence",
          decoders: [
            { type: "Replace", pattern: { String: "▁" }, content: " " },
            { type: "ByteFallback" },
            { type: "Fuse" },
            { type: "Strip", content: " ", start: 1, stop: 0 },
          ],
        },
        model: {
          type: "BPE",
          vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
          merges: [],
          unk_token: "<unk>",
          fuse_unk: true,
          byte_fallback: true,
        },
      }),
      "tokenizer_config.json": JSON.stringify({ bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" }),
    }),
  );
}

/** Ids of byte-fallback tokens. */
const bytesOf = (text: string) => [...new TextEncoder().encode(text)].map((byte) => byte + 3);

function pieces(detokenizer: Detokenizer, ids: readonly number[]): string[] {
  return [...ids.map((id) => detokenizer.push(id)), detokenizer.flush()];
}

Deno.test("Detokenizer gives a character of several byte tokens in one piece, with its last token", async () => {
  const tokenizer = await fallbackTokenizer();
  const a = 260;
  assert.deepEqual(
    pieces(new Detokenizer(tokenizer, [1]), [a, ...bytesOf("🙂"), ...bytesOf("é"), a]),
    ["a", "", "", "", "🙂", "", "é", " a", ""],
  );
  const byteLevel = await chatTokenizer();
  assert.deepEqual(
    pieces(new Detokenizer(byteLevel, []), byteLevel.encode("é👩‍🚀!")),
    ["", "é", "", "", "", "👩", "", "", "\u200d", "", "", "", "🚀", "!", ""],
  );
});

Deno.test("Detokenizer shows bytes that make no character, at the latest at the end", async () => {
  const tokenizer = await fallbackTokenizer();
  const [lead] = bytesOf("é");
  assert.deepEqual(pieces(new Detokenizer(tokenizer, [1]), [lead!, 262]), ["", "\uFFFDb", ""]);
  assert.deepEqual(pieces(new Detokenizer(tokenizer, [1]), [262, lead!]), ["b", "", "\uFFFD"]);
  const endless = pieces(new Detokenizer(tokenizer, [1]), Array(40).fill(lead));
  assert.equal(endless.join(""), "\uFFFD".repeat(40));
  assert.notEqual(endless.slice(0, 20).join(""), "", "an endless row of them is not held for ever");
});

Deno.test("Detokenizer keeps the space before a word that continues a prompt, and drops it at a text's start", async () => {
  const tokenizer = await fallbackTokenizer();
  const [a, the, b] = [260, 261, 262];
  assert.deepEqual(pieces(new Detokenizer(tokenizer, [1, the]), [a, b, the]), [" a", "b", " the", ""]);
  assert.deepEqual(pieces(new Detokenizer(tokenizer, [1]), [a, the]), ["a", " the", ""]);
  assert.deepEqual(pieces(new Detokenizer(tokenizer, []), [259, 259, a]), ["", " ", " a", ""]);
});

Deno.test("Detokenizer pieces make the decoded whole however long the text", async () => {
  const tokenizer = await fallbackTokenizer();
  const ids = Array.from({ length: 300 }, (_, i) => [260, 262, 261, ...bytesOf("é"), 264][(i * 7) % 6]!);
  const want = tokenizer.decode([1, ...ids], { skipSpecialTokens: true });
  assert.equal(pieces(new Detokenizer(tokenizer, [1]), ids).join(""), want);
});

Deno.test("Detokenizer leaves special tokens out, or shows them", async () => {
  const tokenizer = await chatTokenizer();
  const ids = [...tokenizer.encode("hi"), 260];
  assert.deepEqual(pieces(new Detokenizer(tokenizer, [257]), ids), ["h", "i", "", ""]);
  assert.deepEqual(pieces(new Detokenizer(tokenizer, [257], false), ids), ["h", "i", "<|end|>", ""]);
});

/** A generator that says what it is told to, and the options that it was called with. */
function scripted(rows: number, answers: readonly (readonly number[])[]) {
  const calls: { prompts: readonly (readonly number[])[]; options: GenerateOptions }[] = [];
  let answered = 0;
  const generator = {
    size: { rows, length: 99 },
    async *generate(prompts: readonly (readonly number[])[], options: GenerateOptions = {}) {
      calls.push({ prompts, options });
      const stops = new Set(options.stopTokenIds), first = answered;
      answered += prompts.length;
      let open = prompts.map((_, row) => row);
      for (let step = 0; open.length > 0; step++) {
        const news = open.map((row): GeneratedToken => {
          const answer = answers[first + row]!, id = answer[step]!;
          const stopped = stops.has(id) || options.isLast?.(row, id) === true;
          return { row, id, end: stopped ? "stop" : step + 1 === answer.length ? "length" : null };
        });
        open = news.filter(({ end }) => end === null).map(({ row }) => row);
        yield await Promise.resolve(news);
      }
    },
  };
  return { generator: generator as unknown as Generator, calls };
}

async function texts(answers: readonly string[], options: TextOptions = {}) {
  const tokenizer = await chatTokenizer();
  const ids = answers.map((answer) => tokenizer.encode(answer));
  const { generator } = scripted(9, ids);
  const prompts = answers.map(() => [257]);
  const shown: string[] = [], ends: (string | null)[] = [];
  const whole = await collectTexts(
    (async function* () {
      for await (const piece of generateText(generator, tokenizer, prompts, options)) {
        if (piece.row === 0) shown.push(piece.text);
        if (piece.end) ends[piece.row] = piece.end;
        yield piece;
      }
    })(),
    answers.length,
  );
  return { whole, shown, ends };
}

Deno.test("generateText() ends a row before a stop string, and never shows the start of one", async () => {
  const stopStrings = ["\n\n", "User:"];
  const { whole, shown, ends } = await texts(["a Us. User: b", "x\n\ny", "an Use"], { stopStrings });
  assert.deepEqual(whole, ["a Us. ", "x", "an Use"]);
  assert.deepEqual(shown, ["a", " ", "", "", "Us.", " ", "", "", "", "", ""]);
  assert.deepEqual(ends, ["stop", "stop", "length"]);
});

Deno.test("generateText() leaves a stop token out, or shows it", async () => {
  const stopTokenIds = [260];
  assert.deepEqual((await texts(["hi<|end|>no"], { stopTokenIds })).whole, ["hi"]);
  const shown = { stopTokenIds, showSpecialTokens: true };
  assert.deepEqual((await texts(["hi<|end|>no"], shown)).whole, ["hi<|end|>"]);
});

Deno.test("exactMatch() answers in batches, in order, and compares without the space around", async () => {
  const tokenizer = await chatTokenizer();
  const answers = ["4", " 5\n", "six", "7"].map((text) => [...tokenizer.encode(text), 260]);
  const { generator, calls } = scripted(3, answers);
  const rows = ["4", "5", "6", "7 "].map((expected, i) => ({ promptIds: [i], expected }));
  const result = await exactMatch(generator, tokenizer, rows, { stopTokenIds: new Set([260]).values() });
  assert.deepEqual(result, { share: 0.75, matches: 3, answers: ["4", " 5\n", "six", "7"] });
  assert.deepEqual(calls.map(({ prompts }) => prompts), [[[0], [1], [2]], [[3]]]);
  assert.equal((await exactMatch(generator, tokenizer, [])).share, 0);
});
