/**
 * Golden values of a real trained model of 260 thousand parameters, from shared data.
 */
import assert from "node:assert/strict";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { CachedDecoder } from "../../src/generate/cached_decoder.ts";
import { Generator } from "../../src/generate/generator.ts";
import { textPrompt } from "../../src/generate/prompt.ts";
import { collectTexts, generateText } from "../../src/generate/text.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { openModel } from "../golden/model_fixture.ts";
import { assertClose, tensor } from "../helpers/close.ts";
import { device } from "../helpers/device.ts";

const MODEL = new URL("../../../shared/models/stories260K-hf", import.meta.url).pathname;
const present = await Deno.stat(`${MODEL}/golden.json`).then(() => true, () => false);

interface Golden {
  readonly tokenize: readonly { readonly text: string; readonly ids: readonly number[] }[];
  readonly greedy_prefix: string;
  readonly nll: { ids: number[]; mean_nll: number; last_logits_first8: number[] };
}

async function golden(): Promise<Golden> {
  return JSON.parse(await Deno.readTextFile(`${MODEL}/golden.json`));
}

function test(name: string, needsGpu: boolean, body: () => Promise<void>): void {
  const missing = !present ? " (needs shared data)" : needsGpu && !device ? " (no adapter)" : "";
  Deno.test({
    name: name + missing,
    ignore: missing !== "",
    sanitizeResources: false,
    sanitizeOps: false,
    fn: body,
  });
}

test("stories260K tokenises as llama2.c does", false, async () => {
  const tokenizer = await Tokenizer.load(new LocalFolder(MODEL));
  for (const { text, ids } of (await golden()).tokenize) assert.deepEqual(textPrompt(tokenizer, text), ids);
});

test("stories260K says token by token what is golden: logits and mean NLL over the cache", true, async () => {
  const { nll } = await golden();
  const { model, close } = await openModel(device!.gpu, new LocalFolder(MODEL), null, { rows: 1, length: 1 });
  const decoder = new CachedDecoder(model, { rows: 1, length: 32 });
  let sum = 0, logits = new Float32Array();
  for (const [position, id] of nll.ids.entries()) {
    logits = await decoder.run([{ id, row: 0, position, wanted: true }]);
    const next = nll.ids[position + 1];
    if (next === undefined) break;
    const most = Math.max(...logits);
    sum += most + Math.log(logits.reduce((total, z) => total + Math.exp(z - most), 0)) - logits[next]!;
  }
  assertClose([sum / (nll.ids.length - 1)], [nll.mean_nll], tensor("f32"));
  assertClose(logits.subarray(0, 8), nll.last_logits_first8, tensor("f32"));
  decoder.destroy();
  await close();
});

test("stories260K tells its published story greedily", true, async () => {
  const { greedy_prefix: story } = await golden();
  const folder = new LocalFolder(MODEL), tokenizer = await Tokenizer.load(folder);
  const { model, close } = await openModel(device!.gpu, folder, null, { rows: 1, length: 1 });
  const generator = new Generator(model, { rows: 2, length: 256 });
  const maxNewTokens = textPrompt(tokenizer, story).length - 1;
  // from nothing, and from a prompt beside it
  const prompts = ["", story.slice(0, 60)].map((text) => textPrompt(tokenizer, text));
  const pieces = generateText(generator, tokenizer, prompts, { maxNewTokens, stopTokenIds: [1, 2] });
  const [whole, rest] = await collectTexts(pieces, 2);
  assert.equal(whole, story);
  assert.ok(rest!.startsWith(story.slice(60)), `${rest}`);
  generator.destroy();
  await close();
});
