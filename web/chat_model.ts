/**
 * The model that the page talks to: a base that is loaded once, with what a run trained on it or without.
 *
 * @module
 */
import { checkpointName } from "../src/checkpoint/resume.ts";
import type { QuantizationWord } from "../src/config.ts";
import { LanguageModel } from "../src/language_model.ts";
import { RUN_FILE, type RunRecord } from "../src/run_files.ts";
import { fileAt, type Folder, readText } from "../src/storage.ts";
import type { ChatFacts, ChatOrder, ChatPiece, ChatSide, ChatSubject } from "./protocol.ts";

/** Where to find what is talked to. */
export interface ChatPlace {
  readonly baseModel: string;
  /** Folder of what was trained; null for the base alone. */
  readonly adapter: string | null;
  readonly quantization: QuantizationWord;
  readonly doubleQuant: boolean;
  /** Jinja in place of the tokenizer's own; null for that. */
  readonly chatTemplate: string | null;
}

/** @throws {StorageNotFoundError} If the run is not there. */
export async function chatPlace(subject: ChatSubject, files: (uri: string) => Folder): Promise<ChatPlace> {
  if (subject.kind === "base") {
    const plain = { quantization: "none", doubleQuant: true, chatTemplate: null } as const;
    return { baseModel: subject.baseModel, adapter: null, ...plain };
  }
  const { run, checkpoint } = subject, folder = files(`runs/${run}`);
  const { config }: RunRecord = JSON.parse(await readText(folder, RUN_FILE));
  const { base_model, load_in_4bit, load_in_8bit, double_quant, chat_template_path } = config;
  return {
    baseModel: String(base_model),
    adapter: `runs/${run}/${checkpoint === null ? "adapter" : checkpointName(checkpoint)}`,
    quantization: load_in_4bit === true ? "4bit" : load_in_8bit === true ? "8bit" : "none",
    doubleQuant: double_quant !== false,
    chatTemplate: typeof chat_template_path === "string" ? await readAt(files, chat_template_path) : null,
  };
}

async function readAt(files: (uri: string) => Folder, path: string): Promise<string> {
  const { folder, name } = fileAt(files, path);
  return await readText(folder, name);
}

/** Errors of what was asked, after which the model is as it was. */
const HARMLESS = new Set(["ConfigError", "ChatTemplateError", "AbortError"]);

export class ChatModel {
  readonly #files: (uri: string) => Folder;
  readonly #submissionMs: number;
  #base: { readonly key: string; readonly model: LanguageModel } | null = null;
  #place: ChatPlace | null = null;
  #adapter: string | null = null;
  #last: Promise<unknown> = Promise.resolve();

  /** @param submissionMs Of the GPU's work at a time: meanwhile no page is drawn. */
  constructor(files: (uri: string) => Folder, submissionMs: number) {
    this.#files = files;
    this.#submissionMs = submissionMs;
  }

  /** Loads what is to be talked to, in place of what was before. @throws As {@link LanguageModel.open}. */
  open(subject: ChatSubject): Promise<ChatFacts> {
    return this.#afterLast(async () => {
      const place = await chatPlace(subject, this.#files);
      const model = await this.#load(place);
      return {
        hasTemplate: model.chatTemplate !== null,
        contextLength: model.contextLength,
        sides: place.adapter === null ? ["base"] : ["adapter", "base"],
      };
    });
  }

  /** Answers, one side after the other. @throws As {@link LanguageModel.generate}. */
  say(order: ChatOrder, signal: AbortSignal, note: (piece: ChatPiece) => void): Promise<null> {
    return this.#afterLast(async () => {
      if (!this.#place) throw new Error("No model is open to talk to: open the chat again");
      try {
        for (const { side, messages } of order.turns) {
          const model = await this.#on(await this.#load(this.#place), side);
          const prompt = model.promptOf(model.chatTemplate ? messages : messages.at(-1)!.content);
          const options = { ...order.options, signal, reuseCache: true };
          for await (const { text, end } of model.generate([prompt], options)) note({ side, text, end });
        }
        return null;
      } catch (error) {
        if (!signal.aborted && !(error instanceof Error && HARMLESS.has(error.name))) await this.#drop();
        throw error;
      }
    });
  }

  /** Gives the GPU back, once what was asked before is done. */
  close(): Promise<void> {
    return this.#afterLast(async () => {
      this.#place = null;
      await this.#drop();
    });
  }

  async #drop(): Promise<void> {
    const base = this.#base;
    this.#base = null;
    this.#adapter = null;
    await base?.model.close().catch(() => {}); // of a device that is lost
  }

  async #load(place: ChatPlace): Promise<LanguageModel> {
    const { baseModel: model, quantization, doubleQuant, chatTemplate } = place;
    const key = JSON.stringify([model, quantization, doubleQuant, chatTemplate]);
    this.#place = place;
    if (this.#base?.key === key) return this.#base.model;
    await this.#drop(); // its memory is free before the next one takes its own
    const gpu = { submissionMs: this.#submissionMs };
    const opened = await LanguageModel.open({
      files: this.#files,
      model,
      quantization,
      doubleQuant,
      chatTemplate,
      gpu,
    });
    this.#base = { key, model: opened };
    return opened;
  }

  async #on(model: LanguageModel, side: ChatSide): Promise<LanguageModel> {
    const adapter = side === "adapter" ? this.#place!.adapter : null;
    if (adapter !== this.#adapter) await model.useAdapter(adapter);
    this.#adapter = adapter;
    return model;
  }

  #afterLast<T>(act: () => Promise<T>): Promise<T> {
    const next = this.#last.then(act);
    this.#last = next.catch(() => {});
    return next;
  }
}
