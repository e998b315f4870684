/**
 * Setting up a run: model, data, settings, and what will come of them.
 *
 * @module
 */
import { useEffect } from "preact/hooks";
import type { ViewProps } from "../app.tsx";
import { isConfigName } from "../page/given_settings.ts";
import type { PageSession } from "../page/session.ts";
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

/** A config file may be dropped anywhere; others are for the cards. */
function useConfigDrop(session: PageSession): void {
  useEffect(() => {
    const drop = (event: DragEvent) => {
      const file = event.dataTransfer?.files[0];
      if (!file || !isConfigName(file.name)) return;
      event.preventDefault();
      event.stopPropagation();
      void session.takeConfigFile(file);
    };
    const over = (event: DragEvent) => event.dataTransfer?.types.includes("Files") && event.preventDefault();
    document.addEventListener("drop", drop, true);
    document.addEventListener("dragover", over);
    return () => {
      document.removeEventListener("drop", drop, true);
      document.removeEventListener("dragover", over);
    };
  }, [session]);
}

export function TrainView({ session }: ViewProps) {
  const { form, inputs } = session, taken = session.taken.value;
  useConfigDrop(session);
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
          <DataCard form={form} inputs={inputs} />
          <SettingsCard form={form} />
          <PromptsCard form={form} />
        </div>
        <RunPreview session={session} />
      </div>
    </>
  );
}
