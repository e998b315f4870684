/**
 * A job of the page's server as it goes, or went: what the page shows of its own runs, as far as the server tells it.
 *
 * @module
 */
import { useEffect } from "preact/hooks";
import { byteSize } from "../figures.ts";
import type { ServerFile, ServerJob } from "../lowrank_server.ts";
import { chatPath } from "../page/router.ts";
import { type FollowedJob, isOver, type ServerJobs } from "../page/server_jobs.ts";
import type { PageSession } from "../page/session.ts";
import { ConfirmButton } from "./confirm_button.tsx";
import { Problem } from "./problem.tsx";
import { RunCharts } from "./run_charts.tsx";
import { lossAt } from "./run_checkpoints.tsx";
import { RunFigures } from "./run_figures.tsx";
import { RunLog } from "./run_log.tsx";
import { RunSamples } from "./run_samples.tsx";
import { ServerJobState } from "./server_job_state.tsx";
import { TakeJob } from "./take_job.tsx";

interface JobProps {
  readonly session: PageSession;
  readonly server: ServerJobs;
}

/** What a job is called. */
export function jobName(job: ServerJob): string {
  return job.user_provided_suffix ?? job.id;
}

/** What result files are, by their names. */
const FILE_TITLES: Readonly<Record<string, string>> = {
  "adapter.zip": "Adapter (PEFT, zip)",
  "merged.zip": "Merged model (safetensors, zip)",
  "step_metrics.csv": "Metrics (CSV)",
  "metrics.jsonl": "Metrics (JSON Lines)",
};

function Actions({ session, server, followed }: JobProps & { followed: FollowedJob }) {
  const { job } = followed, { id, status, fine_tuned_model: model } = job;
  return (
    <div class="actions">
      {model !== null && (
        <a id="server-chat" class="button" href={`#/${chatPath({ kind: "server", model })}`}>Chat</a>
      )}
      <TakeJob
        session={session}
        job={job}
        hasSaved={job.fine_tuned_model !== null || followed.checkpoints.length > 0 ||
          followed.run.step.value > 0}
      />
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

function Progress({ session, server, followed }: JobProps & { followed: FollowedJob }) {
  const { job, run } = followed;
  void run.version.value;
  const isRunning = job.status === "running" && run.last.value !== null;
  return (
    <section id="server-job" class="card" aria-labelledby="server-job-title" data-status={job.status}>
      <div class="title">
        <h1 id="server-job-title">{jobName(job)}</h1>
        <ServerJobState status={job.status} />
        <Actions session={session} server={server} followed={followed} />
      </div>
      <progress value={run.step.value} max={run.totalSteps.value || 1} aria-label="Steps done" />
      <p class="live">{isRunning ? run.live.value : run.log.value.at(-1)}</p>
      <RunFigures run={run} />
      <p class="soft">
        <small>{job.model} · {job.id}</small>
      </p>
    </section>
  );
}

function Files({ server, files }: { server: ServerJobs; files: readonly ServerFile[] }) {
  const saving = server.saving.value;
  if (files.length === 0) return null;
  const sorted = Object.keys(FILE_TITLES).flatMap((name) =>
    files.filter(({ filename }) => filename === name)
  );
  return (
    <section id="server-files" class="card" aria-labelledby="server-files-title">
      <h2 id="server-files-title">Download</h2>
      <div class="actions even">
        {sorted.map((file, i) => (
          <button
            key={file.id}
            type="button"
            class={i === 0 ? "" : "second"}
            disabled={saving !== null}
            onClick={() => void server.save(file)}
          >
            {saving === file.id ? "Fetching …" : `${FILE_TITLES[file.filename]}, ${byteSize(file.bytes)}`}
          </button>
        ))}
      </div>
    </section>
  );
}

function Checkpoints({ followed: { checkpoints, run } }: { followed: FollowedJob }) {
  if (checkpoints.length === 0) return null;
  return (
    <section id="server-checkpoints" class="card" aria-labelledby="server-checkpoints-title">
      <h2 id="server-checkpoints-title">Checkpoints</h2>
      <div class="wide" tabIndex={0} role="group" aria-label="Checkpoints">
        <table>
          <thead>
            <tr>
              {["After step", "Training loss", "Evaluation loss"].map((title) => (
                <th key={title} scope="col">{title}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {checkpoints.toReversed().map(({ step_number: step }) => (
              <tr key={step}>
                <th scope="row" class="number">{step}</th>
                <td class="number">{lossAt(run.steps, step)}</td>
                <td class="number">{lossAt(run.evaluations, step)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function ServerJobView({ session, server, id }: JobProps & { id: string }) {
  useEffect(() => server.follow(id), [server, id]);
  const followed = server.followed.value;
  if (followed?.job.id !== id) return null;
  const { job, run, options, files } = followed;
  return (
    <>
      <Progress session={session} server={server} followed={followed} />
      {job.error && (
        <Problem title="The job failed" problem={{ name: "Error", message: job.error.message, issues: [] }} />
      )}
      {run.steps.length > 0 && <RunCharts run={run} />}
      <RunSamples session={session} run={run} />
      <Files server={server} files={files} />
      <Checkpoints followed={followed} />
      <section class="card details" aria-label="Details of this job">
        <RunLog run={run} />
        <details>
          <summary>Configuration of this job</summary>
          <pre
            id="server-config"
            tabIndex={0}
            aria-label="Configuration of this job"
          >{JSON.stringify({ base_model: job.model, ...options }, null, 2)}</pre>
        </details>
        {job.fine_tuned_model && (
          <details>
            <summary>For programs</summary>
            <p>
              <code>{job.fine_tuned_model}</code> answers at <code>/v1/chat/completions</code> of the server.
            </p>
          </details>
        )}
      </section>
    </>
  );
}
