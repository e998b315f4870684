/**
 * What a press on Start would do: the same options that are sent, and the plan that the engine made of them.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { ViewProps } from "../app.tsx";
import { count, counted } from "../figures.ts";
import { LOOKING } from "../gate.ts";
import { saveAs } from "../page/download.ts";
import type { JobForm } from "../page/job_form.ts";
import type { JobInputs } from "../page/job_inputs.ts";
import type { PageSession } from "../page/session.ts";
import { settingsLink } from "../page/settings_link.ts";
import { commandOptions, shellCommand } from "../page/shell_command.ts";
import type { JobPlan } from "../protocol/job.ts";
import type { PlainError } from "../protocol/plain_error.ts";
import { isTunedOnServer } from "../server_model.ts";
import { MemoryVerdict } from "./memory_verdict.tsx";
import { modelName } from "./model_card.tsx";
import { Problem } from "./problem.tsx";

function facts(form: JobForm, plan: JobPlan | null, skipped: number): [string, string][] {
  const text = (wireName: string) => String(form.value(wireName));
  const steps = Number(form.value("max_steps")), epochs = Number(form.value("num_train_epochs"));
  const examples = Number(form.value("batch_size")) * Number(form.value("gradient_accumulation_steps"));
  const bits = form.quantization.replace("bit", "");
  const method = form.quantization === "none" ? "LoRA" : `QLoRA, base in ${bits} bits`;
  const length = plan
    ? `${count(plan.summary.totalSteps)} steps`
    : steps > 0
    ? `${count(steps)} steps`
    : `${epochs} epoch${epochs === 1 ? "" : "s"}`;
  const path = text("training_data_path");
  return [
    ["Model", modelName(text("base_model"))],
    [
      "Data",
      path.slice(path.lastIndexOf("/") + 1) +
      (plan
        ? `: ${count(plan.summary.trainExamples)} rows, ${count(plan.summary.evalExamples)} held out`
        : "") +
      (skipped > 0 ? `, ${counted(skipped, "line")} skipped` : ""),
    ],
    ["Method", `${method}, rank ${text("lora_r")}, alpha ${text("lora_alpha")}`],
    ["Length", `${length} of ${count(examples)} examples, learning rate ${text("learning_rate")}`],
    ...(plan
      ? [[
        "Trains",
        `${count(plan.summary.trainableParameters)} of ${count(plan.summary.totalParameters)} parameters`,
      ]]
      : []),
  ] as [string, string][];
}

function Export({ session }: ViewProps) {
  const { form, job } = session, copied = useSignal(""), refused = useSignal("");
  const command = shellCommand(form.values.value), link = settingsLink(form.values.value, job);
  const copy = async (text: string) => {
    try {
      await navigator.clipboard.writeText(text);
      copied.value = text;
    } catch {
      refused.value = text; // the browser lets the page copy nothing
    }
  };
  const save = () => {
    const text = `${JSON.stringify(commandOptions(form.values.value), null, 2)}\n`;
    saveAs(new Blob([text], { type: "application/json" }), `${form.value("output_model_name")}.json`);
  };
  return (
    <>
      <div class="actions even">
        <button id="copy-command" type="button" class="second quiet small" onClick={() => void copy(command)}>
          {copied.value === command ? "Copied" : "Copy as command"}
        </button>
        <button
          id="copy-link"
          type="button"
          class="second quiet small"
          title="Opens this form with these settings; model, data and prompts are not in it"
          onClick={() => void copy(link)}
        >
          {copied.value === link ? "Copied" : "Copy link"}
        </button>
        <button id="save-config" type="button" class="second quiet small" onClick={save}>Save config</button>
        <label class="button second quiet small">
          Load config
          <input
            id="load-config"
            class="unseen"
            type="file"
            accept=".yaml,.yml,.json"
            onChange={({ currentTarget }) => {
              const [file] = currentTarget.files ?? [];
              if (file) void session.takeConfigFile(file);
              currentTarget.value = ""; // or the same file, corrected, would be no change
            }}
          />
        </label>
      </div>
      {[command, link].includes(refused.value) && (
        <pre id="command" tabIndex={0} aria-label="To be copied by hand">{refused.value}</pre>
      )}
    </>
  );
}

/** Where the form's job can be started: here, on the page's server, or on both. */
function Start({ session, isRight, canRun }: ViewProps & {
  /** Whether options and data are as they must be. */
  readonly isRight: boolean;
  /** Whether this browser can run it, as far as is known; the server has a GPU and files of its own. */
  readonly canRun: boolean;
}) {
  const { server, gate } = session, isReady = session.isAble && isRight && canRun;
  const isTuned = isTunedOnServer(String(session.form.value("base_model")));
  return (
    <div class="go">
      {(gate.open || !server) && (
        <button
          id="start"
          type="button"
          disabled={!isReady || isTuned}
          onClick={() => session.start()}
        >
          Start training
        </button>
      )}
      {server && (server.needsToken.value
        ? <a id="to-token" class="button second" href="#/server">Give the server's token</a>
        : (
          <button
            id="start-on-server"
            type="button"
            class={gate.open && !isTuned ? "second" : undefined}
            disabled={!isRight || !session.ready.value || session.moving.value}
            onClick={() => void session.startOnServer()}
          >
            {session.moving.value ? "Sending …" : "Start on the server"}
          </button>
        ))}
    </div>
  );
}

function stateOf(session: PageSession, isRight: boolean): string {
  if (!session.gate.open && !session.server) return "No GPU";
  if (!isRight) return "Not ready";
  if (session.busy.value) return "Busy";
  return session.ready.value && session.gate !== LOOKING ? "Ready" : "Starting";
}

function keptWhere({ gate, store, server }: PageSession): string {
  if (!gate.open && server) return "on the server";
  return store.value === "device" ? "in this browser, across visits" : "in memory, until this page is closed";
}

/** What only the plan has found; null for nothing. */
function problemOfPlan({ model, data, plan }: JobInputs): PlainError | null {
  const { problem, waiting } = plan.value;
  const isTold = problem?.name === "GpuMemoryError" ||
    [model, data].some(({ value }) => value.problem !== null);
  return waiting || isTold ? null : problem;
}

export function RunPreview({ session }: ViewProps) {
  const { form, inputs } = session, { issues } = form.checked.value, plan = inputs.plan.value;
  const current = plan.waiting ? null : plan.value;
  const { value: data } = inputs.data.value, hasBadData = data?.refused ?? false;
  const isRight = issues.length === 0 && !hasBadData, canRun = !inputs.hasProblem && !inputs.isTaking.value;
  const state = stateOf(session, isRight && canRun), planProblem = isRight ? problemOfPlan(inputs) : null;
  return (
    <aside class="card preview" aria-labelledby="preview-title">
      <div class="title">
        <h2 id="preview-title">Run preview</h2>
        <span class={`state ${state === "Ready" ? "good" : ""}`}>{state}</span>
      </div>
      {/* above all that changes when an option is left for it, or the press would miss it */}
      <Start session={session} isRight={isRight} canRun={canRun} />
      <dl id="job">
        {[["Name", session.nextName], ...facts(form, current, data?.skipped ?? 0), [
          "Kept",
          keptWhere(session),
        ]].map((
          [name, value],
        ) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {issues.length > 0 && (
        <ul id="issues" class="issues" role="alert">
          {issues.map(({ path, message }) => <li key={path}>{path ? `${path}: ` : ""}{message}</li>)}
        </ul>
      )}
      {planProblem && <Problem id="plan-problem" title="This run cannot be made" problem={planProblem} />}
      <MemoryVerdict form={form} plan={plan} />
      <Export session={session} />
    </aside>
  );
}
