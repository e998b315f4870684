/**
 * The one model that is loaded: a base, on which adapters are exchanged as requests name them.
 *
 * @module
 */
import type { LanguageModel, LanguageModelOptions } from "../src/language_model.ts";
import type { GenerationEvent, GenerationInput, GenerationModel, GenerationOrder } from "./generation.ts";

/** Of a model what generating takes. */
export type ServedModel = Pick<LanguageModel, "useAdapter" | "promptOf" | "generate" | "close">;

/** Loads a base without an adapter. */
export type OpenBase = (
  options: Required<Pick<LanguageModelOptions, "model" | "quantization" | "doubleQuant">>,
) => Promise<ServedModel>;

export class LoadedModel {
  readonly #open: OpenBase;
  #base: { readonly key: string; readonly model: ServedModel } | null = null;
  #adapter: string | null = null;

  constructor(open: OpenBase) {
    this.#open = open;
  }

  /** Another base takes the place of the one before. One call at a time. @throws As the engine does. */
  async *generate(
    { model, input, count, options }: GenerationOrder,
    signal: AbortSignal,
  ): AsyncGenerator<GenerationEvent> {
    const served = await this.#ready(model);
    signal.throwIfAborted();
    const prompts = promptsOf(served, input);
    yield { type: "begun", promptTokens: prompts.reduce((sum, { length }) => sum + length, 0) };
    const rows = prompts.flatMap((prompt) => Array<readonly number[]>(count).fill(prompt));
    for await (const { row, text, end } of served.generate(rows, { ...options, signal, reuseCache: true })) {
      yield { type: "piece", row, text, end };
    }
  }

  async close(): Promise<void> {
    const base = this.#base;
    this.#base = null;
    this.#adapter = null;
    await base?.model.close();
  }

  async #ready({ basePath, adapterPath, quantization, doubleQuant }: GenerationModel): Promise<ServedModel> {
    const key = JSON.stringify([basePath, quantization, doubleQuant]);
    if (this.#base?.key !== key) {
      await this.close(); // its memory is free before the next one takes its own
      this.#base = { key, model: await this.#open({ model: basePath, quantization, doubleQuant }) };
    }
    const { model } = this.#base;
    if (this.#adapter !== adapterPath) {
      await model.useAdapter(adapterPath);
      this.#adapter = adapterPath;
    }
    return model;
  }
}

function promptsOf(model: ServedModel, input: GenerationInput): readonly (readonly number[])[] {
  switch (input.kind) {
    case "chat":
      return [model.promptOf(input.messages)];
    case "texts":
      return input.texts.map((text) => model.promptOf(text));
    case "tokens":
      return input.prompts;
  }
}
