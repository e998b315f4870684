/**
 * The jobs of the page's server, and one of them as it goes. Loaded where there is a server.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ago } from "../figures.ts";
import { route } from "../page/router.ts";
import type { ServerJobs } from "../page/server_jobs.ts";
import type { PageSession } from "../page/session.ts";
import { Problem } from "./problem.tsx";
import { jobName, ServerJobView } from "./server_job.tsx";
import { ServerJobState } from "./server_job_state.tsx";

interface ServerProps {
  readonly session: PageSession;
  readonly server: ServerJobs;
}

function Token({ session, server }: ServerProps) {
  const token = useSignal("");
  const use = async () => {
    await server.setToken(token.value);
    if (!server.needsToken.value) await session.inputs.listModels();
  };
  return (
    <form
      class="field"
      onSubmit={(event) => {
        event.preventDefault();
        void use();
      }}
    >
      <label for="server-token">Token</label>
      <input
        id="server-token"
        type="password"
        autocomplete="off"
        spellcheck={false}
        value={token.value}
        onInput={({ currentTarget }) => token.value = currentTarget.value}
      />
      <small>
        The server wants one: <code>lowrank token create</code> makes it. It is kept until this tab is closed.
      </small>
      <div class="actions">
        <button id="use-token" type="submit" class="second" disabled={token.value.trim() === ""}>
          Use it
        </button>
      </div>
    </form>
  );
}

function List({ server }: { server: ServerJobs }) {
  useEffect(() => server.watch(), [server]);
  const jobs = server.jobs.value;
  if (!jobs) return null;
  if (jobs.length === 0) {
    return (
      <p class="soft">
        No job yet. <a href="#/train">Set one up</a> and start it on the server.
      </p>
    );
  }
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
                <a href={`#/server/${job.id}`}>{jobName(job)}</a>
                <small>{job.model}</small>
              </th>
              <td>
                <ServerJobState status={job.status} />
              </td>
              <td>{ago(new Date(job.created_at * 1000), new Date())}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Why the server was not heard, and that the page goes on asking. */
function Unheard({ server }: { server: ServerJobs }) {
  const problem = server.problem.value;
  if (!problem) return null;
  return (
    <div class="stack">
      <Problem
        id="server-problem"
        title={server.needsToken.value
          ? "The server lets nobody in with this token"
          : "The server was not heard"}
        problem={problem}
      />
      {server.isRetrying.value && (
        <p id="server-retries" class="soft" role="status">
          Asking again every few seconds. The job goes on without this page, and nothing that it tells is
          missed.
        </p>
      )}
    </div>
  );
}

export function ServerView({ session, server }: ServerProps) {
  const { rest } = route.value;
  return (
    <div class="stack">
      <Unheard server={server} />
      {rest === null || server.needsToken.value
        ? (
          <section class="card" aria-labelledby="server-title">
            <h1 id="server-title">Server</h1>
            <p class="soft">Jobs that run on the server that this page came from.</p>
            {server.needsToken.value ? <Token session={session} server={server} /> : <List server={server} />}
          </section>
        )
        : <ServerJobView session={session} server={server} id={rest} />}
    </div>
  );
}
