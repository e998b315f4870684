/**
 * The runs that the store holds: looked at, compared, named, begun again and deleted.
 *
 * @module
 */
import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ViewProps } from "../app.tsx";
import { byteSize } from "../figures.ts";
import { isStorageKept } from "../page/keep_storage.ts";
import { RUN_ORDERS } from "../page/run_order.ts";
import type { RunEntry, RunGlance } from "../protocol/runs.ts";
import { differingSettings } from "../run_glance.ts";
import { CompareRuns, MOST_COMPARED } from "./compare_runs.tsx";
import { HistoryRow } from "./history_row.tsx";

const [LATEST = ""] = RUN_ORDERS.keys();

/** How the list is looked at in this visit. */
const order = signal(LATEST), chosen = signal<readonly string[]>([]);

/** What the browser has for this page; nothing where it does not tell. */
function StorageUse({ runs }: { runs: readonly RunEntry[] }) {
  const text = useSignal("");
  useEffect(() => {
    void (async () => {
      const { usage = 0, quota = 0 } = await navigator.storage?.estimate?.() ?? {};
      if (quota === 0) return;
      const promise = await isStorageKept()
        ? "It stays until you delete it."
        : "The browser may delete it where the disk is full: take away what matters to you.";
      text.value = `Stored in this browser: ${byteSize(usage)}, of up to ${byteSize(quota)}. ${promise}`;
    })();
  }, [runs]);
  return <p id="storage-use" class="soft">{text.value}</p>;
}

function Order() {
  return (
    <label class="inline">
      Sort{" "}
      <select
        id="history-order"
        value={order.value}
        onChange={({ currentTarget }) => order.value = currentTarget.value}
      >
        {[...RUN_ORDERS.keys()].map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}

export function HistoryView({ session }: ViewProps) {
  const runs = session.runs.value, glances = useSignal<ReadonlyMap<string, RunGlance>>(new Map());
  const isReady = session.ready.value;
  useEffect(() => {
    if (!isReady) return;
    void session.engine.ask("runGlances", null).then((found) => {
      glances.value = new Map(found.map((glance) => [glance.name, glance]));
    }).catch(() => {}); // the list does without
  }, [runs, isReady]);
  const listed = runs.map((entry) => ({ entry, glance: glances.value.get(entry.name) ?? null }))
    .sort(RUN_ORDERS.get(order.value)!);
  const compared = listed.filter(({ entry }) => chosen.value.includes(entry.name)).slice(0, MOST_COMPARED);
  const differing = differingSettings(runs.map(({ config }) => config));
  const choose = (name: string, isChosen: boolean) =>
    chosen.value = isChosen ? [...chosen.value, name] : chosen.value.filter((one) => one !== name);
  return (
    <div class="stack">
      <section class="card" aria-labelledby="history-title">
        <div class="title">
          <h1 id="history-title">History</h1>
          {runs.length > 1 && <Order />}
        </div>
        {runs.length === 0
          ? (
            <p class="soft">
              No run yet. What you train is listed here. <a href="#/train">Set up a run</a>
            </p>
          )
          : (
            <ul id="runs" class="runs">
              {listed.map(({ entry, glance }) => (
                <HistoryRow
                  key={entry.name}
                  session={session}
                  entry={entry}
                  glance={glance}
                  differing={differing}
                  choice={runs.length > 1
                    ? {
                      isChosen: compared.some((one) => one.entry === entry),
                      isPossible: compared.length < MOST_COMPARED,
                      onChoose: (isChosen) => choose(entry.name, isChosen),
                    }
                    : null}
                />
              ))}
            </ul>
          )}
        <StorageUse runs={runs} />
      </section>
      {compared.length === 1 && (
        <p class="notice" role="status">Choose one more run to compare it with {compared[0]!.entry.name}.</p>
      )}
      {compared.length > 1 && (
        <CompareRuns
          session={session}
          runs={compared}
          onClose={() => chosen.value = []}
        />
      )}
    </div>
  );
}
