/**
 * Who answers in the chat where a model of the page's server is talked to: the server. Loaded by whoever does.
 *
 * @module
 */
import { LowrankServer, type ServerAccess } from "../lowrank_server.ts";
import type { ChatFacts, ChatOrder, ChatPiece, ServerSubject } from "../protocol/chat.ts";
import { serverModelPath } from "../server_model.ts";
import type { ChatEngine } from "./chat_session.ts";
import type { Engine } from "./engine.ts";

export class ServerChat implements ChatEngine<ServerSubject> {
  readonly #engine: Engine;
  readonly #access: () => ServerAccess;
  #model = "";
  #hasTemplate = true;

  /** @param engine Knows what a model is by its files. */
  constructor(engine: Engine, access: () => ServerAccess) {
    this.#engine = engine;
    this.#access = access;
  }

  async open({ model }: ServerSubject): Promise<ChatFacts> {
    this.#model = model;
    const facts = await this.#engine.ask("conversationFacts", serverModelPath(model));
    this.#hasTemplate = facts.hasTemplate;
    return { ...facts, sides: baseOf(model) === null ? ["base"] : ["adapter", "base"], examples: [] };
  }

  async say(
    { turns, options }: ChatOrder,
    signal: AbortSignal,
    onPiece: (piece: ChatPiece) => void,
  ): Promise<void> {
    const server = new LowrankServer(this.#access());
    const { temperature, seed, maxNewTokens } = options;
    for (const { side, messages } of turns) {
      const model = side === "base" ? baseOf(this.#model) ?? this.#model : this.#model;
      const asked = this.#hasTemplate ? { messages } : { prompt: messages.at(-1)!.content };
      const request = { model, ...asked, temperature, seed, max_tokens: maxNewTokens };
      for await (const piece of server.answer(request, signal)) onPiece({ ...piece, side });
    }
  }

  close(): Promise<void> {
    return Promise.resolve(); // the server lets models go by itself
  }
}

/** Name of the base of a fine-tuned model; null for a base model. */
function baseOf(model: string): string | null {
  return /^ft:([^:]+):/.exec(model)?.[1] ?? null;
}
