/**
 * Talking with what was trained, and with the base model beside it.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ViewProps } from "../app.tsx";
import type { Answer, ChatMode, ChatSession, Turn } from "../page/chat_session.ts";
import { chatPath, readChatSubject, route, routeTo } from "../page/router.ts";
import type { ChatSide, ChatSubject } from "../protocol/chat.ts";
import type { RunEntry } from "../protocol/runs.ts";
import { isTunedOnServer, serverModelId } from "../server_model.ts";
import { modelName } from "./model_card.tsx";
import { Problem } from "./problem.tsx";

const SIDES: Readonly<Record<ChatSide, string>> = { adapter: "Trained", base: "Base model" };
const MODES: readonly [ChatMode, string][] = [["adapter", "Trained"], ["base", "Base"], [
  "both",
  "Side by side",
]];

interface ChatProps {
  readonly chat: ChatSession;
}

/** `signals, ab12cd34` of `ft:lowrank-tiny:lowrank:signals:ab12cd34`. */
function shortName(model: string): string {
  const [kind, , , suffix, id] = model.split(":");
  return kind === "ft" ? [suffix, id].filter(Boolean).join(", ") : model;
}

/** What can be talked to, by address. */
function Subjects({ subject, runs, baseModels, serverModels }: {
  subject: ChatSubject;
  runs: readonly RunEntry[];
  baseModels: readonly string[];
  /** Names of models that the page's server has trained. */
  serverModels: readonly string[];
}) {
  const paths = new Map<string, string>(), path = chatPath(subject);
  for (const { name, status, resumable } of runs) {
    if (status === "completed") paths.set(chatPath({ kind: "run", run: name, checkpoint: null }), name);
    else if (resumable !== null) {
      const subject = { kind: "run", run: name, checkpoint: resumable } as const;
      paths.set(chatPath(subject), `${name}, after step ${resumable}`);
    }
  }
  for (const uri of baseModels) {
    paths.set(chatPath({ kind: "base", baseModel: uri }), `${modelName(uri)}, as it is`);
  }
  const named = subject.kind === "server" ? [subject.model] : [];
  for (const model of new Set([...serverModels, ...named])) {
    paths.set(chatPath({ kind: "server", model }), `${shortName(model)}, on the server`);
  }
  if (!paths.has(path) && subject.kind === "run") {
    const { run, checkpoint } = subject;
    paths.set(path, checkpoint === null ? run : `${run}, after step ${checkpoint}`);
  }
  return (
    <select
      id="chat-subject"
      class="narrow"
      aria-label="Who is talked to"
      value={path}
      onChange={({ currentTarget }) => routeTo(currentTarget.value)}
    >
      {[...paths].map(([value, title]) => <option key={value} value={value}>{title}</option>)}
    </select>
  );
}

function Modes({ chat }: ChatProps) {
  const sides = chat.facts.value?.sides ?? [], mode = chat.mode.value;
  return (
    <div class="switch" role="group" aria-label="Who answers">
      {MODES.map(([name, title]) => (
        <button
          key={name}
          id={`chat-${name}`}
          type="button"
          aria-pressed={mode === name}
          disabled={name !== "base" && !sides.includes("adapter")}
          onClick={() => chat.mode.value = name}
        >
          {title}
        </button>
      ))}
    </div>
  );
}

function Settings({ chat }: ChatProps) {
  const numbers = [
    ["chat-temperature", "Temperature", chat.temperature, { min: 0, max: 2, step: 0.1 }],
    ["chat-seed", "Seed", chat.seed, { min: 0, max: 1e6, step: 1 }],
    ["chat-tokens", "Most tokens", chat.maxNewTokens, { min: 1, max: 4096, step: 1 }],
  ] as const;
  return (
    <div class="inline-fields">
      {chat.facts.value?.hasTemplate !== false && (
        <label class="inline wide" for="chat-system">
          System message{" "}
          <input
            id="chat-system"
            type="text"
            autocomplete="off"
            placeholder="none"
            value={chat.system.value}
            onChange={({ currentTarget }) => chat.system.value = currentTarget.value}
          />
        </label>
      )}
      {numbers.map(([id, title, value, range]) => (
        <label key={id} class="inline" for={id}>
          {title}{" "}
          <input
            id={id}
            type="number"
            value={value.value}
            {...range}
            onChange={({ currentTarget }) => {
              if (currentTarget.value !== "" && currentTarget.validity.valid) {
                value.value = currentTarget.valueAsNumber;
              } else currentTarget.value = String(value.value);
            }}
          />
        </label>
      ))}
    </div>
  );
}

function AnswerText({ answer: { side, text, verdict } }: { answer: Answer }) {
  const isDone = verdict.value !== "";
  return (
    <div class="answer" data-side={side} aria-busy={!isDone}>
      <h2>
        {SIDES[side]} {isDone && <small class="soft">{verdict.value}</small>}
      </h2>
      <p class="said">{text.value}{!isDone && <span class="caret" aria-hidden="true" />}</p>
    </div>
  );
}

function Said({ turns }: { turns: readonly Turn[] }) {
  return (
    <div role="log" aria-label="Conversation">
      <ol id="turns" class="turns">
        {turns.map(({ question, answers }, i) => (
          <li key={i}>
            <p class="question">{question}</p>
            <div class={answers.length > 1 ? "pair" : undefined}>
              {answers.map((answer) => <AnswerText key={answer.side} answer={answer} />)}
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** What the run was asked before, to ask it again. */
function Examples({ chat }: ChatProps) {
  const examples = chat.facts.value?.examples ?? [];
  if (examples.length === 0 || chat.turns.value.length > 0) return null;
  return (
    <div class="examples" role="group" aria-label="Prompts of this run">
      {examples.map((prompt) => (
        <button
          key={prompt}
          type="button"
          class="second quiet small"
          disabled={chat.state.value !== "ready"}
          onClick={() => void chat.send(prompt)}
        >
          {prompt}
        </button>
      ))}
    </div>
  );
}

function Ask({ chat }: ChatProps) {
  const text = useSignal(""), field = useRef<HTMLTextAreaElement>(null);
  const state = chat.state.value, isStopping = state === "stopping";
  const send = () => {
    const question = text.value;
    if (state !== "ready" || question.trim() === "") return;
    text.value = "";
    void chat.send(question).then((isAnswered) => {
      if (!isAnswered && text.peek() === "") text.value = question; // to be asked in other words
      if (document.activeElement === document.body) field.current?.focus(); // the pressed button is gone
    });
  };
  return (
    <form
      class="ask"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        id="question"
        ref={field}
        rows={2}
        aria-label={chat.facts.value?.hasTemplate === false ? "Text to go on from" : "Message"}
        placeholder={chat.facts.value?.hasTemplate === false
          ? "A text to go on from: this model knows no conversations"
          : "Message"}
        value={text.value}
        onInput={({ currentTarget }) => text.value = currentTarget.value}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <div class="actions">
        {isStopping || state === "writing"
          ? (
            <button id="stop-answer" type="button" disabled={isStopping} onClick={() => chat.stop()}>
              {isStopping ? "Stopping …" : "Stop"}
            </button>
          )
          : <button id="send" type="submit" disabled={state !== "ready"}>Send</button>}
        <button
          id="new-chat"
          type="button"
          class="second quiet"
          disabled={chat.turns.value.length === 0}
          onClick={() => chat.reset()}
        >
          New
        </button>
      </div>
    </form>
  );
}

/** What the address names, or else the last run that can answer, or the base model of the form. */
function subjectOf({ session }: ViewProps): ChatSubject {
  const named = readChatSubject(route.value.rest);
  if (named) return named;
  const last = session.runs.value.find(({ status, resumable }) =>
    status === "completed" || resumable !== null
  );
  if (!last) return { kind: "base", baseModel: String(session.form.value("base_model")) };
  const { name: run, status, resumable } = last;
  return { kind: "run", run, checkpoint: status === "completed" ? null : resumable };
}

export function ChatView({ session }: ViewProps) {
  const { chat } = session, isReady = session.ready.value;
  const subject = subjectOf({ session }), path = chatPath(subject);
  const isBusy = session.busy.value && subject.kind !== "server";
  useEffect(() => {
    if (!isReady || isBusy) return;
    void chat.open(subject);
    return () => void chat.close();
  }, [path, isReady, isBusy]);
  const models = session.inputs.models.value;
  const problem = chat.problem.value;
  return (
    <section id="chat" class="card chat" aria-labelledby="chat-title">
      <div class="title">
        <h1 id="chat-title">Chat</h1>
        <Subjects
          subject={subject}
          runs={session.runs.value}
          baseModels={models.filter((path) => !isTunedOnServer(path))}
          serverModels={models.filter(isTunedOnServer).map((path) => serverModelId(path)!)}
        />
        <Modes chat={chat} />
      </div>
      {isBusy && <p class="notice">A run is going on and takes the GPU. Pause it to talk.</p>}
      {!isBusy && (
        <>
          <Settings chat={chat} />
          {chat.state.value === "loading" && <p class="soft" role="status">Loading the model.</p>}
          {problem && <Problem id="chat-problem" title="No answer" problem={problem} />}
          <Said turns={chat.turns.value} />
          <Examples chat={chat} />
          <Ask chat={chat} />
        </>
      )}
    </section>
  );
}
