/**
 * The worker that writes without WebGPU: models that were exported as ONNX, run by transformers.js in WebAssembly. Built
 * with packages of its own, which are loaded by nobody else.
 *
 * @module
 */
import type { NoteOf, Questions, WorkerCommand, WorkerMessage, WriterQuestion } from "../protocol.ts";
import { plainError } from "../protocol/plain_error.ts";
import { holdLife } from "../worker_life.ts";

// deno-lint-ignore no-explicit-any -- packages that the rest of the tree does not know
type Package = any;

/** What is kept between questions. */
interface Loaded {
  /** transformers.js' pipeline. */
  readonly pipe: Package;
  readonly hasTemplate: boolean;
}

/** Where transformers.js looks for models; nothing of it is asked of the network. */
const LOCAL = "local/";

const stoppers = new Map<number, Package>();
const models = new Map<string, Loaded>();
let packages: Promise<Package> | null = null;

/** transformers.js on the smallest build of the runtime, both from beside this script. */
async function loadPackages(): Promise<Package> {
  const runtime: Package = await import("onnxruntime-web/wasm");
  // where it finds a runtime of this name, transformers.js takes it instead of its own, which has all of WebGPU in it
  Object.assign(globalThis, { [Symbol.for("onnxruntime")]: runtime });
  const beside = (ending: string) => new URL(`ort-wasm-simd-threaded.${ending}`, self.location.href).href;
  runtime.env.wasm.wasmPaths = { mjs: beside("mjs"), wasm: beside("wasm") };
  const transformers: Package = await import("@huggingface/transformers");
  Object.assign(transformers.env, {
    allowRemoteModels: false,
    allowLocalModels: true,
    localModelPath: LOCAL,
    useBrowserCache: false,
    useWasmCache: false,
  });
  return transformers;
}

async function open({ name, files }: Questions["openWriter"]["input"]): Promise<null> {
  const transformers = await (packages ??= loadPackages());
  for (const [other, { pipe }] of models) {
    if (other.split("/")[0] === name.split("/")[0]) continue;
    await pipe.dispose(); // of another run
    models.delete(other);
  }
  if (models.has(name)) return null;
  const byPath = new Map(files.map(({ path, content }) => [`${LOCAL}${name}/${path}`, content]));
  transformers.env.fetch = (url: string | URL) => {
    const content = byPath.get(String(url));
    const headers = { "content-length": String(content?.size ?? 0) };
    return Promise.resolve(new Response(content ?? null, { status: content ? 200 : 404, headers }));
  };
  const pipe = await transformers.pipeline("text-generation", name, { dtype: "fp32", device: "auto" });
  models.set(name, { pipe, hasTemplate: Boolean(pipe.tokenizer.chat_template) });
  return null;
}

async function write(
  id: number,
  { name, messages, options: { temperature, seed, maxNewTokens } }: Questions["write"]["input"],
  note: (piece: NoteOf<"write">) => void,
): Promise<null> {
  const { TextStreamer, InterruptableStoppingCriteria, random } = await packages!;
  const { pipe, hasTemplate } = models.get(name)!;
  const stopper = new InterruptableStoppingCriteria();
  stoppers.set(id, stopper);
  let tokens = 0, told = 0;
  const say = (text: string, end: NoteOf<"write">["end"]) => {
    note({ text, tokens: tokens - told, end });
    told = tokens;
  };
  const streamer = new TextStreamer(pipe.tokenizer, {
    skip_prompt: true,
    skip_special_tokens: true,
    callback_function: (text: string) => say(text, null),
    token_callback_function: () => void tokens++,
  });
  random.seed(seed);
  try {
    await pipe(hasTemplate ? messages : messages.at(-1)!.content, {
      max_new_tokens: maxNewTokens,
      do_sample: temperature > 0,
      ...(temperature > 0 ? { temperature, top_k: 0 } : {}),
      streamer,
      stopping_criteria: stopper,
    });
  } finally {
    stoppers.delete(id);
  }
  say("", tokens >= maxNewTokens ? "length" : "stop");
  return null;
}

function tell(message: WorkerMessage): void {
  self.postMessage(message);
}

function answer(id: number, question: WriterQuestion, input: unknown): Promise<unknown> {
  if (question === "openWriter") return open(input as Questions["openWriter"]["input"]);
  return write(id, input as Questions["write"]["input"], (note) => tell({ type: "note", id, note }));
}

const life = holdLife();

self.addEventListener("message", async ({ data: command }: MessageEvent<WorkerCommand>) => {
  await life;
  if (command.type === "cancel") return stoppers.get(command.id)?.interrupt();
  if (command.type !== "ask") return;
  const { id, question, input } = command;
  try {
    tell({ type: "answer", id, value: await answer(id, question as WriterQuestion, input) });
  } catch (error) {
    tell({ type: "refused", id, error: plainError(error) });
  }
});
