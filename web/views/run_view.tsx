/**
 * A run: how it goes, or how it went.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";
import type { FinishNotice } from "../page/finish_notice.ts";
import { chatPath, route } from "../page/router.ts";
import type { RunState, RunStatus } from "../page/run_state.ts";
import { ConfirmButton } from "./confirm_button.tsx";
import { HandOver } from "./hand_over.tsx";
import { MemoryRows } from "./memory_rows.tsx";
import { Problem } from "./problem.tsx";
import { RunCharts } from "./run_charts.tsx";
import { RunCheckpoints } from "./run_checkpoints.tsx";
import { RunFigures } from "./run_figures.tsx";
import { RunFiles } from "./run_files.tsx";
import { RunLog } from "./run_log.tsx";
import { RunSamples } from "./run_samples.tsx";

const WORDS: Readonly<Record<RunStatus, string>> = {
  starting: "Starting",
  running: "Running",
  stopping: "Stopping",
  paused: "Paused",
  completed: "Completed",
  failed: "Failed",
};

/** Asks for a notification, never by itself. */
function NoticeButton({ notice }: { notice: FinishNotice }) {
  const state = notice.state.value;
  if (state === "missing") return null;
  if (state === "refused") {
    return (
      <small id="notice-refused" role="status">
        This browser does not let the page notify you. Its settings of this site decide.
      </small>
    );
  }
  return (
    <button
      id="notify"
      type="button"
      class="second quiet"
      title="A notification when the run ends while you look elsewhere"
      onClick={() => void notice.toggle()}
    >
      {state === "on" ? "Do not notify me" : "Notify me"}
    </button>
  );
}

function Actions({ session, run }: ViewProps & { run: RunState }) {
  const resumable = run.resumable.value, isMine = session.running.value === run;
  const isStopping = run.status.value === "stopping";
  if (isMine) {
    return (
      <div class="actions">
        <button
          id="stop"
          type="button"
          class="second"
          disabled={isStopping}
          onClick={() => session.stop()}
        >
          Pause
        </button>
        <button
          id="finish"
          type="button"
          class="second"
          disabled={isStopping || run.status.value === "starting"}
          onClick={() => session.finish()}
        >
          Stop and save
        </button>
        <ConfirmButton
          id="discard"
          label="Discard"
          question="Discard all of it?"
          disabled={isStopping}
          onConfirm={() => session.discard()}
        />
        <NoticeButton notice={session.notice} />
      </div>
    );
  }
  return (
    <div class="actions">
      {resumable !== null && session.isAble && (
        <button
          id="resume"
          type="button"
          onClick={() => void session.resume(run.name)}
        >
          Continue from step {resumable}
        </button>
      )}
      {resumable !== null && session.isAble && (
        <button
          id="one-step"
          type="button"
          class="second quiet"
          title="Goes on, and pauses again at the next report of a step"
          onClick={() => void session.resume(run.name, true)}
        >
          {Number(run.config.logging_steps ?? 1) === 1 ? "One step" : "To the next report"}
        </button>
      )}
      {run.holdings.value.hasAdapter && (
        <a
          id="to-chat"
          class="button second"
          href={`#/${chatPath({ kind: "run", run: run.name, checkpoint: null })}`}
        >
          Chat
        </a>
      )}
      <button
        id="set-up-again"
        type="button"
        class="second quiet"
        title="Fills the form with what this run was set to, to change it"
        onClick={() => session.setUpAgain(run)}
      >
        Use these settings
      </button>
      <HandOver session={session} run={run} />
      <ConfirmButton
        id="discard"
        label={run.holdings.value.hasAdapter ? "Delete" : "Discard"}
        question="Remove all of it?"
        onConfirm={() => void session.remove(run.name)}
      />
    </div>
  );
}

function Progress({ session, run }: ViewProps & { run: RunState }) {
  const status = run.status.value, total = run.totalSteps.value;
  void run.version.value;
  return (
    <section id="run" class="card" aria-labelledby="run-title" data-status={status}>
      <div class="title">
        <h1 id="run-title">{run.name}</h1>
        <span class={`state ${status}`}>{WORDS[status]}</span>
        <Actions session={session} run={run} />
      </div>
      <progress id="progress" value={run.step.value} max={total || 1} aria-label="Steps done" />
      <p id="live" class="live">{run.live.value}</p>
      <RunFigures run={run} />
    </section>
  );
}

function Details({ run }: { run: RunState }) {
  const memory = run.started.value?.memory ?? [];
  return (
    <section class="card details" aria-label="Details of this run">
      <RunLog run={run} />
      <details>
        <summary>Configuration of this run</summary>
        <pre
          id="config"
          tabIndex={0}
          aria-label="Configuration of this run"
        >{JSON.stringify(run.config, null, 2)}</pre>
      </details>
      {memory.length > 0 && (
        <details>
          <summary>GPU memory</summary>
          <MemoryRows memory={memory} />
        </details>
      )}
    </section>
  );
}

export function RunView({ session }: ViewProps) {
  const run = session.run.value, { rest } = route.value;
  const isMissing = session.ready.value && (rest === null || session.missing.value === rest);
  if (!run || (rest !== null && run.name !== rest)) {
    return (
      <section class="card">
        <h1>Run</h1>
        <p class="soft">
          {isMissing ? "There is no such run here." : "Looking for the run."}
        </p>
        <p>
          <a href="#/train">Set up a run</a>
        </p>
      </section>
    );
  }
  const problem = run.problem.value;
  return (
    <div class="stack">
      <Progress session={session} run={run} />
      {problem && (
        <Problem
          id="problem"
          title={`The run failed${problem.name === "Error" ? "" : ` (${problem.name})`}`}
          problem={problem}
        />
      )}
      <RunCharts run={run} />
      <RunSamples session={session} run={run} />
      <RunFiles session={session} run={run} />
      <RunCheckpoints session={session} run={run} />
      <Details run={run} />
    </div>
  );
}
