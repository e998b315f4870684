/**
 * Runs exported models in the runtimes of others, in a process of its own:
 *
 *     deno run --config test/export/packages.json ... test/export/onnx_runtime.ts RUNTIME REQUEST ANSWER
 *
 * RUNTIME is `web` (onnxruntime-web, WebAssembly) or `node` (onnxruntime-node), REQUEST and ANSWER are JSON files. The
 * packages are fetched by this alone, under a lock of their own: nobody who trains or tests something else waits for
 * hundreds of megabytes of them.
 *
 * @module
 */

/** Logits of rows that are fed in pieces. */
export interface LogitsRequest {
  readonly kind: "logits";
  /** The model's path. Files of weights beside it are handed over as pages do, by name and content. */
  readonly model: string;
  readonly dataFiles: readonly string[];
  /** [B][T] token ids */
  readonly ids: readonly (readonly number[])[];
  /** [B][T]: 1 for tokens, 0 for padding */
  readonly mask: readonly (readonly number[])[];
  /** Tokens of each call, T together. */
  readonly calls: readonly number[];
  /** Where positions begin. */
  readonly firstPosition?: number;
}

/** Texts of transformers.js' pipeline. */
export interface TextRequest {
  readonly kind: "text";
  /** Folder of the folder, and its name. */
  readonly root: string;
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly prompts: readonly (string | readonly { readonly role: string; readonly content: string }[])[];
  readonly generation: Readonly<Record<string, unknown>>;
}

export type OnnxRequest = LogitsRequest | TextRequest;

/** Logits of each row, [T, V] or those that its calls gave, one row after the other; or texts. */
export type OnnxAnswer = { readonly logits: number[]; readonly cache: string } | { readonly texts: string[] };

// deno-lint-ignore no-explicit-any -- what this file calls of packages that the rest of the tree does not know
type Package = any;

/** Positions as transformers.js counts them: tokens from `first` on, padding 1. */
function positionsOf(mask: readonly number[], first: number): number[] {
  let next = first;
  return mask.map((isToken) => isToken ? next++ : 1);
}

async function logits(ort: Package, request: LogitsRequest): Promise<OnnxAnswer> {
  const { ids, mask, calls, model, dataFiles, firstPosition = 0 } = request;
  const folder = model.slice(0, model.lastIndexOf("/"));
  const session = await ort.InferenceSession.create(await Deno.readFile(model), {
    externalData: dataFiles.map((path) => ({ path, data: Deno.readFileSync(`${folder}/${path}`) })),
  });
  const rows = ids.length, positions = mask.map((row) => positionsOf(row, firstPosition));
  const tensor = (values: readonly (readonly number[])[]) =>
    new ort.Tensor("int64", BigInt64Array.from(values.flat(), BigInt), [rows, values[0]!.length]);
  let cache: Record<string, Package> = {};
  for (const { name, type, shape } of session.inputMetadata) {
    if (!name.startsWith("past_key_values.")) continue;
    const sizes = [rows, shape[1], 0, shape[3]];
    cache[name] = new ort.Tensor(type, type === "float16" ? new Uint16Array(0) : new Float32Array(0), sizes);
  }
  const pieces: { values: Float32Array; tokens: number }[] = [];
  let done = 0;
  for (const tokens of calls) {
    const cut = (values: readonly (readonly number[])[]) =>
      values.map((row) => row.slice(done, done + tokens));
    const made = await session.run({
      ...cache,
      input_ids: tensor(cut(ids)),
      position_ids: tensor(cut(positions)),
      attention_mask: tensor(mask.map((row) => row.slice(0, done + tokens))),
    });
    done += tokens;
    pieces.push({ values: made.logits.data, tokens: made.logits.dims[1] });
    cache = Object.fromEntries(
      Object.keys(cache).map((name) => [name, made[name.replace("past_key_values", "present")]]),
    );
  }
  const vocab = pieces[0]!.values.length / rows / pieces[0]!.tokens, all: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (const { values, tokens } of pieces) {
      all.push(...values.subarray(row * tokens * vocab, (row + 1) * tokens * vocab));
    }
  }
  const last = cache["past_key_values.0.key"];
  await session.release();
  return { logits: all, cache: `${last.type} [${last.dims}]` };
}

async function texts(transformers: Package, request: TextRequest): Promise<OnnxAnswer> {
  const { root, name, options, prompts, generation } = request;
  Object.assign(transformers.env, { allowRemoteModels: false, localModelPath: `${root}/` });
  const pipe = await transformers.pipeline("text-generation", name, options);
  const made: string[] = [];
  for (const prompt of prompts) {
    const [{ generated_text: text }] = await pipe(prompt, { ...generation, return_full_text: false });
    made.push(typeof text === "string" ? text : text.at(-1).content);
  }
  await pipe.dispose();
  return { texts: made };
}

/** transformers.js on onnxruntime-web, which it takes from the runtime that has one, else on onnxruntime-node. */
async function openTransformers(ort: Package): Promise<Package> {
  if (ort) Object.assign(globalThis, { [Symbol.for("onnxruntime")]: ort });
  const transformers = await import("@huggingface/transformers" as string);
  if (ort) {
    transformers.env.useWasmCache = false;
    transformers.env.backends.onnx.wasm.wasmPaths = undefined; // those of the package, not of a server
  }
  return transformers;
}

if (import.meta.main) {
  const [runtime, requestPath, answerPath] = Deno.args as [string, string, string];
  const ort: Package = runtime === "web" ? await import("onnxruntime-web" as string) : null;
  if (ort) ort.env.wasm.numThreads = 1;
  const requests: OnnxRequest[] = JSON.parse(await Deno.readTextFile(requestPath));
  const transformers = requests.some(({ kind }) => kind === "text") ? await openTransformers(ort) : null;
  const answers: OnnxAnswer[] = [];
  for (const request of requests) {
    answers.push(request.kind === "logits" ? await logits(ort, request) : await texts(transformers, request));
  }
  await Deno.writeTextFile(answerPath, JSON.stringify(answers));
  Deno.exit(0); // the runtime's threads would keep the process
}
