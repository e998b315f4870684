import assert from "node:assert/strict";
import { load } from "js-yaml";
import { modelCard, type ModelCardFacts, readLicense } from "../../src/checkpoint/model_card.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

const FACTS: ModelCardFacts = {
  kind: "adapter",
  name: "ember",
  baseModel: "org/tiny",
  baseLicense: { license: "apache-2.0" },
  evalLossBefore: 2.5,
  evalLossAfter: 1.23456,
  baseFormat: null,
  merged: null,
  steps: 120,
  epochs: 3,
  tokens: 45678,
  effectiveBatchSize: 8,
  learningRate: 2e-4,
  schedule: "cosine",
  method: "rank-stabilised LoRA",
  rank: 16,
  alpha: 32,
  dropout: 0,
  targetModules: "all-linear",
  targetNotes: [],
  seed: 42,
  trainFile: { name: "train.jsonl", sha256: "ab12", examples: 900 },
  evalFile: { name: "eval.jsonl", sha256: "cd34", examples: 100 },
  device: { name: "llvmpipe", software: true },
  seconds: 61.4,
  versions: { Lowrank: "0.1.0", Deno: "2.9.6" },
};

/** Fields of a card, of which the tests know the types. */
interface FrontMatter extends Record<string, unknown> {
  readonly tags: readonly string[];
}

const frontMatter = (card: string) => load(/^---\n([^]*?)\n---\n/.exec(card)![1]!) as FrontMatter;

Deno.test("modelCard() tells the Hub what the adapter belongs to", async () => {
  assert.deepEqual(frontMatter(await modelCard(FACTS)), {
    base_model: "org/tiny",
    library_name: "peft",
    license: "apache-2.0",
    pipeline_tag: "text-generation",
    tags: ["base_model:adapter:org/tiny", "lora", "lowrank", "transformers"],
  });
});

Deno.test("modelCard() of a merged model is one of transformers, without PEFT", async () => {
  const card = await modelCard({ ...FACTS, kind: "merged", baseLicense: null });
  const { library_name, tags, license } = frontMatter(card);
  assert.equal(library_name, "transformers");
  assert.equal(tags[0], "base_model:finetune:org/tiny");
  assert.equal(license, undefined);
  assert.ok(!card.includes("peft"));
  assert.ok(card.includes("AutoModelForCausalLM.from_pretrained("));
});

Deno.test("modelCard() holds the run's numbers and how to load the result", async () => {
  const card = await modelCard(FACTS);
  for (
    const part of [
      "# ember",
      "100 examples of `eval.jsonl`, nats per token: **2.5000** before, **1.2346** after.",
      "| training data | `train.jsonl`, 900 examples, SHA-256 `ab12` |",
      "| evaluation data | `eval.jsonl`, 100 examples, SHA-256 `cd34` |",
      "| steps | 120 (3 epochs, 8 examples a step) |",
      "| tokens | 45678 |",
      "| learning rate | 0.0002, cosine |",
      "| method | rank-stabilised LoRA |",
      "| rank, alpha, dropout | 16, 32, 0 |",
      "| adapted | `all-linear` |",
      "| GPU | llvmpipe (software, no real GPU) |",
      "- Lowrank 0.1.0\n- Deno 2.9.6\n",
      'base = "org/tiny"',
      "PeftModel.from_pretrained(",
    ]
  ) assert.ok(card.includes(part), part);
  assert.ok(!card.includes("did not fall"));
});

Deno.test("modelCard() says what the base was quantised to and what merging changed", async () => {
  const merged = {
    merge_base: "original",
    rows: 8,
    tokens: 123,
    loss: { adapter: 1.5, quantized: 1.50004, original: 1.25 },
  } as const;
  const card = await modelCard({ ...FACTS, kind: "merged", baseFormat: "nf4_double", merged });
  assert.ok(card.includes("| base weights | linear maps in `nf4_double` |"));
  assert.ok(card.includes(`Loss of 8 rows (123 tokens), nats per token:

| | |
|---|---|
| adapter on the quantised base | 1.5000 |
| merged onto the quantised values | 1.5000 |
| merged onto the original weights (this model) | 1.2500 |

## How to load it`));
  const plain = await modelCard(FACTS);
  assert.ok(!plain.includes("base weights") && !plain.includes("merged onto"));
});

Deno.test("modelCard() says when the loss did not fall, and when it is not known", async () => {
  assert.match(await modelCard({ ...FACTS, evalLossAfter: 2.5 }), /no better than its base/);
  const unknown = await modelCard({ ...FACTS, evalLossBefore: null, evalLossAfter: null, evalFile: null });
  assert.match(unknown, /no evaluation set/);
  assert.ok(!unknown.includes("evaluation data"));
});

Deno.test("modelCard() keeps its shape whatever files, models and drivers are called", async () => {
  const card = await modelCard({
    ...FACTS,
    baseModel: 'a: "b"\n- c',
    trainFile: { ...FACTS.trainFile, name: "x|`y`\n| z" },
    device: { name: "A|B\nC", software: false },
    targetModules: ["q_proj", "v_proj"],
    targetNotes: ["rank_pattern q_proj=4"],
  });
  assert.equal(frontMatter(card).base_model, 'a: "b"\n- c');
  assert.ok(card.includes("| training data | `x\\|'y' \\| z`, 900 examples"));
  assert.ok(card.includes("| GPU | A\\|B C |"));
  assert.ok(card.includes("| adapted | `q_proj`, `v_proj` |"));
  assert.ok(card.includes(String.raw`base = "a: \"b\"\n- c"`));
});

Deno.test("readLicense() reads the base's card, and takes no card or no YAML as unknown", async () => {
  const read = (card: string) => readLicense(new MemoryFolder("base", { "README.md": card }));
  assert.deepEqual(await read("---\nlicense: mit\ntags: [a]\n---\n# Tiny\n"), { license: "mit" });
  assert.deepEqual(
    await read("\uFEFF---\r\nlicense: other\r\nlicense_name: tiny\r\nlicense_link: LICENSE\r\n---\r\n"),
    {
      license: "other",
      license_name: "tiny",
      license_link: "LICENSE",
    },
  );
  assert.equal(await read("# Tiny\n\n---\nlicense: mit\n---\n"), null);
  assert.equal(await read("---\nlicense: [mit, x]\n---\n"), null);
  assert.equal(await read("---\n: : [\n---\n"), null);
  assert.equal(await readLicense(new MemoryFolder("base")), null);
});
