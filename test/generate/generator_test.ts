import assert from "node:assert/strict";
import { CachedDecoder } from "../../src/generate/cached_decoder.ts";
import { type GenerateOptions, Generator } from "../../src/generate/generator.ts";
import { cacheBytes, KvCache } from "../../src/generate/kv_cache.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { assertClose, exact, tensor } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, onEveryAdapter, withLimits } from "../helpers/gpu.ts";
import { logitsWithoutCache, openTinyModel, TALKATIVE, tokensWithoutCache } from "./open_model.ts";

const NEW_TOKENS = 6;
const PROMPTS = [[257, 5, 17, 99, 260, 4, 258, 31], [200], [257, 42, 42], [
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
  9,
  10,
  11,
]];

/** New tokens of every row. */
async function collect(
  generator: Generator,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions = {},
): Promise<number[][]> {
  const rows: number[][] = prompts.map(() => []);
  for await (
    const tokens of generator.generate(prompts, { ...TALKATIVE, maxNewTokens: NEW_TOKENS, ...options })
  ) {
    for (const { row, id } of tokens) rows[row]!.push(id);
  }
  return rows;
}

for (
  const [name, options] of Object.entries({
    "a tied head": {},
    "an untied head": { tied: false },
    "a head for each key": { config: { num_key_value_heads: 4 } },
    "one key head": { config: { num_key_value_heads: 1 } },
    "an adapter": { adapted: true },
  })
) {
  onEachCompiler(`cached and uncached generation give the same tokens with ${name}`, async (adapter) => {
    const model = await openTinyModel(adapter, options);
    const generator = new Generator(model, { rows: 4, length: 24 });
    const want = [];
    for (const prompt of PROMPTS) want.push(await tokensWithoutCache(model, prompt, NEW_TOKENS));
    assert.deepEqual(await collect(generator, PROMPTS), want);
    assert.ok(new Set(want.flat()).size > 8, "the rows say different things");
    generator.destroy();
    model.destroy();
  });
}

for (const name of ["llvmpipe", "software", "hardware"] as const) {
  const variants = VARIANTS[name];
  onEachCompiler(
    `cached and uncached generation give the same tokens in the ${name} variant`,
    async (adapter) => {
      const model = await openTinyModel(adapter, { variants, adapted: true });
      const generator = new Generator(model, { rows: 4, length: 24 }, variants);
      const want = [];
      for (const prompt of PROMPTS) want.push(await tokensWithoutCache(model, prompt, NEW_TOKENS));
      assert.deepEqual(await collect(generator, PROMPTS), want);
      generator.destroy();
      model.destroy();
    },
  );
}

onEachCompiler(
  "longrope turns by what prompt and answer may come to, and forgets keys turned otherwise",
  async (adapter) => {
    const long_factor = [1, 3, 9, 20, 40, 60], [prompt] = PROMPTS as [number[]];
    const stretched = (short_factor: readonly number[]) => ({
      model_type: "phi3",
      max_position_embeddings: 64,
      original_max_position_embeddings: 12,
      rope_scaling: { type: "longrope", short_factor, long_factor },
    });
    const model = await openTinyModel(adapter, { adapted: true, config: stretched([1, 1, 1, 1, 1, 1]) });
    const alwaysLong = await openTinyModel(adapter, { adapted: true, config: stretched(long_factor) });
    const generator = new Generator(model, { rows: 1, length: 24 });
    const short = await tokensWithoutCache(model, prompt, 4);
    assert.deepEqual(await collect(generator, [prompt], { maxNewTokens: 4 }), [short]);
    const long = await tokensWithoutCache(alwaysLong, prompt, 10);
    assert.deepEqual(await collect(generator, [prompt], { maxNewTokens: 10, reuseCache: true }), [long]);
    assert.notDeepEqual(long.slice(0, 4), short);
    generator.destroy();
    model.destroy();
    alwaysLong.destroy();
  },
);

onEveryAdapter(
  "cached logits are those of a whole forward pass, in passes of any length",
  async (adapter) => {
    const model = await openTinyModel(adapter, { adapted: true });
    const decoder = new CachedDecoder(model, { rows: 2, length: 24 });
    const ids = PROMPTS[3]!, vocab = model.decoder.config.vocabSize;
    const whole = await logitsWithoutCache(model, ids);
    for (const cuts of [[0, 11], [0, 1, 2, 7, 11], [0, 10, 11]]) {
      for (const [i, from] of cuts.slice(0, -1).entries()) {
        const to = cuts[i + 1]!;
        const tokens = ids.slice(from, to).map((id, at) => {
          return { id, row: 1, position: from + at, wanted: from + at === to - 1 };
        });
        const want = whole.subarray((to - 1) * vocab, to * vocab);
        assertClose(await decoder.run(tokens), want, tensor("f32"));
      }
    }
    decoder.destroy();
    model.destroy();
  },
);

onEachCompiler("a vocabulary in several shards gives the logits of one", async (adapter) => {
  const results: Float32Array[] = [];
  for (
    const gpu of [
      adapter.gpu,
      withLimits(adapter.gpu, { maxTextureDimension2D: 100, maxStorageBufferBindingSize: 100 * 32 * 4 * 2 }),
    ]
  ) {
    const variants = VARIANTS.llvmpipe;
    const model = await openTinyModel({ ...adapter, gpu }, { variants });
    const decoder = new CachedDecoder(model, { rows: 2, length: 4 }, variants);
    const tokens = [7, 9].map((id, row) => ({ id, row, position: 0, wanted: true }));
    results.push(await decoder.run(tokens));
    decoder.destroy();
    model.destroy();
  }
  assertClose(results[1]!, results[0]!, exact());
});

onEachCompiler("prompts of more tokens than one pass takes are continued as short ones", async (adapter) => {
  const model = await openTinyModel(adapter, { length: 620 });
  const generator = new Generator(model, { rows: 2, length: 620 });
  const long = Array.from({ length: 601 }, (_, i) => (i * 37) % 256);
  const want = [await tokensWithoutCache(model, long, 2), await tokensWithoutCache(model, PROMPTS[0]!, 2)];
  assert.deepEqual(await collect(generator, [long, PROMPTS[0]!], { maxNewTokens: 2 }), want);
  generator.destroy();
  model.destroy();
});

onEachCompiler(
  "rows end at their own stop token, at isLast and at the cache's end, and others go on",
  async (adapter) => {
    const model = await openTinyModel(adapter);
    const generator = new Generator(model, { rows: 4, length: 14 });
    const free = await collect(generator, PROMPTS);
    const stop = free[0]![2]!;
    const ends: Record<number, unknown> = {};
    const rows: number[][] = PROMPTS.map(() => []);
    const options = {
      maxNewTokens: NEW_TOKENS,
      stopTokenIds: [stop],
      isLast: (row: number) => row === 1 && rows[1]!.length === 3,
    };
    for await (const tokens of generator.generate(PROMPTS, { ...TALKATIVE, ...options })) {
      for (const { row, id, end } of tokens) {
        rows[row]!.push(id);
        if (end) ends[row] = end;
      }
    }
    const upTo = (ids: readonly number[]) => ids.includes(stop) ? ids.slice(0, ids.indexOf(stop) + 1) : ids;
    assert.deepEqual(rows[0], upTo(free[0]!));
    assert.deepEqual(rows[1], upTo(free[1]!).slice(0, 4));
    assert.deepEqual(rows[2], upTo(free[2]!));
    // 11 tokens of prompt leave room for 3, and the one after them needs none
    assert.deepEqual(rows[3], upTo(free[3]!.slice(0, 4)));
    assert.deepEqual([ends[0], ends[1]], ["stop", "stop"]);
    assert.equal(ends[3], "length");
    generator.destroy();
    model.destroy();
  },
);

onEachCompiler(
  "the same seed draws the same tokens, another seed others, whatever stands beside",
  async (adapter) => {
    const model = await openTinyModel(adapter);
    const generator = new Generator(model, { rows: 4, length: 24 });
    const sampled = (seed: number, prompts = PROMPTS) =>
      collect(generator, prompts, { temperature: 5, seed });
    const first = await sampled(3);
    assert.deepEqual(await sampled(3), first);
    assert.deepEqual(await sampled(3, PROMPTS.slice(0, 2)), first.slice(0, 2));
    assert.notDeepEqual(await sampled(4), first);
    const [a, b] = await sampled(3, [PROMPTS[0]!, PROMPTS[0]!]);
    assert.notDeepEqual(a, b, "rows of one prompt draw numbers of their own");
    generator.destroy();
    model.destroy();
  },
);

onEachCompiler(
  "a cache that is used again gives what a fresh one gives, after a common prefix too",
  async (adapter) => {
    const model = await openTinyModel(adapter);
    const generator = new Generator(model, { rows: 1, length: 24 });
    const first = PROMPTS[0]!, reuseCache = true;
    const [answer] = await collect(generator, [first], { reuseCache });
    for (const next of [[...first, ...answer!, 7, 8], [...first.slice(0, 4), 77, 78], [9], [9]]) {
      const want = await tokensWithoutCache(model, next, 3);
      assert.deepEqual(await collect(generator, [next], { reuseCache, maxNewTokens: 3 }), [want]);
      assert.deepEqual(await collect(generator, [next], { maxNewTokens: 3 }), [want]);
    }
    generator.destroy();
    model.destroy();
  },
);

for (const useDora of [false, true]) {
  const what = useDora ? "magnitudes and norms" : "weights";
  onEachCompiler(`generation sees ${what} that were trained in between`, async (adapter) => {
    const model = await openTinyModel(adapter, { adapted: true, useDora });
    const generator = new Generator(model, { rows: 1, length: 24 });
    const before = await collect(generator, [PROMPTS[0]!]);
    model.pool.parameters.forEach((parameter, i) => {
      model.pool.write(parameter, ramp(parameter.value.bytes / 4, { scale: 2, phase: 2 * i + 1 }));
    });
    const after = await collect(generator, [PROMPTS[0]!]);
    assert.deepEqual(after, [await tokensWithoutCache(model, PROMPTS[0]!, NEW_TOKENS)]);
    assert.notDeepEqual(after, before);
    generator.destroy();
    model.destroy();
  });
}

onEachCompiler("generation stops at a signal between steps, and says what it cannot do", async (adapter) => {
  const model = await openTinyModel(adapter);
  const generator = new Generator(model, { rows: 2, length: 8 });
  const controller = new AbortController();
  let steps = 0;
  await assert.rejects(async () => {
    for await (const _ of generator.generate([[1], [2]], { signal: controller.signal })) {
      if (++steps === 2) controller.abort(new Error("enough"));
    }
  }, /^Error: enough$/);
  assert.equal(steps, 2);
  const refused = (prompts: number[][], options: GenerateOptions = {}) =>
    assert.rejects(collect(generator, prompts, options), (error: Error) => {
      messages.push(`${error.name}: ${error.message}`);
      return true;
    });
  const messages: string[] = [];
  await refused([[1], [1], [1]]);
  await refused([[1], []]);
  await refused([Array(9).fill(1)]);
  await refused([[261]]);
  await refused([[1]], { maxNewTokens: 0 });
  await refused([[1]], { topP: 0 });
  assert.deepEqual(messages, [
    "RangeError: Cannot continue 3 prompts at a time: planned for 2",
    "RangeError: Cannot continue prompt 2, which has 0 tokens: 1..8 are possible",
    "RangeError: Cannot continue prompt 1, which has 9 tokens: 1..8 are possible",
    "RangeError: Cannot run token id 261: the model knows ids 0..260",
    "ConfigError: max_new_tokens: must be a whole number of 1 or more: current value is 0",
    "ConfigError: top_p: must be above 0 and at most 1: current value is 0",
  ]);
  generator.destroy();
  model.destroy();
});

onEachCompiler("a cache that the adapter cannot bind is refused with the numbers", ({ gpu }) => {
  const config = { numHiddenLayers: 2, numKeyValueHeads: 2, headDim: 12 };
  assert.equal(cacheBytes(config, { rows: 3, length: 5 }), 2 * 2 * 3 * 5 * 24 * 4);
  const small = withLimits(gpu, { maxStorageBufferBindingSize: 1000 });
  assert.throws(
    () => new KvCache(config, { rows: 3, length: 5 }, small),
    /^GpuMemoryError: Cannot keep 3 rows of 5 tokens as the keys of one layer need 1440 bytes and ".+" binds 1000: /,
  );
});
