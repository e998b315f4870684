/**
 * Answers to the same prompts before training, on the way and now, side by side.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { ViewProps } from "../app.tsx";
import type { RunState } from "../page/run_state.ts";
import { changeSummary, exactSummary, type Round } from "../page/sample_rounds.ts";

interface AnswerProps {
  /** What was expected; null for a prompt of the user's own. */
  readonly expected: string | null;
  readonly answer: string | undefined;
  /** The answer of the column before; undefined where there is none. */
  readonly former?: string | undefined;
}

/** An answer, ticked where it is exactly right, and marked where it is another one than before. */
function Answer({ expected, answer, former }: AnswerProps) {
  if (answer === undefined) return <td />;
  const isRight = expected !== null && answer.trim() === expected.trim();
  const isNew = former !== undefined && former !== answer;
  return (
    <td>
      {isRight ? `✓ ${answer.trim()}` : answer.trim()}
      {isNew && <small>changed</small>}
    </td>
  );
}

interface StepChoiceProps {
  readonly rounds: readonly Round[];
  readonly shown: Round;
  readonly onChoose: (step: number) => void;
}

/** Which of the rounds between the first and the last is shown. */
function StepChoice({ rounds, shown, onChoose }: StepChoiceProps) {
  if (rounds.length === 1) return <>Step {shown.step}</>;
  return (
    <select
      id="answers-step"
      class="narrow"
      aria-label="Step of the answers in this column"
      value={String(shown.step)}
      onChange={({ currentTarget }) => onChoose(Number(currentTarget.value))}
    >
      {rounds.map(({ step }) => <option key={step} value={String(step)}>Step {step}</option>)}
    </select>
  );
}

/** Asks a run that goes on. */
function AnswerNow({ session, run }: ViewProps & { run: RunState }) {
  if (session.running.value !== run || run.status.value !== "running") return null;
  const isAsked = run.isAnswering.value;
  return (
    <button
      id="answer-now"
      type="button"
      class="second quiet small"
      disabled={isAsked}
      title="After the step that the run is at; what it learns stays the same"
      onClick={() => session.answerNow()}
    >
      {isAsked ? "Answering after this step" : "Answer now"}
    </button>
  );
}

export function RunSamples({ session, run }: ViewProps & { run: RunState }) {
  const chosen = useSignal<number | null>(null), rounds = run.rounds.value;
  const before = rounds.at(0), now = rounds.at(-1);
  if (!before || !now) return null;
  const between = rounds.slice(1, -1);
  const middle = between.find(({ step }) => step === chosen.value) ?? between.at(-1) ?? null;
  return (
    <section id="samples" class="card" aria-labelledby="samples-title">
      <div class="title">
        <h2 id="samples-title">Answers</h2>
        <span class="soft">the most probable ones to your own prompts and held-out ones</span>
        <AnswerNow session={session} run={run} />
      </div>
      <p>
        {[exactSummary(rounds), now === before ? "" : changeSummary(middle ?? before, now)].join(" ").trim()}
      </p>
      <div class="wide" tabIndex={0} role="group" aria-label="Answers">
        <table>
          <thead>
            <tr>
              <th scope="col">Prompt</th>
              <th scope="col">Expected</th>
              <th scope="col">{before.step === 0 ? "Before" : `Step ${before.step}`}</th>
              {middle && (
                <th scope="col">
                  <StepChoice rounds={between} shown={middle} onChoose={(step) => chosen.value = step} />
                </th>
              )}
              <th scope="col">{now === before ? "Now" : `Now, step ${now.step}`}</th>
            </tr>
          </thead>
          <tbody>
            {now.samples.map(({ prompt, expected, answer }, i) => {
              const first = before.samples[i]?.answer, second = middle?.samples[i]?.answer;
              return (
                <tr key={i}>
                  <td>{prompt.trim()}</td>
                  <td>{expected?.trim() ?? "–"}</td>
                  <Answer expected={expected} answer={first} />
                  {middle && <Answer expected={expected} answer={second} former={first} />}
                  <Answer
                    expected={expected}
                    answer={now === before ? undefined : answer}
                    former={second ?? first}
                  />
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}
