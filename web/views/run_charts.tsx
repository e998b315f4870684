/**
 * The curves of a run: loss, learning rate, length of the gradient, speed; and the same as a table.
 *
 * @module
 */
import { type Signal, signal, useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { count } from "../figures.ts";
import { shortLoss } from "../loss_summary.ts";
import type { RunState } from "../page/run_state.ts";
import {
  axisPlace,
  bestEvaluation,
  type CurveView,
  placeInWords,
  type RunCurves,
  runCurves,
  SMOOTHINGS,
  X_AXES,
  xRange,
} from "../run_curves.ts";
import { type Curve, LineChart } from "./line_chart.tsx";

const LOSS_CURVES: readonly Curve[] = [
  { label: "training", color: "--faint", width: 1 },
  { label: "smoothed", color: "--accent", width: 2 },
  { label: "evaluation", color: "--marker", points: "dots" },
  { label: "best", color: "--marker", points: "rings" },
];

/** The table holds no more rows: a screen reader is not to read thousands. */
const MOST_ROWS = 40;

/** Parts of a run's end that can be looked at, in steps. */
const WINDOWS = [50, 200, 1000, 5000];

/** What stands at an axis of no steps. */
const PLACES = {
  tokens: (value: number) => axisPlace("tokens", value),
  time: (value: number) => axisPlace("time", value),
};

/** How runs are looked at in this visit. */
const view = signal<CurveView>({ x: "steps", past: SMOOTHINGS.get("medium")!, last: null });
const logarithmic = signal(false);

/** How a value is written where it is read off. */
const VALUES: readonly (readonly [keyof RunCurves, string, (value: number) => string])[] = [
  ["loss", "loss", shortLoss],
  ["smooth", "smoothed", shortLoss],
  ["evaluation", "evaluation", shortLoss],
  ["learningRate", "learning rate", (value) => value.toPrecision(3)],
  ["gradNorm", "gradient norm", (value) => value.toPrecision(3)],
  ["tokensPerSecond", "tokens/s", (value) => count(Math.round(value))],
];

/** What the curves say at a place, in words. */
function readingAt(curves: RunCurves, place: number): string {
  const { x } = view.value, step = curves.steps[place];
  if (step === undefined) return "";
  const where = [`Step ${step}`, ...(x === "steps" ? [] : [placeInWords(x, curves.x[place]!)])];
  const values = VALUES.flatMap(([name, title, text]) => {
    const value = curves[name][place];
    return typeof value === "number"
      ? [title === "tokens/s" ? `${text(value)} ${title}` : `${title} ${text(value)}`]
      : [];
  });
  return [...where, ...values].join(" · ");
}

function Controls({ steps }: { steps: number }) {
  const { x, past, last } = view.value;
  const set = (changes: Partial<CurveView>) => view.value = { ...view.value, ...changes };
  return (
    <div class="chart-controls">
      <label class="inline">
        Over{" "}
        <select
          id="chart-x"
          value={x}
          onChange={({ currentTarget }) => set({ x: X_AXES.find((one) => one === currentTarget.value)! })}
        >
          {X_AXES.map((one) => <option key={one} value={one}>{one}</option>)}
        </select>
      </label>
      <label class="inline">
        Smoothing{" "}
        <select
          id="chart-smoothing"
          value={[...SMOOTHINGS].find(([, share]) => share === past)?.[0]}
          onChange={({ currentTarget }) => set({ past: SMOOTHINGS.get(currentTarget.value)! })}
        >
          {[...SMOOTHINGS.keys()].map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
      </label>
      <label class="inline">
        Show{" "}
        <select
          id="chart-view"
          value={String(last)}
          onChange={({ currentTarget }) =>
            set({ last: currentTarget.value === "null" ? null : Number(currentTarget.value) })}
        >
          <option value="null">all steps</option>
          {WINDOWS.filter((window) => window < steps || window === last).map((window) => (
            <option key={window} value={String(window)}>the last {count(window)}</option>
          ))}
        </select>
      </label>
      <label class="check">
        <input
          id="chart-log"
          type="checkbox"
          checked={logarithmic.value}
          onChange={({ currentTarget }) => logarithmic.value = currentTarget.checked}
        />{" "}
        Log scale
      </label>
    </div>
  );
}

interface PartProps {
  readonly run: RunState;
  readonly curves: RunCurves;
  /** The place that is pointed at. */
  readonly at: Signal<number | null>;
}

/** What all charts of a run have in common. */
function shared({ run, curves, at }: PartProps) {
  const { x } = view.value, named = x === "steps" ? {} : { place: PLACES[x] };
  return { range: xRange(curves, view.value, run.totalSteps.value), at, ...named };
}

type SmallProps = PartProps & {
  readonly title: string;
  readonly of: "learningRate" | "gradNorm" | "tokensPerSecond";
};

function Small({ title, of, ...part }: SmallProps) {
  const { curves } = part, data = useMemo(() => [curves.x, curves[of]], [curves, of]);
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <LineChart
        curves={[{ label: title, color: "--accent" }]}
        data={data}
        height={120}
        label={`${title} over ${view.value.x}`}
        {...shared(part)}
      />
    </figure>
  );
}

function LossTable({ run }: { run: RunState }) {
  const version = run.version.value;
  const rows = useMemo(() => {
    const all = runCurves(run, { x: "steps", past: 0, last: null });
    const every = Math.ceil(all.steps.length / MOST_ROWS);
    return all.steps.map((step, i) => ({ step, i, isEvaluation: all.evaluation[i] !== null, all }))
      .filter(({ isEvaluation, i }) => isEvaluation || i % every === 0 || i === all.steps.length - 1);
  }, [run, version]);
  const columns = VALUES.filter(([name]) => name !== "smooth");
  return (
    <table id="loss-table">
      <thead>
        <tr>
          {["Step", "Training loss", "Evaluation loss", "Learning rate", "Gradient norm", "Tokens/s"].map((
            title,
          ) => <th key={title} scope="col">{title}</th>)}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ step, i, isEvaluation, all }) => (
          <tr key={step} {...(isEvaluation ? { "data-evaluation": "" } : {})}>
            <td class="number">{step}</td>
            {columns.map(([name, , text]) => {
              const value = all[name][i];
              return <td key={name} class="number">{typeof value === "number" ? text(value) : ""}</td>;
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function RunCharts({ run }: { run: RunState }) {
  const at = useSignal<number | null>(null), version = run.version.value, shown = view.value;
  const curves = useMemo(() => runCurves(run, shown), [run, version, shown]);
  const data = useMemo(
    () => [curves.x, curves.loss, curves.smooth, curves.evaluation, curves.best],
    [curves],
  );
  const best = run.evaluations.length > 1 ? bestEvaluation(run.evaluations) : null,
    part = { run, curves, at };
  const last = curves.steps.length - 1, pointed = Math.min(at.value ?? last, last);
  return (
    <section class="card" aria-labelledby="loss-title">
      <div class="title">
        <h2 id="loss-title">Loss</h2>
        <Controls steps={run.step.value} />
      </div>
      <p class="legend">
        {LOSS_CURVES.map(({ label, points }) =>
          points !== "rings"
            ? <span key={label} class={`key ${label}`}>{label}</span>
            : best && (
              <span key={label} id="best-evaluation" class="key best">
                best {shortLoss(best.loss)} at step {best.step}
              </span>
            )
        )}
      </p>
      <div id="chart">
        <LineChart
          curves={LOSS_CURVES}
          data={data}
          height={240}
          logarithmic={logarithmic.value}
          label={`Loss over ${shown.x}. ${run.summary.value}`}
          reading={readingAt(curves, pointed)}
          {...shared(part)}
        />
      </div>
      <p id="reading" class="reading">
        {at.value === null
          ? curves.steps.length > 1 &&
            "Point at a curve, or use the arrow keys, to read it. Drag to zoom in, double-click to see all."
          : readingAt(curves, pointed)}
      </p>
      <p id="summary" class="soft" aria-live="polite">{run.summary.value}</p>
      <div class="trio">
        <Small {...part} title="Learning rate" of="learningRate" />
        <Small {...part} title="Gradient norm" of="gradNorm" />
        <Small {...part} title="Tokens per second" of="tokensPerSecond" />
      </div>
      <details>
        <summary>As a table</summary>
        <div class="wide" tabIndex={0} role="group" aria-label="The course by step">
          <LossTable run={run} />
        </div>
      </details>
    </section>
  );
}
