/**
 * Whether the tokenizer that a GGUF file will hold gives the ids of the model's own: it is read back as
 * `checkpoint/gguf_tokenizer.ts` reads any file's, and tried.
 *
 * @module
 */
import type { GgufValue } from "../checkpoint/gguf.ts";
import { ggufTokenizer } from "../checkpoint/gguf_tokenizer.ts";
import type { GgufEntry } from "../checkpoint/gguf_writer.ts";
import { TextFolder } from "../checkpoint/text_folder.ts";
import { Tokenizer } from "../data/tokenizer.ts";

/** Texts that the known ways to cut cut differently. */
const PROBES = [
  "Hello, world! It's 3.14 or 12345678 and they'LL say I'VE.",
  "  two  spaces\n\n\tand\ttabs \r\n lines\n\n\n end ",
  `a${" ".repeat(40)}b${"\n".repeat(40)}c${"\t".repeat(9)}`,
  "camelCase HTTPServer ÀÉîõ e\u0301tude naïve Straße ǅ",
  "日本語と中文 한국어 العربية हिन्दी ไทย 👩‍👩‍👧🏽 Ⅷ ½ ²",
  "a_b-c/d\\e (f)[g]{h} <i> == != -> ::: ... $5 100% 'quoted' \"double\"",
  "ÿ\u0000\u001f\u00a0\u3000x",
];

/** The first probe that the file's tokenizer gives other ids for; null for none. */
export async function firstDifference(
  tokenizer: Tokenizer,
  entries: ReadonlyMap<string, GgufEntry>,
): Promise<string | null> {
  const metadata = new Map<string, GgufValue>([["general.architecture", "llama"]]);
  for (const [key, entry] of entries) {
    if (entry.kind === "f32s") metadata.set(key, Float32Array.from(entry.value));
    else if (entry.kind === "i32s") metadata.set(key, Int32Array.from(entry.value));
    else metadata.set(key, entry.value as GgufValue);
  }
  const { tokenizer: json, config } = ggufTokenizer({ uri: "the file", metadata, infos: new Map() });
  const texts = new Map([["tokenizer.json", JSON.stringify(json)], [
    "tokenizer_config.json",
    JSON.stringify(config),
  ]]);
  const back = await Tokenizer.load(new TextFolder("the file", texts));
  const ids = (of: Tokenizer, probe: string) => of.encode(probe, { addSpecialTokens: true }).join();
  return PROBES.find((probe) => ids(tokenizer, probe) !== ids(back, probe)) ?? null;
}
