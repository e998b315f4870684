/**
 * The states of a run that are kept: each can be gone on from, talked to, and taken away as an adapter.
 *
 * @module
 */
import type { ViewProps } from "../app.tsx";
import { byteSize } from "../figures.ts";
import { type LossPoint, shortLoss } from "../loss_summary.ts";
import { chatPath } from "../page/router.ts";
import type { RunState } from "../page/run_state.ts";

/** The loss at a step, or the last one before it with its own step. */
export function lossAt(points: readonly LossPoint[], step: number): string {
  const point = points.findLast((one) => one.step <= step);
  if (!point) return "–";
  return point.step === step ? shortLoss(point.loss) : `${shortLoss(point.loss)} at ${point.step}`;
}

export function RunCheckpoints({ session, run }: ViewProps & { run: RunState }) {
  const { checkpoints } = run.holdings.value, { downloads } = session;
  if (checkpoints.length === 0) return null;
  const isAble = session.isAble, isMaking = downloads.making.value !== null;
  return (
    <section id="checkpoints" class="card" aria-labelledby="checkpoints-title">
      <h2 id="checkpoints-title">Checkpoints</h2>
      <div class="wide" tabIndex={0} role="group" aria-label="Checkpoints">
        <table>
          <thead>
            <tr>
              {["After step", "Training loss", "Evaluation loss", "Size", ""].map((title) => (
                <th key={title} scope="col">{title || <span class="unseen">Actions</span>}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {checkpoints.map(({ step, bytes }) => (
              <tr key={step}>
                <th scope="row" class="number">{step}</th>
                <td class="number">{lossAt(run.steps, step)}</td>
                <td class="number">{lossAt(run.evaluations, step)}</td>
                <td class="number">{byteSize(bytes)}</td>
                <td>
                  <div class="actions">
                    {isAble && step < run.totalSteps.value && (
                      <button
                        type="button"
                        class="second quiet small"
                        aria-label={`Continue from step ${step}, without what came later`}
                        onClick={() => void session.resumeFrom(run.name, step)}
                      >
                        Continue
                      </button>
                    )}
                    <a
                      class="button second small"
                      href={`#/${chatPath({ kind: "run", run: run.name, checkpoint: step })}`}
                      aria-label={`Chat with the model after step ${step}`}
                    >
                      Chat
                    </a>
                    <button
                      type="button"
                      class="second quiet small"
                      aria-label={`Adapter after step ${step}`}
                      disabled={isMaking}
                      onClick={() => void downloads.adapter(run.name, step)}
                    >
                      Adapter
                    </button>
                  </div>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
