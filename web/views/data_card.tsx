/**
 * The training data: chosen, dropped or pasted; what is wrong with it, how it is read, and what is trained.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { byteSize, counted } from "../figures.ts";
import type { JobForm } from "../job_form.ts";
import type { JobInputs } from "../job_inputs.ts";
import { dataFile, pastedData } from "../picking.ts";
import { titleOf } from "../option_text.ts";
import type { DataFacts } from "../protocol.ts";
import { ColumnMapping } from "./column_mapping.tsx";
import { LengthHistogram } from "./length_histogram.tsx";
import { Problem } from "./problem.tsx";
import { RowPreview } from "./row_preview.tsx";

interface CardProps {
  readonly form: JobForm;
  readonly inputs: JobInputs;
}

function DropZone({ inputs }: { inputs: JobInputs }) {
  const over = useSignal(false), pasting = useSignal(false), text = useSignal("");
  const take = (file: File | undefined) => file && void inputs.takeData(dataFile(file));
  return (
    <div
      id="drop"
      class={over.value ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => over.value = false}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        take(event.dataTransfer?.files[0]);
      }}
    >
      <p>Drop a file here: JSON Lines, JSON, CSV or Parquet.</p>
      <div class="actions">
        <label class="button second quiet">
          Choose a file
          <input
            id="data-file"
            class="unseen"
            type="file"
            accept=".jsonl,.ndjson,.json,.csv,.tsv,.parquet,.txt"
            onChange={({ currentTarget }) => {
              take(currentTarget.files?.[0]);
              currentTarget.value = ""; // or the same file, corrected, would be no change
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

function Summary({ facts, path }: { facts: DataFacts; path: string }) {
  const { formats, rows, badLines, heldOut, ownEvaluation, kept } = facts;
  const training = ownEvaluation ? kept : kept - heldOut;
  return (
    <p id="data-summary">
      <strong>{path.slice(path.lastIndexOf("/") + 1)}</strong> ·{" "}
      {formats.map(titleOf).join(", ") || "no format found"}
      {" · "}
      {counted(rows, "row")}
      {rows > 0 && ` · ${counted(training, "row")} to train on, ${heldOut} to evaluate on`}
      {badLines > 0 && <span class="wrong">{` · ${counted(badLines, "bad line")}`}</span>}
    </p>
  );
}

function BadLines({ facts: { issues, badLines } }: { facts: DataFacts }) {
  if (issues.length === 0) return null;
  return (
    <div id="bad-lines" role="alert" class="bad">
      <p class="wrong">
        {counted(badLines, "line")} cannot be used. Correct them in the file and choose it again:
      </p>
      <ol tabIndex={0} aria-label="Bad lines">
        {issues.map(({ line, message }, i) => (
          <li key={i}>{line !== undefined && <b>{`line ${line}: `}</b>}{message}</li>
        ))}
      </ol>
    </div>
  );
}

/** Large files take minutes. */
function Reading({ inputs }: { inputs: JobInputs }) {
  const reading = inputs.reading.value;
  return (
    <div>
      <p class="soft">
        <span role="status">Reading the data.</span>
        {reading && ` ${byteSize(reading.bytes)} of ${byteSize(reading.totalBytes)}`}
      </p>
      {reading && <progress value={reading.bytes} max={reading.totalBytes} aria-label="Data read" />}
    </div>
  );
}

export function DataCard({ form, inputs }: CardProps) {
  const { value: facts, problem, waiting } = inputs.data.value;
  const path = String([form.value("training_data_path")].flat()[0]);
  const isSplit = form.value("eval_data_path") === null;
  return (
    <section class="card" aria-labelledby="data-title" aria-busy={waiting}>
      <div class="title">
        <h2 id="data-title">Data</h2>
        {isSplit && (
          <label class="inline">
            Held out{" "}
            <select
              id="split"
              value={String(form.value("train_test_split"))}
              onChange={({ currentTarget }) => form.set({ train_test_split: Number(currentTarget.value) })}
            >
              {[...new Set([0, 0.01, 0.05, 0.1, 0.2, Number(form.value("train_test_split"))])].sort((a, b) =>
                a - b
              )
                .map((share) => <option key={share} value={String(share)}>{100 * share} %</option>)}
            </select>
          </label>
        )}
      </div>
      {facts && <Summary facts={facts} path={path} />}
      {waiting && <Reading inputs={inputs} />}
      {problem && <Problem id="data-problem" title="This data cannot be read" problem={problem} />}
      {facts && <BadLines facts={facts} />}
      {facts && <ColumnMapping form={form} facts={facts} />}
      {facts && <RowPreview samples={facts.samples} />}
      {facts && <LengthHistogram facts={facts} maxLength={Number(form.value("max_length"))} />}
      {facts?.warnings.map((warning) => (
        <p key={warning} class="soft">
          <small>{warning}</small>
        </p>
      ))}
      <DropZone inputs={inputs} />
    </section>
  );
}
