/**
 * A conversation with what a run trained, with its base model, or with both side by side.
 *
 * @module
 */
import { type Signal, signal } from "@preact/signals";
import type { Message } from "../../src/data/formats.ts";
import type { ChatFacts, ChatOrder, ChatPiece, ChatSide, ChatSubject } from "../protocol/chat.ts";
import { type PlainError, plainError } from "../protocol/plain_error.ts";
import { RefusedError } from "./engine.ts";

/** What answers. */
export interface ChatEngine<Subject extends ChatSubject = ChatSubject> {
  /** Loads a model. @throws {RefusedError} */
  open(subject: Subject): Promise<ChatFacts>;
  /** Answers piece by piece. @throws {RefusedError} Also when it was stopped. */
  say(order: ChatOrder, signal: AbortSignal, onPiece: (piece: ChatPiece) => void): Promise<unknown>;
  /** Frees what was loaded. */
  close(): Promise<void>;
}

/** What one side said. */
export interface Answer {
  readonly side: ChatSide;
  readonly text: Signal<string>;
  /** Empty while it is being written; then how long it took, or why it ended. */
  readonly verdict: Signal<string>;
}

/** A question with its answers. */
export interface Turn {
  readonly question: string;
  readonly answers: readonly Answer[];
}

/** Who answers. */
export type ChatMode = ChatSide | "both";

export class ChatSession {
  /** Null until a model is loaded. */
  readonly facts = signal<ChatFacts | null>(null);
  readonly mode = signal<ChatMode>("adapter");
  readonly temperature = signal(0.7);
  readonly seed = signal(42);
  readonly maxNewTokens = signal(256);
  /** Stands before the conversation, where it is not empty. */
  readonly system = signal("");
  readonly turns = signal<readonly Turn[]>([]);
  readonly state = signal<"closed" | "loading" | "ready" | "writing" | "stopping">("closed");
  readonly problem = signal<PlainError | null>(null);
  readonly #engine: ChatEngine;
  #subject: ChatSubject | null = null;
  #isOpen = false;
  #stopper = new AbortController();

  constructor(engine: ChatEngine) {
    this.#engine = engine;
  }

  /** Loads a model; what was said to another one is forgotten. */
  async open(subject: ChatSubject): Promise<void> {
    this.#stopper.abort();
    if (JSON.stringify(subject) !== JSON.stringify(this.#subject)) this.turns.value = [];
    this.#subject = subject;
    this.#isOpen = true;
    this.state.value = "loading";
    this.facts.value = null;
    await this.#told(async () => {
      const facts = await this.#engine.open(subject);
      if (this.#subject !== subject || !this.#isOpen) return;
      this.facts.value = facts;
      if (!facts.sides.includes("adapter")) this.mode.value = "base";
      this.state.value = "ready";
    });
    if (this.#subject === subject && this.facts.value === null) this.state.value = "closed";
  }

  /**
   * Asks whoever answers, and shows what they write as they write it.
   *
   * @returns Whether they could; {@link problem} tells why not.
   */
  async send(question: string): Promise<boolean> {
    if (this.state.value !== "ready" || question.trim() === "") return false;
    const mode = this.mode.value, sides: ChatSide[] = mode === "both" ? ["base", "adapter"] : [mode];
    const turns = sides.map((side) => ({ side, messages: this.#messagesTo(side, question) }));
    const answers = sides.map((side): Answer => ({ side, text: signal(""), verdict: signal("") }));
    this.turns.value = [...this.turns.value, { question, answers }];
    this.state.value = "writing";
    const { signal: stopped } = this.#stopper = new AbortController();
    const clocks = new Map<ChatSide, Clock>();
    await this.#told(async () => {
      const seed = this.seed.value + this.turns.value.length - 1; // each turn draws other numbers
      const options = {
        temperature: this.temperature.value,
        seed,
        maxNewTokens: this.maxNewTokens.value,
      };
      await this.#engine.say({ turns, options }, stopped, ({ side, text, tokens, end }) => {
        const answer = answers.find((one) => one.side === side)!;
        if (!clocks.has(side)) clocks.set(side, new Clock());
        clocks.get(side)!.count(tokens);
        answer.text.value += text;
        if (end !== null) {
          answer.verdict.value = `${clocks.get(side)!.told}${end === "length" ? ", cut" : ""}`;
        }
      });
    }, stopped);
    const isRefused = this.problem.value !== null && !stopped.aborted;
    for (const { verdict } of answers) verdict.value ||= isRefused ? "no answer" : "stopped";
    if (["writing", "stopping"].includes(this.state.value)) this.state.value = "ready";
    return !isRefused;
  }

  /** Ends the answer; what was written stays. */
  stop(): void {
    if (this.state.value === "writing") this.state.value = "stopping";
    this.#stopper.abort();
  }

  /** Begins a new conversation. */
  reset(): void {
    this.stop();
    this.turns.value = [];
    this.problem.value = null;
  }

  /** Frees the model; what was said stays. */
  async close(): Promise<void> {
    this.#stopper.abort();
    this.#isOpen = false;
    this.state.value = "closed";
    this.facts.value = null;
    await this.#told(() => this.#engine.close());
  }

  /** What was said with one side so far, apart from what it did not answer, and the question. */
  #messagesTo(side: ChatSide, question: string): Message[] {
    const before = this.turns.value.flatMap(({ question, answers }): Message[] => {
      const answer = answers.find((one) => one.side === side);
      if (!answer || answer.text.value === "") return [];
      return [{ role: "user", content: question }, { role: "assistant", content: answer.text.value }];
    });
    const system = this.system.value.trim();
    const instruction: Message[] = system === "" ? [] : [{ role: "system", content: system }];
    return [...instruction, ...before, { role: "user", content: question }];
  }

  async #told(act: () => Promise<void>, stopped?: AbortSignal): Promise<void> {
    this.problem.value = null;
    try {
      await act();
    } catch (error) {
      if (stopped?.aborted) return;
      this.problem.value = error instanceof RefusedError ? error.plain : plainError(error);
    }
  }
}

/** Tokens and the time that they took. */
class Clock {
  #tokens = 0;
  #start = 0;

  count(tokens: number): void {
    if (this.#tokens === 0) this.#start = performance.now(); // the first one waits for the prompt
    this.#tokens += tokens;
  }

  get told(): string {
    const seconds = (performance.now() - this.#start) / 1000, after = this.#tokens - 1;
    const tokens = `${this.#tokens} token${this.#tokens === 1 ? "" : "s"}`;
    const rate = after / seconds;
    return after < 2 || seconds === 0
      ? tokens
      : `${tokens}, ${rate < 10 ? rate.toFixed(1) : Math.round(rate)} a second`;
  }
}
