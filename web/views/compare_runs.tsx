/**
 * Up to five runs beside each other: their losses in one chart, and a table of what differs.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { ViewProps } from "../app.tsx";
import { byteSize, clock, count } from "../figures.ts";
import { shortLoss } from "../loss_summary.ts";
import { titleOf } from "../page/option_text.ts";
import type { ListedRun } from "../page/run_order.ts";
import { overlaid } from "../page/run_overlay.ts";
import type { RunEntry } from "../protocol/runs.ts";
import { axisPlace, type Course, placeInWords, SMOOTHINGS, X_AXES, type XAxis } from "../run_curves.ts";
import { courseOf, differingSettings } from "../run_glance.ts";
import { dataName, settingText } from "./history_row.tsx";
import { type Curve, LineChart } from "./line_chart.tsx";
import { modelName } from "./model_card.tsx";

/** Curves that an eye can tell apart, by colour and stroke. */
const LOOKS: readonly Omit<Curve, "label">[] = [
  { color: "--accent", width: 2 },
  { color: "--marker", width: 2, dash: [8, 4] },
  { color: "--run3", width: 2, dash: [2, 3] },
  { color: "--run4", width: 2, dash: [12, 4, 2, 4] },
  { color: "--run5", width: 2, dash: [5, 2] },
];

/** Runs that can be compared at a time. */
export const MOST_COMPARED = LOOKS.length;

const SHOWN = { loss: "training loss, smoothed", evaluation: "evaluation loss" } as const;

interface CompareProps extends ViewProps {
  readonly runs: readonly ListedRun[];
  readonly onClose: () => void;
}

/** What the compared runs came to. The lowest loss is marked. */
const RESULTS: readonly (readonly [string, (run: ListedRun) => number | null, (value: number) => string])[] =
  [
    ["Evaluation loss before", ({ entry }) => entry.evalLossBefore, shortLoss],
    ["Best evaluation loss", ({ glance }) => glance?.bestEvaluation?.loss ?? null, shortLoss],
    ["Last training loss", ({ glance }) => glance?.lastLoss ?? null, shortLoss],
    ["Steps", ({ entry }) => entry.steps, count],
    ["Tokens", ({ glance }) => glance?.tokens ?? null, count],
    ["Trained for", ({ glance }) => glance?.seconds ?? null, clock],
    ["Size", ({ glance }) => glance?.bytes ?? null, byteSize],
  ];

const MARKED = ["Best evaluation loss", "Last training loss"];

/** A title, and what stands under each run. */
type Row = readonly [string, readonly string[]];

function Differences({ runs }: Pick<CompareProps, "runs">) {
  const of = (text: (entry: RunEntry) => string) => runs.map(({ entry }) => text(entry));
  const settings = differingSettings(runs.map(({ entry }) => entry.config)).map((option): Row => {
    return [titleOf(option), of(({ config }) => settingText(config[option]))];
  });
  const sources = ([
    ["Model", of(({ baseModel }) => modelName(baseModel))],
    ["Data", of(({ config }) => dataName(config.training_data_path))],
  ] satisfies Row[]).filter(([, texts]) => new Set(texts).size > 1);
  return (
    <div class="wide" tabIndex={0} role="group" aria-label="What differs">
      <table id="differences">
        <thead>
          <tr>
            <th scope="col">
              <span class="unseen">Setting or result</span>
            </th>
            {runs.map(({ entry: { name } }) => <th key={name} scope="col">{name}</th>)}
          </tr>
        </thead>
        <tbody>
          {[...sources, ...settings].map(([title, texts]) => (
            <tr key={title}>
              <th scope="row">{title}</th>
              {texts.map((text, i) => <td key={i}>{text}</td>)}
            </tr>
          ))}
          {RESULTS.map(([title, of, text]) => {
            const values = runs.map(of), known = values.filter((value) => value !== null);
            const lowest = MARKED.includes(title) && known.length > 1 ? Math.min(...known) : null;
            return (
              <tr key={title}>
                <th scope="row">{title}</th>
                {values.map((value, i) => (
                  <td key={i} class="number">
                    {value === null ? "–" : value === lowest ? <b>{text(value)} lowest</b> : text(value)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
      {settings.length === 0 && <p class="soft">All of their settings are the same.</p>}
    </div>
  );
}

function Legend({ runs }: Pick<CompareProps, "runs">) {
  return (
    <p class="legend">
      {runs.map(({ entry: { name } }, i) => (
        <span key={name} class="overlay-key">
          <svg viewBox="0 0 28 4" aria-hidden="true">
            <line
              x1="0"
              y1="2"
              x2="28"
              y2="2"
              style={{ stroke: `var(${LOOKS[i]!.color})`, strokeDasharray: LOOKS[i]!.dash?.join(" ") }}
            />
          </svg>
          {name}
        </span>
      ))}
    </p>
  );
}

const PLACES = {
  tokens: (value: number) => axisPlace("tokens", value),
  time: (value: number) => axisPlace("time", value),
};

export function CompareRuns({ session, runs, onClose }: CompareProps) {
  const courses = useSignal<ReadonlyMap<string, Course>>(new Map()), at = useSignal<number | null>(null);
  const x = useSignal<XAxis>("steps"), shown = useSignal<keyof typeof SHOWN>("loss");
  const names = runs.map(({ entry }) => entry.name);
  useEffect(() => {
    for (const name of names.filter((name) => !courses.peek().has(name))) {
      void session.engine.ask("openRun", name).then(({ metrics }) => {
        courses.value = new Map(courses.value).set(name, courseOf(metrics));
      }).catch(() => {}); // it was deleted meanwhile
    }
  }, [names.join("/")]);
  const data = useMemo(() => {
    const view = { x: x.value, past: SMOOTHINGS.get("medium")!, last: null };
    const known = names.map((name) => courses.value.get(name) ?? { steps: [], evaluations: [] });
    return overlaid(known, view, shown.value === "loss" ? "smooth" : "evaluation");
  }, [names.join("/"), courses.value, x.value, shown.value]);
  const curves = names.map((label, i): Curve => ({ label, ...LOOKS[i]! }));
  const [places] = data, last = places.length - 1, place = Math.min(at.value ?? last, last);
  const values = names.flatMap((name, i) => {
    const value = data[i + 1]![place];
    return typeof value === "number" ? [`${name} ${shortLoss(value)}`] : [];
  });
  const where = last < 0 ? "" : placeInWords(x.value, places[place]!);
  const reading = [where && `${where[0]!.toUpperCase()}${where.slice(1)}`, ...values].join(" · ");
  return (
    <section id="comparison" class="card" aria-labelledby="comparison-title">
      <div class="title">
        <h2 id="comparison-title">Comparison</h2>
        <div class="chart-controls">
          <label class="inline">
            Show{" "}
            <select
              id="compare-what"
              value={shown.value}
              onChange={({ currentTarget }) =>
                shown.value = currentTarget.value === "loss" ? "loss" : "evaluation"}
            >
              {Object.entries(SHOWN).map(([name, title]) => <option key={name} value={name}>{title}</option>)}
            </select>
          </label>
          <label class="inline">
            Over{" "}
            <select
              id="compare-x"
              value={x.value}
              onChange={({ currentTarget }) => x.value = X_AXES.find((one) => one === currentTarget.value)!}
            >
              {X_AXES.map((one) => <option key={one} value={one}>{one}</option>)}
            </select>
          </label>
        </div>
        <button type="button" class="second quiet small" onClick={onClose}>Close</button>
      </div>
      <Legend runs={runs} />
      <LineChart
        curves={curves}
        data={data}
        range={[0, places.at(-1) || 1]}
        {...(x.value === "steps" ? {} : { place: PLACES[x.value] })}
        height={240}
        at={at}
        label={`${SHOWN[shown.value]} of ${names.join(", ")} over ${x.value}`}
        reading={reading}
      />
      <p id="compare-reading" class="reading">{at.value === null ? "" : reading}</p>
      <Differences runs={runs} />
    </section>
  );
}
