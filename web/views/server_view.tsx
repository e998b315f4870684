/**
 * The jobs of the page's server, and one of them as it goes. Loaded where there is a server.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ago } from "../figures.ts";
import type { ServerJob } from "../lowrank_server.ts";
import { route } from "../router.ts";
import { isOver, type ServerJobs } from "../server_jobs.ts";
import type { PageSession } from "../session.ts";
import { BringBack } from "./bring_back.tsx";
import { ConfirmButton } from "./confirm_button.tsx";
import { Problem } from "./problem.tsx";
import { RunCharts } from "./run_charts.tsx";
import { RunLog } from "./run_log.tsx";

interface ServerProps {
  readonly session: PageSession;
  readonly server: ServerJobs;
}

const WORDS: Readonly<Record<ServerJob["status"], string>> = {
  queued: "Queued",
  validating_files: "Starting",
  running: "Running",
  paused: "Paused",
  succeeded: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

const nameOf = (job: ServerJob) => job.user_provided_suffix ?? job.id;

function Token({ server }: { server: ServerJobs }) {
  const token = useSignal("");
  return (
    <form
      class="field"
      onSubmit={(event) => {
        event.preventDefault();
        void server.setToken(token.value);
      }}
    >
      <label for="server-token">Token</label>
      <input
        id="server-token"
        type="password"
        autocomplete="off"
        value={token.value}
        onInput={({ currentTarget }) => token.value = currentTarget.value}
      />
      <small>
        Made by <code>lowrank token create</code>; kept until this tab is closed.
      </small>
      <div class="actions">
        <button type="submit" class="second">Use it</button>
      </div>
    </form>
  );
}

function State({ status }: Pick<ServerJob, "status">) {
  const look = {
    succeeded: "completed",
    validating_files: "starting",
    cancelled: "",
    queued: "",
    paused: "",
  };
  return <span class={`state ${look[status as keyof typeof look] ?? status}`}>{WORDS[status]}</span>;
}

function List({ server }: { server: ServerJobs }) {
  useEffect(() => server.watch(), [server]);
  const jobs = server.jobs.value;
  if (!jobs) return null;
  if (jobs.length === 0) return <p class="soft">No job yet. Set one up and start it on the server.</p>;
  return (
    <div class="wide" tabIndex={0} role="group" aria-label="Jobs">
      <table id="server-jobs">
        <thead>
          <tr>
            {["Job", "Status", "Created"].map((title) => <th key={title} scope="col">{title}</th>)}
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <tr key={job.id}>
              <th scope="row">
                <a href={`#/server/${job.id}`}>{nameOf(job)}</a>
                <small>{job.model}</small>
              </th>
              <td>
                <State status={job.status} />
              </td>
              <td>{ago(new Date(job.created_at * 1000), new Date())}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Actions({ session, server, job }: ServerProps & { job: ServerJob }) {
  const { id, status } = job;
  const mine = session.runs.value.find(({ serverJob }) => serverJob === id);
  return (
    <div class="actions">
      {mine && <BringBack session={session} name={mine.name} label="Bring back to this browser" />}
      {["queued", "validating_files", "running"].includes(status) && (
        <button
          id="server-pause"
          type="button"
          class="second"
          onClick={() => void server.move(id, "pause")}
        >
          Pause
        </button>
      )}
      {status === "paused" && (
        <button
          id="server-resume"
          type="button"
          onClick={() => void server.move(id, "resume")}
        >
          Continue
        </button>
      )}
      {!isOver(job) && (
        <ConfirmButton
          id="server-cancel"
          label="Cancel"
          question="Cancel the job for good?"
          onConfirm={() => void server.move(id, "cancel")}
        />
      )}
    </div>
  );
}

function Job({ session, server, id }: ServerProps & { id: string }) {
  useEffect(() => server.follow(id), [server, id]);
  const followed = server.followed.value;
  if (followed?.job.id !== id) return null;
  const { job, run } = followed;
  void run.version.value;
  return (
    <>
      <section id="server-job" class="card" aria-labelledby="server-job-title" data-status={job.status}>
        <div class="title">
          <h1 id="server-job-title">{nameOf(job)}</h1>
          <State status={job.status} />
          <Actions session={session} server={server} job={job} />
        </div>
        <progress value={run.step.value} max={run.totalSteps.value || 1} aria-label="Steps done" />
        <p class="live">
          {job.status === "running" && run.last.value ? run.live.value : run.log.value.at(-1)}
        </p>
        <p class="soft">
          <small>{job.model} · {job.id}</small>
        </p>
      </section>
      {job.error && (
        <Problem title="The job failed" problem={{ name: "Error", message: job.error.message, issues: [] }} />
      )}
      {run.steps.length > 0 && <RunCharts run={run} />}
      {job.fine_tuned_model && (
        <section class="card" aria-labelledby="server-model-title">
          <h2 id="server-model-title">Model</h2>
          <p>
            <code>{job.fine_tuned_model}</code> answers at <code>/v1/chat/completions</code> of the server.
          </p>
        </section>
      )}
      <section class="card details" aria-label="Details of this job">
        <RunLog run={run} />
      </section>
    </>
  );
}

export function ServerView({ session, server }: ServerProps) {
  const { rest } = route.value, problem = server.problem.value;
  return (
    <div class="stack">
      {problem && <Problem id="server-problem" title="The server was not heard" problem={problem} />}
      {rest === null || server.needsToken.value
        ? (
          <section class="card" aria-labelledby="server-title">
            <h1 id="server-title">Server</h1>
            <p class="soft">Jobs that run on the server that this page came from.</p>
            {server.needsToken.value ? <Token server={server} /> : <List server={server} />}
          </section>
        )
        : <Job session={session} server={server} id={rest} />}
    </div>
  );
}
