/**
 * The training data: what it is, what is wrong with it, how it is read, and what is trained.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";
import { byteSize, count, counted } from "../figures.ts";
import type { JobForm } from "../page/job_form.ts";
import type { JobInputs } from "../page/job_inputs.ts";
import { titleOf } from "../page/option_text.ts";
import type { DataFacts } from "../protocol/data.ts";
import { BadLines } from "./bad_lines.tsx";
import { ColumnMapping } from "./column_mapping.tsx";
import { DropZone, EvaluationFile } from "./drop_zone.tsx";
import { LengthHistogram } from "./length_histogram.tsx";
import { Problem } from "./problem.tsx";
import { RowPreview } from "./row_preview.tsx";

const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);

interface SummaryProps {
  readonly facts: DataFacts;
  readonly evalPath: string | null;
}

function Summary({ facts, evalPath }: SummaryProps) {
  const { isWhole, formats, rows, badLines, skipped, heldOut, ownEvaluation, kept } = facts;
  const training = ownEvaluation ? kept : kept - heldOut;
  return (
    <p id="data-summary">
      <strong>{nameOf(facts.file.split(", ")[0]!)}</strong> ·{" "}
      {formats.map(titleOf).join(", ") || "no format found"}
      {" · "}
      {counted(rows, "row")}
      {isWhole && rows > 0 && ` · ${counted(training, "row")} to train on, ${count(heldOut)} to evaluate on`}
      {isWhole && evalPath !== null && ` (${nameOf(evalPath)})`}
      {!isWhole && " so far"}
      {badLines > 0 && skipped === 0 && <span class="wrong">{` · ${counted(badLines, "bad line")}`}</span>}
      {skipped > 0 && ` · ${counted(skipped, "line")} skipped`}
    </p>
  );
}

/** Large files take a while. */
function Reading({ inputs, rows }: { inputs: JobInputs; rows: number }) {
  const reading = inputs.reading.value;
  return (
    <div id="reading">
      <p class="soft">
        <span role="status">Reading the data.</span>
        {reading && ` ${byteSize(reading.bytes)} of ${byteSize(reading.totalBytes)}`}
        {reading && rows > 0 && `, ${counted(rows, "row")}`}
      </p>
      {reading && <progress value={reading.bytes} max={reading.totalBytes} aria-label="Data read" />}
    </div>
  );
}

/** How many rows are held out for evaluation. */
function Split({ form }: { form: JobForm }) {
  const share = Number(form.value("train_test_split"));
  const shares = [...new Set([0, 0.01, 0.05, 0.1, 0.2, share])].sort((a, b) => a - b);
  return (
    <label class="inline">
      Held out{" "}
      <select
        id="split"
        value={String(share)}
        onChange={({ currentTarget }) => form.set({ train_test_split: Number(currentTarget.value) })}
      >
        {shares.map((share) => <option key={share} value={String(share)}>{100 * share} %</option>)}
      </select>
    </label>
  );
}

/** Remarks on rows that are used nevertheless. */
function Remarks({ facts: { warnings, leaked, heldOut } }: { facts: DataFacts }) {
  const leaks = leaked === 0 ? [] : [
    `${count(leaked)} of ${count(heldOut)} evaluation rows ${
      leaked === 1 ? "is" : "are"
    } also trained on: the ` +
    "evaluation loss looks better than it is.",
  ];
  return (
    <>
      {[...leaks, ...warnings].map((warning) => (
        <p key={warning} class="soft">
          <small>{warning}</small>
        </p>
      ))}
    </>
  );
}

export function DataCard({ session }: ViewProps) {
  const { form, inputs } = session;
  const { value: facts, problem, waiting } = inputs.data.value;
  const [held = null] = [form.value("eval_data_path")].flat(), evalPath = held === null ? null : String(held);
  return (
    <section class="card" aria-labelledby="data-title" aria-busy={waiting}>
      <div class="title">
        <h2 id="data-title">Data</h2>
        <EvaluationFile inputs={inputs} path={evalPath} />
        {evalPath === null && <Split form={form} />}
      </div>
      {facts && <Summary facts={facts} evalPath={evalPath} />}
      {waiting && <Reading inputs={inputs} rows={facts?.rows ?? 0} />}
      {problem && <Problem id="data-problem" title="This data cannot be read" problem={problem} />}
      {facts && <BadLines form={form} facts={facts} />}
      {facts && <ColumnMapping form={form} facts={facts} />}
      {facts && <RowPreview facts={facts} inputs={inputs} />}
      {facts && <LengthHistogram facts={facts} />}
      {facts && <Remarks facts={facts} />}
      <DropZone session={session} />
    </section>
  );
}
