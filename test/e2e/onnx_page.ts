/**
 * A page that writes with transformers.js, from files of its own server only. Bundled with the packages of
 * `test/export/packages.json`.
 *
 * @module
 */
// deno-lint-ignore no-explicit-any -- a package that the rest of the tree does not know
const { env, pipeline }: any = await import("@huggingface/transformers");

Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: "models/" });
const runtime = (ending: string) => new URL(`ort-wasm-simd-threaded.asyncify.${ending}`, location.href).href;
Object.assign(env.backends.onnx.wasm, { wasmPaths: { mjs: runtime("mjs"), wasm: runtime("wasm") } });

/** Texts that go on from prompts. */
async function write(
  name: string,
  options: object,
  prompts: readonly string[],
  generation: object,
): Promise<string[]> {
  const pipe = await pipeline("text-generation", name, options), texts: string[] = [];
  for (const prompt of prompts) {
    const [{ generated_text: text }] = await pipe(prompt, { ...generation, return_full_text: false });
    texts.push(text);
  }
  await pipe.dispose();
  return texts;
}

Object.assign(globalThis, { write });
