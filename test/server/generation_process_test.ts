/**
 * The process that generates, with the bundled model and an adapter.
 */
import assert from "node:assert/strict";
import { writeAdapter } from "../../src/checkpoint/adapter.ts";
import { collectTexts } from "../../src/generate/text.ts";
import { LanguageModel } from "../../src/language_model.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { GenerationCrash, type GenerationOrder } from "../../server/generation.ts";
import { LocalGenerator } from "../../server/launchers/local_generator.ts";
import { LoadedModel, type ServedModel } from "../../server/loaded_model.ts";
import { onGpu } from "../helpers/device.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const BASE = `${ROOT}examples/tiny/model`;
const RIGHTS = ["--no-prompt", "--allow-read", "--allow-env", "--allow-sys"];
const NEVER = new AbortController().signal;

function order(adapterPath: string | null, text = "The lamp", maxNewTokens = 6): GenerationOrder {
  return {
    model: { basePath: BASE, adapterPath, quantization: "none", doubleQuant: true },
    input: { kind: "texts", texts: [text] },
    count: 1,
    options: {
      ...{ maxNewTokens, temperature: 0, topP: 1, topK: 0, repetitionPenalty: 1, seed: 0, stopStrings: [] },
    },
  };
}

async function textOf(
  generator: Pick<LoadedModel, "generate">,
  asked: GenerationOrder,
  signal = NEVER,
): Promise<string> {
  let text = "";
  for await (const event of generator.generate(asked, signal)) if (event.type === "piece") text += event.text;
  return text;
}

onGpu(
  "the process answers as a model that is loaded afresh, stops when told, and comes back after a crash",
  async (device) => {
    const folder = await Deno.makeTempDir({ prefix: "lowrank-generation-" });
    const files = (path: string) => new LocalFolder(path);
    const generator = new LocalGenerator({
      command: [
        Deno.execPath(),
        ...["run", "--quiet", "--config", `${ROOT}deno.json`, ...RIGHTS],
        `${ROOT}server/generation_process.ts`,
      ],
      env: {},
    });
    try {
      const base = await new ModelManager(files).open(BASE);
      await writeAdapter(files(folder), tinyAdapter(base));
      await base.weights.close();
      const fresh = async (adapter: string | null) => {
        const model = await LanguageModel.open({ files, model: BASE, adapter, device });
        const [text] = await collectTexts(
          model.generate([model.promptOf("The lamp")], { maxNewTokens: 6 }),
          1,
        );
        await model.close();
        return text;
      };
      const plain = await fresh(null), adapted = await fresh(folder);
      assert.notEqual(plain, adapted);
      for (const adapter of [null, folder, null]) {
        assert.equal(await textOf(generator, order(adapter)), adapter ? adapted : plain);
      }
      await assert.rejects(textOf(generator, order(null, "a".repeat(20_000))), /^ConfigError: prompt/);

      const stop = new AbortController();
      let pieces = 0;
      await assert.rejects(async () => {
        for await (const { type } of generator.generate(order(null, "The lamp", 200), stop.signal)) {
          if (type === "piece" && ++pieces === 2) stop.abort();
        }
      }, /AbortError/);
      assert.equal(pieces, 2);
      assert.equal(await textOf(generator, order(folder)), adapted, "the next one is not disturbed");

      await assert.rejects(textOf(generator, order(`${folder}/none`)), /^StorageNotFoundError/);
      assert.equal(await textOf(generator, order(null)), plain, "another process took its place");
    } finally {
      await generator.close();
      await Deno.remove(folder, { recursive: true });
    }
  },
);

Deno.test("a process that ends without a word is a crash, and its log's end is told", async () => {
  const generator = new LocalGenerator({
    command: [Deno.execPath(), "eval", "console.error('driver fault'); Deno.exit(9)"],
    env: {},
  });
  for (const _ of [1, 2]) {
    await assert.rejects(textOf(generator, order(null)), (error) => {
      return error instanceof GenerationCrash && /ended with code 9\ndriver fault/.test(error.message);
    });
  }
  await generator.close();
});

Deno.test("adapters are exchanged on one base; another base, or another keeping of it, takes its place", async () => {
  const told: string[] = [];
  const loaded = new LoadedModel(({ model, quantization }) => {
    told.push(`open ${model} ${quantization}`);
    const served: ServedModel = {
      useAdapter: (adapter) => Promise.resolve(void told.push(`adapter ${adapter}`)),
      promptOf: () => [1, 2],
      async *generate(prompts) {
        yield { row: prompts.length - 1, text: "x", end: "stop" };
      },
      close: () => Promise.resolve(void told.push(`close ${model}`)),
    };
    return Promise.resolve(served);
  });
  const ask = (change: Partial<GenerationOrder["model"]>) => {
    const plain = order(null);
    return textOf(loaded, { ...plain, model: { ...plain.model, basePath: "m", ...change } });
  };
  for (const adapterPath of [null, "a", "a", "b", null]) await ask({ adapterPath });
  await ask({ quantization: "4bit", adapterPath: "a" });
  await ask({ basePath: "other" });
  await loaded.close();
  assert.deepEqual(told, [
    "open m none",
    ...["adapter a", "adapter b", "adapter null"],
    ...["close m", "open m 4bit", "adapter a"],
    ...["close m", "open other none", "close other"],
  ]);
});
