/**
 * The runs that the store holds.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ago, byteSize, count } from "../figures.ts";
import type { RunEntry } from "../protocol.ts";
import { modelName } from "./model_card.tsx";

const loss = (value: number | null) => value === null ? "–" : value.toFixed(3);

function Row({ entry, session }: ViewProps & { entry: RunEntry }) {
  const { name, status, startedAt, steps, totalSteps, baseModel, evalLossBefore, evalLossAfter } = entry;
  const isOpen = session.running.value?.name === name;
  return (
    <tr>
      <th scope="row">
        <a href={`#/run/${encodeURIComponent(name)}`}>{name}</a>
        <small>{modelName(baseModel)}</small>
        <small>{ago(new Date(startedAt), new Date())}</small>
      </th>
      <td>
        {isOpen ? "running" : status === "running" ? "interrupted" : status}
        <small class="number">{count(steps)} of {count(totalSteps)} steps</small>
      </td>
      <td>
        <span class="number">{loss(evalLossAfter)}</span>
        <small class="number">from {loss(evalLossBefore)}</small>
      </td>
      <td>
        <button
          type="button"
          class="second quiet small"
          aria-label={`Delete the run ${name}`}
          disabled={isOpen}
          onClick={() => void session.remove(name)}
        >
          Delete
        </button>
      </td>
    </tr>
  );
}

/** What the browser has for this page; nothing where it does not tell. */
function StorageUse({ runs }: { runs: readonly RunEntry[] }) {
  const text = useSignal("");
  useEffect(() => {
    void navigator.storage?.estimate?.().then(({ usage = 0, quota = 0 }) => {
      text.value = `Stored in this browser: ${byteSize(usage)}, of up to ${byteSize(quota)}.`;
    });
  }, [runs]);
  return <p id="storage-use" class="soft">{text.value}</p>;
}

export function HistoryView({ session }: ViewProps) {
  const runs = session.runs.value;
  return (
    <section class="card" aria-labelledby="history-title">
      <h1 id="history-title">History</h1>
      {runs.length === 0
        ? <p class="soft">No run yet. What you train is listed here.</p>
        : (
          <div class="wide" tabIndex={0} role="group" aria-label="Runs">
            <table>
              <thead>
                <tr>
                  {["Run", "Status", "Evaluation loss", ""].map((title) => (
                    <th key={title} scope="col">{title || <span class="unseen">Actions</span>}</th>
                  ))}
                </tr>
              </thead>
              <tbody>{runs.map((entry) => <Row key={entry.name} entry={entry} session={session} />)}</tbody>
            </table>
          </div>
        )}
      <StorageUse runs={runs} />
    </section>
  );
}
