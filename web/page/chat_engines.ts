/**
 * Who answers in the chat: the worker's own models on the GPU, or exported ones in WebAssembly where there is none, or the
 * page's server.
 *
 * @module
 */
import type { Gate } from "../gate.ts";
import type {
  ChatFacts,
  ChatOrder,
  ChatPiece,
  ChatSide,
  ChatSubject,
  LocalSubject,
  ServerSubject,
} from "../protocol/chat.ts";
import type { ChatEngine } from "./chat_session.ts";
import type { Engine } from "./engine.ts";

/** Answers of the worker's own models. */
export function gpuChat(engine: Engine): ChatEngine<LocalSubject> {
  return {
    open: (subject) => engine.ask("openChat", subject),
    say: (order, signal, onNote) => engine.ask("say", order, { signal, onNote }),
    close: async () => void await engine.ask("closeChat", null),
  };
}

/** Answers of models that the worker exports as ONNX and another worker runs, which is started by the first question. */
class OnnxChat implements ChatEngine<LocalSubject> {
  readonly #engine: Engine;
  readonly #startWriter: () => Engine;
  #writer: Engine | null = null;
  #subject: LocalSubject | null = null;
  readonly #opened = new Set<string>();

  constructor(engine: Engine, startWriter: () => Engine) {
    this.#engine = engine;
    this.#startWriter = startWriter;
  }

  async open(subject: LocalSubject): Promise<ChatFacts> {
    this.#subject = subject;
    const sides: ChatSide[] = subject.kind === "run" ? ["adapter", "base"] : ["base"];
    return { ...await this.#open(subject, sides[0]!), sides };
  }

  async say(
    { turns, options }: ChatOrder,
    signal: AbortSignal,
    onPiece: (piece: ChatPiece) => void,
  ): Promise<void> {
    for (const { side, messages } of turns) {
      const subject = this.#subject!, name = nameOf(subject, side);
      if (!this.#opened.has(name)) await this.#open(subject, side);
      signal.throwIfAborted();
      await this.#writer!.ask("write", { name, messages, options }, {
        signal,
        onNote: (piece) => onPiece({ ...piece, side, end: signal.aborted ? null : piece.end }),
      });
      signal.throwIfAborted();
    }
  }

  close(): Promise<void> {
    return Promise.resolve(); // the models lie in the memory of this tab alone, and are soon wanted again
  }

  async #open(subject: LocalSubject, side: ChatSide): Promise<Omit<ChatFacts, "sides">> {
    const { files, ...facts } = await this.#engine.ask("onnxModel", { subject, side });
    const writer = this.#writer ??= this.#startWriter(), name = nameOf(subject, side);
    if (![...this.#opened].some((other) => other.startsWith(`${name.split("/")[0]}/`))) this.#opened.clear();
    await writer.ask("openWriter", { name, files });
    this.#opened.add(name);
    return facts;
  }
}

/** Has the page's server answer for its models, and the browser for all others. */
export class PlacedChat implements ChatEngine {
  readonly #here: ChatEngine<LocalSubject>;
  readonly #server: () => Promise<ChatEngine<ServerSubject>>;
  #current: ChatEngine<LocalSubject> | ChatEngine<ServerSubject>;

  /** @param server Loads the server's side, when it is wanted. */
  constructor(here: ChatEngine<LocalSubject>, server: () => Promise<ChatEngine<ServerSubject>>) {
    this.#here = this.#current = here;
    this.#server = server;
  }

  async open(subject: ChatSubject): Promise<ChatFacts> {
    if (subject.kind !== "server") {
      this.#current = this.#here;
      return await this.#here.open(subject);
    }
    const server = this.#current = await this.#server();
    return await server.open(subject);
  }

  async say(order: ChatOrder, signal: AbortSignal, onPiece: (piece: ChatPiece) => void): Promise<unknown> {
    return await this.#current.say(order, signal, onPiece);
  }

  close(): Promise<void> {
    return this.#current.close();
  }
}

/** The one of both that the browser is able to, once that is known. */
export function chatOf(
  engine: Engine,
  gate: Promise<Gate>,
  startWriter: () => Engine,
): ChatEngine<LocalSubject> {
  const chosen = gate.then(({ open }) => open ? gpuChat(engine) : new OnnxChat(engine, startWriter));
  chosen.catch(() => {}); // the page tells what became of the worker, with or without a chat
  return {
    open: async (subject) => await (await chosen).open(subject),
    say: async (order, signal, onPiece) => await (await chosen).say(order, signal, onPiece),
    close: async () => await (await chosen).close(),
  };
}

/** One name for both sides of a subject, before the slash. */
function nameOf(subject: LocalSubject, side: ChatSide): string {
  return `${encodeURIComponent(JSON.stringify(subject)).replace(/[^\w]/g, "_")}/${side}`;
}
