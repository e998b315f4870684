import assert from "node:assert/strict";
import { type ChatEngine, ChatSession } from "../../web/page/chat_session.ts";
import { RefusedError } from "../../web/page/engine.ts";
import type { ChatOrder, ChatSubject } from "../../web/protocol/chat.ts";

const RUN: ChatSubject = { kind: "run", run: "ember", checkpoint: null };

/** Answers each message with its side and number of messages; waits in the middle where it is told to. */
class EchoEngine implements ChatEngine {
  readonly orders: ChatOrder[] = [];
  closed = 0;
  wait: ((signal: AbortSignal) => Promise<void>) | null = null;
  refuses = false;
  loading: Promise<void> = Promise.resolve();

  async open(subject: ChatSubject) {
    await this.loading;
    const sides = subject.kind === "run" ? ["adapter", "base"] as const : ["base"] as const;
    return { hasTemplate: true, contextLength: 64, sides, examples: [] };
  }

  async say(order: ChatOrder, signal: AbortSignal, onPiece: Parameters<ChatEngine["say"]>[2]) {
    this.orders.push(order);
    for (const { side, messages } of order.turns) {
      if (messages.at(-1)!.content === "too long") {
        throw new RefusedError({ name: "ConfigError", message: "no room", issues: [] });
      }
      onPiece({ side, text: `${side} `, tokens: 1, end: null });
      await this.wait?.(signal);
      if (this.refuses) throw new RefusedError({ name: "ConfigError", message: "too long", issues: [] });
      onPiece({ side, text: String(messages.length), tokens: 2, end: "stop" });
    }
  }

  close() {
    this.closed++;
    return Promise.resolve();
  }
}

/** What was said, by turn and side. */
const said = (chat: ChatSession) =>
  chat.turns.value.map(({ answers }) => answers.map(({ text }) => text.value));

Deno.test("ChatSession keeps a conversation with each side, and each side hears its own answers alone", async () => {
  const engine = new EchoEngine(), chat = new ChatSession(engine);
  await chat.open(RUN);
  assert.equal(chat.mode.value, "adapter");
  await chat.send("one");
  chat.mode.value = "both";
  await chat.send("two");
  assert.deepEqual(said(chat), [["adapter 1"], ["base 1", "adapter 3"]]);
  const verdicts = chat.turns.value[1]!.answers.map(({ verdict }) => verdict.value);
  for (const verdict of verdicts) assert.match(verdict, /^3 tokens\b/);
  const [, { turns, options }] = engine.orders as [ChatOrder, ChatOrder];
  assert.deepEqual(turns[0]!.messages, [{ role: "user", content: "two" }]);
  assert.deepEqual(turns[1]!.messages.map(({ content }) => content), ["one", "adapter 1", "two"]);
  assert.deepEqual(options, { temperature: 0.7, seed: 43, maxNewTokens: 256 });
  await chat.open(RUN);
  assert.equal(chat.turns.value.length, 2);
  await chat.open({ kind: "base", baseModel: "models/tiny" });
  assert.deepEqual([chat.turns.value, chat.mode.value], [[], "base"]);
  await chat.close();
  assert.deepEqual([chat.state.value, engine.closed], ["closed", 1]);
});

Deno.test("ChatSession keeps what was written when an answer is stopped, and goes on", async () => {
  const engine = new EchoEngine(), chat = new ChatSession(engine);
  await chat.open(RUN);
  engine.wait = (signal) =>
    new Promise((_, refused) => signal.addEventListener("abort", () => refused(signal.reason)));
  const sending = chat.send("one");
  assert.equal(chat.state.value, "writing");
  await chat.send("nobody hears this");
  chat.stop();
  assert.equal(chat.state.value, "stopping");
  await sending;
  assert.deepEqual([said(chat), chat.state.value, chat.problem.value], [[["adapter "]], "ready", null]);
  assert.equal(chat.turns.value[0]!.answers[0]!.verdict.value, "stopped");
  engine.wait = null;
  await chat.send("two");
  assert.deepEqual(said(chat)[1], ["adapter 3"]);
});

Deno.test("ChatSession tells why there is no answer, and forgets all on reset", async () => {
  const engine = new EchoEngine(), chat = new ChatSession(engine);
  await chat.open(RUN);
  engine.refuses = true;
  assert.equal(await chat.send("one"), false);
  assert.equal(chat.problem.value?.message, "too long");
  assert.equal(chat.state.value, "ready");
  chat.reset();
  assert.deepEqual([chat.turns.value, chat.problem.value], [[], null]);
});

Deno.test("ChatSession puts the system message before each conversation, and none where it is empty", async () => {
  const engine = new EchoEngine(), chat = new ChatSession(engine);
  await chat.open(RUN);
  chat.system.value = "  Answer in rhyme. ";
  await chat.send("one");
  chat.system.value = " ";
  await chat.send("two");
  const roles = engine.orders.map(({ turns }) => turns[0]!.messages.map(({ role }) => role).join(" "));
  assert.deepEqual(roles, ["system user", "user assistant user"]);
  assert.equal(engine.orders[0]!.turns[0]!.messages[0]!.content, "Answer in rhyme.");
});

Deno.test("what was not answered is not said again with the next question", async () => {
  const engine = new EchoEngine(), chat = new ChatSession(engine);
  await chat.open(RUN);
  assert.equal(await chat.send("too long"), false);
  assert.equal(chat.turns.value[0]!.answers[0]!.verdict.value, "no answer");
  assert.equal(await chat.send("short"), true);
  assert.deepEqual(engine.orders[1]!.turns[0]!.messages, [{ role: "user", content: "short" }]);
});

Deno.test("a model that is loaded after the chat was closed does not open it again", async () => {
  const engine = new EchoEngine(),
    chat = new ChatSession(engine),
    { promise, resolve } = Promise
      .withResolvers<void>();
  engine.loading = promise;
  const opening = chat.open(RUN);
  await chat.close();
  resolve();
  await opening;
  assert.deepEqual([chat.state.value, chat.facts.value], ["closed", null]);
});
