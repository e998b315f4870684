/**
 * What a press on Start would do: the same options that are sent, and the plan that the engine made of them.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { ViewProps } from "../app.tsx";
import { saveAs } from "../download.ts";
import { count } from "../figures.ts";
import type { JobForm } from "../job_form.ts";
import type { JobPlan } from "../protocol.ts";
import { isTunedOnServer } from "../server_model.ts";
import type { PageSession } from "../session.ts";
import { commandOptions, shellCommand } from "../shell_command.ts";
import { MemoryVerdict } from "./memory_verdict.tsx";
import { modelName } from "./model_card.tsx";

function facts(form: JobForm, plan: JobPlan | null): [string, string][] {
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
        : ""),
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

function Export({ form }: { form: JobForm }) {
  const copied = useSignal(false);
  const copy = async () => {
    await navigator.clipboard.writeText(shellCommand(form.values.value));
    copied.value = true;
  };
  const save = () => {
    const text = `${JSON.stringify(commandOptions(form.values.value), null, 2)}\n`;
    saveAs(new Blob([text], { type: "application/json" }), `${form.value("output_model_name")}.json`);
  };
  return (
    <div class="actions even">
      <button id="copy-command" type="button" class="second quiet small" onClick={() => void copy()}>
        {copied.value ? "Copied" : "Copy as command"}
      </button>
      <button id="save-config" type="button" class="second quiet small" onClick={save}>Save config</button>
    </div>
  );
}

/** Where the form's job can be started: here, on the page's server, or on both. */
function Start({ session, isRight, fits }: ViewProps & {
  /** Whether options and data are as they must be. */
  readonly isRight: boolean;
  /** Whether the run fits this browser's GPU; the server has its own. */
  readonly fits: boolean;
}) {
  const { server, gate } = session, isReady = session.isAble && isRight && fits;
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
  return session.ready.value ? "Ready" : "Starting";
}

function keptWhere({ gate, store, server }: PageSession): string {
  if (!gate.open && server) return "on the server";
  return store.value === "device" ? "in this browser, across visits" : "in memory, until this page is closed";
}

export function RunPreview({ session }: ViewProps) {
  const { form, inputs } = session, { issues } = form.checked.value, plan = inputs.plan.value;
  const current = plan.waiting ? null : plan.value;
  const hasBadData = (inputs.data.value.value?.badLines ?? 0) > 0;
  const fitsNot = plan.waiting === false && plan.problem?.name === "GpuMemoryError";
  const isRight = issues.length === 0 && !hasBadData, state = stateOf(session, isRight && !fitsNot);
  return (
    <aside class="card preview" aria-labelledby="preview-title">
      <div class="title">
        <h2 id="preview-title">Run preview</h2>
        <span class={`state ${state === "Ready" ? "good" : ""}`}>{state}</span>
      </div>
      {/* above all that changes when an option is left for it, or the press would miss it */}
      <Start session={session} isRight={isRight} fits={!fitsNot} />
      <dl id="job">
        {[["Name", session.nextName], ...facts(form, current), ["Kept", keptWhere(session)]].map((
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
      <MemoryVerdict form={form} plan={plan} />
      <Export form={form} />
    </aside>
  );
}
