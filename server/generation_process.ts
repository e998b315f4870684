/**
 * The process that generates. Orders come on standard input, a JSON object a line, and are done one after the other; what
 * they bring goes to standard output. It ends with its input, and after an error that leaves the GPU in doubt.
 *
 * @module
 */
import { errorData } from "../src/cli/job_protocol.ts";
import { openFolder } from "../src/cli/open_folder.ts";
import { quietMesa } from "../src/cli/quiet_mesa.ts";
import { LanguageModel } from "../src/language_model.ts";
import { linesOf } from "../src/text_lines.ts";
import type { EngineFault, FromGeneration, GenerationOrder, ToGeneration } from "./generation.ts";
import { say } from "./launchers/words.ts";
import { LoadedModel } from "./loaded_model.ts";

/** Errors of a request, after which the model is as it was. */
const HARMLESS = new Set(["ConfigError", "ChatTemplateError", "RangeError", "AbortError"]);

/** Tells the server. @throws If it has gone. */
const tell: (word: FromGeneration) => void = say;

async function main(): Promise<void> {
  quietMesa();
  const loaded = new LoadedModel((options) => LanguageModel.open({ ...options, files: openFolder }));
  const stops = new Map<number, AbortController>();
  let last = Promise.resolve();

  const work = async (id: number, order: GenerationOrder, { signal }: AbortController) => {
    let error: EngineFault | null = null;
    try {
      for await (const event of loaded.generate(order, signal)) tell({ type: "event", id, event });
    } catch (thrown) {
      error = errorData(thrown);
    }
    stops.delete(id);
    const isLast = error !== null && !HARMLESS.has(error.name);
    tell({ type: "over", id, error, isLast });
    if (isLast) Deno.exit(1);
  };

  for await (const line of linesOf(Deno.stdin.readable)) {
    const word: ToGeneration = JSON.parse(line);
    if (word.type === "cancel") stops.get(word.id)?.abort();
    else {
      const stop = new AbortController();
      stops.set(word.id, stop);
      last = last.then(() => work(word.id, word.order, stop));
    }
  }
}

if (import.meta.main) {
  await main();
  Deno.exit(0); // whoever asked has gone
}
