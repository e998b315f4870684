/**
 * The model that the page talks to: a base that is loaded once, with what a run trained on it or without.
 *
 * @module
 */
import { LanguageModel } from "../../src/language_model.ts";
import { fileAt, type Folder, readText } from "../../src/storage.ts";
import type { ChatFacts, ChatOrder, ChatPiece, ChatSide, LocalSubject } from "../protocol/chat.ts";
import { type ChatPlace, chatPlace } from "./chat_place.ts";

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
  open(subject: LocalSubject): Promise<ChatFacts> {
    return this.#afterLast(async () => {
      const place = await chatPlace(subject, this.#files);
      const model = await this.#load(place);
      return {
        hasTemplate: model.chatTemplate !== null,
        contextLength: model.contextLength,
        sides: place.adapter === null ? ["base"] : ["adapter", "base"],
        examples: place.examples,
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
          for await (const { text, end } of model.generate([prompt], options)) {
            note({ side, text, tokens: 1, end });
          }
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
    const { baseModel: model, quantization, doubleQuant, chatTemplatePath } = place;
    const key = JSON.stringify([model, quantization, doubleQuant, chatTemplatePath]);
    this.#place = place;
    if (this.#base?.key === key) return this.#base.model;
    await this.#drop(); // its memory is free before the next one takes its own
    const chatTemplate = chatTemplatePath === null ? null : await readAt(this.#files, chatTemplatePath);
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
