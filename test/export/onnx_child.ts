/**
 * Asks `onnx_runtime.ts`, and knows whether it can be asked.
 *
 * @module
 */
import type { LogitsRequest, OnnxAnswer, OnnxRequest, TextRequest } from "./onnx_runtime.ts";

/** Runtimes of ONNX models: WebAssembly, as in pages, and native. */
export type OnnxRuntime = "web" | "node";

/** Where native code and its packages may be asked about the machine, beside what tests may do anyway. */
const ALLOWED = ["--no-prompt", "--allow-read", "--allow-env", "--allow-sys", "--allow-ffi"];

const here = (name: string) => new URL(name, import.meta.url).pathname;

async function ask(runtime: OnnxRuntime, requests: readonly OnnxRequest[]): Promise<OnnxAnswer[]> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-onnx-" });
  try {
    const files = [`${folder}/request.json`, `${folder}/answer.json`] as const;
    await Deno.writeTextFile(files[0], JSON.stringify(requests));
    const config = ["--config", here("packages.json"), "--no-check", "--quiet"];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        ...config,
        ...ALLOWED,
        `--allow-write=${folder}`,
        here("onnx_runtime.ts"),
        runtime,
        ...files,
      ],
      stdout: "null",
      stderr: "piped",
      signal: AbortSignal.timeout(180_000),
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return JSON.parse(await Deno.readTextFile(files[1]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Why models cannot be run here, for names of tests; null where they can. */
export const noRuntime: string | null = await ask("web", []).then(() => null, (error: Error) => {
  return `needs npm's onnxruntime-web and @huggingface/transformers: ${error.message.split("\n")[0]}`;
});

/** Declares a test that runs models; skipped by name where the packages cannot be had. */
export function onOnnxRuntime(
  name: string,
  body: (t: Deno.TestContext) => Promise<void>,
  missing: string | null = null,
): void {
  const reason = missing ?? noRuntime;
  Deno.test({
    name: reason ? `${name} (${reason})` : name,
    ignore: reason !== null,
    sanitizeResources: false, // GPU devices outlive a test
    sanitizeOps: false,
    fn: body,
  });
}

/** Logits of models, in WebAssembly. */
export async function runLogits(
  requests: readonly Omit<LogitsRequest, "kind">[],
): Promise<{ logits: number[]; cache: string }[]> {
  return await ask("web", requests.map((request) => ({ ...request, kind: "logits" }))) as {
    logits: number[];
    cache: string;
  }[];
}

/** Texts of models, as transformers.js writes them. */
export async function runTexts(
  runtime: OnnxRuntime,
  requests: readonly Omit<TextRequest, "kind">[],
): Promise<string[][]> {
  const answers = await ask(runtime, requests.map((request) => ({ ...request, kind: "text" })));
  return (answers as { texts: string[] }[]).map(({ texts }) => texts);
}
