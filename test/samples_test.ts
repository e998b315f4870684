import assert from "node:assert/strict";
import { IGNORE_INDEX } from "../src/data/mask.ts";
import { heldOutAnswers } from "../src/samples.ts";
import { chatTokenizer } from "./helpers/tiny_tokenizer.ts";

Deno.test("heldOutAnswers() asks what comes before the last trained part, and leaves rows without a question out", async () => {
  const tokenizer = await chatTokenizer();
  const row = (parts: readonly (readonly [string, boolean])[]) => {
    const ids = parts.map(([text, trained]) => [tokenizer.encode(text), trained] as const);
    return {
      inputIds: Int32Array.from(ids.flatMap(([part]) => part)),
      labels: Int32Array.from(
        ids.flatMap(([part, trained]) => trained ? part : part.map(() => IGNORE_INDEX)),
      ),
    };
  };
  const [two, padded, ...none] = heldOutAnswers([
    row([["q1 ", false], ["a1 ", true], ["q2 ", false], ["a2<|end|>", true]]),
    row([["q ", false], ["a", true], ["\n", false]]),
    row([["all trained", true]]),
    row([["nothing trained", false]]),
  ], tokenizer);
  assert.deepEqual([two!.prompt, two!.expected, two!.tokens], ["q1 a1 q2 ", "a2", 3]);
  assert.deepEqual(two!.promptIds, tokenizer.encode("q1 a1 q2 "));
  assert.deepEqual([padded!.prompt, padded!.expected], ["q ", "a"]);
  assert.deepEqual(none, []);
});
