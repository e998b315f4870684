/**
 * Where data comes in: dropped anywhere on the page, chosen, or pasted.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ViewProps } from "../app.tsx";
import { droppedOn, whatIs } from "../page/dropped.ts";
import type { JobInputs } from "../page/job_inputs.ts";
import { dataFile, pastedData } from "../page/picking.ts";
import type { PageSession } from "../page/session.ts";

const ACCEPTED = ".jsonl,.ndjson,.json,.csv,.tsv,.parquet,.txt";

/** Whether text is typed there, which pasting is for then. */
function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement &&
    target.closest("input, textarea, select, [contenteditable]") !== null;
}

/** Takes what is dropped or pasted anywhere on the page; tells whether something is held over it. */
function useWholePage(session: PageSession): boolean {
  const { inputs } = session, over = useSignal(false);
  useEffect(() => {
    const ended = new AbortController(), { signal } = ended;
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    addEventListener("dragover", (event) => {
      if (holdsFiles(event)) over.value = true;
    }, { signal });
    addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) over.value = false;
    }, { signal });
    addEventListener("drop", async (event) => {
      over.value = false;
      if (!holdsFiles(event)) return;
      const dropped = await droppedOn(event.dataTransfer!);
      if (dropped?.kind === "model") await inputs.takeModel(dropped.picked, false);
      if (dropped?.kind === "settings") await session.takeConfigFile(dropped.file);
      if (dropped?.kind === "data") await inputs.takeData(dropped.given);
    }, { signal });
    addEventListener("paste", (event) => {
      if (isField(event.target)) return;
      const { files } = event.clipboardData!, text = event.clipboardData!.getData("text");
      const pasted = whatIs([...files]);
      if (pasted?.kind === "data") void inputs.takeData(pasted.given);
      else if (/^\s*[[{]/.test(text)) void inputs.takeData(pastedData(text));
    }, { signal });
    return () => ended.abort();
  }, [session]);
  return over.value;
}

export function DropZone({ session }: ViewProps) {
  const { inputs } = session, over = useWholePage(session), pasting = useSignal(false), text = useSignal("");
  return (
    <div id="drop" class={over ? "drop over" : "drop"}>
      <p>
        {over
          ? "Let go: a file is taken as data, a model's folder or a GGUF file as the model."
          : "Drop a file anywhere: JSON Lines, JSON, CSV or Parquet."}
      </p>
      <div class="actions">
        <label class="button second quiet">
          Choose a file
          <input
            id="data-file"
            class="unseen"
            type="file"
            accept={ACCEPTED}
            onChange={({ currentTarget }) => {
              const file = currentTarget.files?.[0];
              currentTarget.value = ""; // or the same file, corrected, could not be chosen again
              if (file) void inputs.takeData(dataFile(file));
            }}
          />
        </label>
        <button
          type="button"
          class="second quiet"
          aria-expanded={pasting.value}
          onClick={() => pasting.value = !pasting.value}
        >
          Paste
        </button>
      </div>
      {pasting.value && (
        <div class="field">
          <label for="pasted">Rows as JSON Lines, JSON or CSV</label>
          <textarea
            id="pasted"
            rows={6}
            spellcheck={false}
            value={text.value}
            onInput={({ currentTarget }) => text.value = currentTarget.value}
          />
          <button
            type="button"
            class="second"
            disabled={text.value.trim() === ""}
            onClick={() => void inputs.takeData(pastedData(text.value))}
          >
            Take these rows
          </button>
        </div>
      )}
    </div>
  );
}

/** What the run is evaluated on: rows that are held out, or a file of its own. */
export function EvaluationFile({ inputs, path }: { inputs: JobInputs; path: string | null }) {
  return (
    <div id="evaluation" class="actions">
      <label class="button second quiet small">
        {path === null ? "Evaluate on a file" : "Another evaluation file"}
        <input
          id="evaluation-file"
          class="unseen"
          type="file"
          accept={ACCEPTED}
          onChange={({ currentTarget }) => {
            const file = currentTarget.files?.[0];
            currentTarget.value = "";
            if (file) void inputs.takeEvaluation(dataFile(file));
          }}
        />
      </label>
      {path !== null && (
        <button
          id="hold-out"
          type="button"
          class="second quiet small"
          onClick={() => void inputs.takeEvaluation(null)}
        >
          Hold rows out instead
        </button>
      )}
    </div>
  );
}
