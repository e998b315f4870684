/**
 * Setting up a run: model, data, settings, and what will come of them.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";
import { DataCard } from "./data_card.tsx";
import { ModelCard } from "./model_card.tsx";
import { PromptsCard } from "./prompts_card.tsx";
import { RunPreview } from "./run_preview.tsx";
import { SettingsCard } from "./settings_card.tsx";

/** For whoever is here for the first time: one thing to do. */
function Guidance({ session }: ViewProps) {
  if (!session.ready.value || !session.gate.open || session.runs.value.length > 0) return null;
  return (
    <p id="guidance" class="soft">
      New here? Press Start training: a small model learns to signal words while you watch. Then choose a
      model and data of your own.
    </p>
  );
}

export function TrainView({ session }: ViewProps) {
  const { form, inputs } = session, taken = session.taken.value;
  return (
    <>
      <h1 class="unseen">Train</h1>
      <Guidance session={session} />
      {taken !== "" && (
        <p id="taken" class="notice waiting" role="status">
          <span>{taken}</span>
          <button type="button" class="second quiet small" onClick={() => session.taken.value = ""}>
            Close
          </button>
        </p>
      )}
      <div class="columns">
        <div class="stack">
          <ModelCard session={session} form={form} inputs={inputs} />
          <DataCard session={session} />
          <SettingsCard form={form} />
          <PromptsCard form={form} />
        </div>
        <RunPreview session={session} />
      </div>
    </>
  );
}
