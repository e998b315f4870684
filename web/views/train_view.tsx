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

export function TrainView({ session }: ViewProps) {
  const { form, inputs } = session;
  return (
    <>
      <h1 class="unseen">Train</h1>
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
