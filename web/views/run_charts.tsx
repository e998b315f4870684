/**
 * The curves of a run: loss, learning rate, length of the gradient; and the same as a table.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { shortLoss } from "../loss_summary.ts";
import type { RunState, StepPoint } from "../run_state.ts";
import { type Curve, LineChart } from "./line_chart.tsx";

const LOSS_CURVES: readonly Curve[] = [
  { label: "training", color: "--faint", width: 1 },
  { label: "smoothed", color: "--accent", width: 2 },
  { label: "evaluation", color: "--marker", pointsOnly: true },
];

/** The table holds no more rows: a screen reader is not to read thousands. */
const MOST_ROWS = 40;

/** Training, smoothed and evaluation losses by step. */
function lossData(run: RunState): (number | null)[][] {
  const steps = [...new Set([...run.steps, ...run.evaluations].map(({ step }) => step))].sort((a, b) =>
    a - b
  );
  const smooth = run.smoothLosses,
    at = new Map(run.steps.map(({ step, loss }, i) => [step, [loss, smooth[i]!]]));
  const evaluated = new Map(run.evaluations.map(({ step, loss }) => [step, loss]));
  return [
    steps,
    steps.map((step) => at.get(step)?.[0] ?? null),
    steps.map((step) => at.get(step)?.[1] ?? null),
    steps.map((step) => evaluated.get(step) ?? null),
  ];
}

function Small({ run, title, of }: { run: RunState; title: string; of: (point: StepPoint) => number }) {
  const version = run.version.value;
  const data = useMemo(() => [run.steps.map(({ step }) => step), run.steps.map(of)], [run, version]);
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <LineChart
        curves={[{ label: title, color: "--accent" }]}
        data={data}
        totalSteps={run.totalSteps.value}
        height={120}
        label={`${title} over steps`}
      />
    </figure>
  );
}

function LossTable({ run }: { run: RunState }) {
  const version = run.version.value;
  const rows = useMemo(() => {
    const [steps = [], losses = [], , evaluations = []] = lossData(run);
    const every = Math.ceil(steps.length / MOST_ROWS);
    return steps.map((step, i) => ({ step, loss: losses[i] ?? null, evaluation: evaluations[i] ?? null }))
      .filter(({ evaluation }, i) => evaluation !== null || i % every === 0 || i === steps.length - 1);
  }, [run, version]);
  const text = (loss: number | null) => loss === null ? "" : shortLoss(loss);
  return (
    <table id="loss-table">
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col">Training loss</th>
          <th scope="col">Evaluation loss</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ step, loss, evaluation }) => (
          <tr key={step} {...(evaluation === null ? {} : { "data-evaluation": "" })}>
            <td class="number">{step}</td>
            <td class="number">{text(loss)}</td>
            <td class="number">{text(evaluation)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function RunCharts({ run }: { run: RunState }) {
  const logarithmic = useSignal(false), version = run.version.value;
  const data = useMemo(() => lossData(run), [run, version]);
  return (
    <section class="card" aria-labelledby="loss-title">
      <div class="title">
        <h2 id="loss-title">Loss</h2>
        <p class="legend">
          {LOSS_CURVES.map(({ label, pointsOnly }) => (
            <span key={label} class={`key ${label}`} data-points={pointsOnly ? "" : undefined}>{label}</span>
          ))}
          <label class="check">
            <input
              type="checkbox"
              checked={logarithmic.value}
              onChange={(event) => logarithmic.value = event.currentTarget.checked}
            />{" "}
            log
          </label>
        </p>
      </div>
      <div id="chart">
        <LineChart
          curves={LOSS_CURVES}
          data={data}
          totalSteps={run.totalSteps.value}
          height={240}
          logarithmic={logarithmic.value}
          label={run.summary.value}
        />
      </div>
      <p id="summary" class="soft" aria-live="polite">{run.summary.value}</p>
      <div class="pair">
        <Small run={run} title="Learning rate" of={({ learningRate }) => learningRate} />
        <Small run={run} title="Gradient norm" of={({ gradNorm }) => gradNorm} />
      </div>
      <details>
        <summary>As a table</summary>
        <div class="wide" tabIndex={0} role="group" aria-label="Losses by step">
          <LossTable run={run} />
        </div>
      </details>
    </section>
  );
}
