import assert from "node:assert/strict";
import { encodeWithBoundaries } from "../../src/data/boundaries.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { chatTokenizer } from "../helpers/tiny_tokenizer.ts";

const stories = new LocalFolder(new URL("../../../shared/models/stories260K-hf", import.meta.url).pathname);
const haveStories = await stories.exists("tokenizer.json");
const smollm2Path = Deno.env.get("LOWRANK_SMOLLM2_DIR");

const TEXTS = [
  "Hello, world!",
  "emoji 👩\u200d👩\u200d👧 🇫🇷 ok, naïve café",
  "two\n\n feeds\n\n\n\n and three",
  "日本語 と 中文, 3.14159",
  "  spaces   and\ttabs ",
];

/** Every place between two characters. */
function boundariesOf(text: string): number[] {
  let at = 0;
  return [0, ...[...text].map((character) => at += character.length)];
}

/** How many ids, decoded, stay a beginning of the text before the boundary: tried one by one. */
function slowCount(tokenizer: Tokenizer, ids: readonly number[], before: string): number {
  const fits = ids.map((_, k) => before.startsWith(tokenizer.decode(ids.slice(0, k + 1))));
  return fits.lastIndexOf(true) + 1;
}

function checkEveryBoundary(tokenizer: Tokenizer, text: string): void {
  const whole = tokenizer.encode(text);
  for (const boundary of boundariesOf(text)) {
    const { ids, counts } = encodeWithBoundaries(tokenizer, text, [boundary]);
    assert.deepEqual(ids, whole);
    assert.deepEqual(
      counts,
      [slowCount(tokenizer, whole, text.slice(0, boundary))],
      `${text} at ${boundary}`,
    );
  }
  const some = boundariesOf(text).filter((_, i) => i % 3 === 1);
  assert.deepEqual(
    encodeWithBoundaries(tokenizer, text, some).counts,
    some.map((boundary) => slowCount(tokenizer, whole, text.slice(0, boundary))),
  );
}

Deno.test("encodeWithBoundaries() gives a straddling token to the side where it ends", async () => {
  const tokenizer = await chatTokenizer();
  assert.deepEqual(encodeWithBoundaries(tokenizer, "a\n\n b", [1, 2, 3]).counts, [1, 1, 2]);
});

Deno.test("encodeWithBoundaries() finds every boundary of real text, byte by byte", async () => {
  const tokenizer = await chatTokenizer();
  for (const text of TEXTS) checkEveryBoundary(tokenizer, text);
});

Deno.test({
  name: "encodeWithBoundaries() finds every boundary with SmolLM2's tokenizer (needs LOWRANK_SMOLLM2_DIR)",
  ignore: smollm2Path === undefined,
  async fn() {
    const tokenizer = await Tokenizer.load(new LocalFolder(smollm2Path!));
    for (const text of TEXTS) checkEveryBoundary(tokenizer, text);
  },
});

Deno.test({
  name: "encodeWithBoundaries() finds every boundary where texts get a leading space (needs shared data)",
  ignore: !haveStories,
  async fn() {
    const tokenizer = await Tokenizer.load(stories);
    for (const text of TEXTS.slice(0, 3)) checkEveryBoundary(tokenizer, text);
  },
});
