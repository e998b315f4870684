/**
 * The numbers of a run as it stands.
 *
 * @module
 */
import { byteSize, clock, count } from "../figures.ts";
import type { RunState } from "../page/run_state.ts";
import { trainingSeconds } from "../run_curves.ts";

function figures(run: RunState): [string, string][] {
  const last = run.last.value, evaluation = run.evaluations.at(-1), plan = run.started.value;
  const checkpoint = run.checkpointAt.value, point = run.steps.at(-1);
  const isGoing = ["starting", "running", "stopping"].includes(run.status.value);
  return [
    ...(point
      ? [
        ["Loss", point.loss.toFixed(3)],
        ...(evaluation ? [["Evaluation", `${evaluation.loss.toFixed(3)} at ${evaluation.step}`]] : []),
        ["Learning rate", point.learningRate.toExponential(2)],
        ["Gradient norm", point.gradNorm.toFixed(3)],
        ["Speed", `${count(Math.round(point.tokensPerSecond))} tokens/s`],
        isGoing && last
          ? ["Time left", clock(last.etaSeconds)]
          : ["Trained for", clock(trainingSeconds(run.steps).at(-1)!)],
      ]
      : []),
    ...(plan ? [["GPU memory", byteSize(plan.memory.reduce((sum, { bytes }) => sum + bytes, 0))]] : []),
    ...(checkpoint
      ? [["Checkpoint", `step ${checkpoint.step}, ${checkpoint.at.toLocaleTimeString("en-GB")}`]]
      : []),
  ] as [string, string][];
}

export function RunFigures({ run }: { run: RunState }) {
  void run.version.value;
  const shown = figures(run);
  if (shown.length === 0) return null;
  return (
    <dl class="figures">
      {shown.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
