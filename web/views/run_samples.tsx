/**
 * Answers to the same held-out prompts before training and now, side by side.
 *
 * @module
 */
import type { RunState } from "../run_state.ts";
import { exactSummary } from "../sample_rounds.ts";

/** An answer, ticked where it is exactly right. */
function judged(answer: string, expected: string | null): string {
  return answer.trim() === expected?.trim() ? `✓ ${answer.trim()}` : answer.trim();
}

export function RunSamples({ run }: { run: RunState }) {
  const rounds = run.rounds.value;
  if (!rounds) return null;
  const [before, now] = rounds;
  return (
    <section id="samples" class="card" aria-labelledby="samples-title">
      <div class="title">
        <h2 id="samples-title">Answers</h2>
        <span class="soft">greedy, your own prompts and held-out ones</span>
      </div>
      <p>{exactSummary(before, now)}</p>
      <div class="wide" tabIndex={0} role="group" aria-label="Answers">
        <table>
          <thead>
            <tr>
              <th scope="col">Prompt</th>
              <th scope="col">Expected</th>
              <th scope="col">{before.step === 0 ? "Before" : `Step ${before.step}`}</th>
              <th scope="col">{now === before ? "Now" : `Step ${now.step}`}</th>
            </tr>
          </thead>
          <tbody>
            {now.samples.map(({ prompt, expected, answer }, i) => (
              <tr key={i}>
                <td>{prompt.trim()}</td>
                <td>{expected?.trim() ?? "–"}</td>
                <td>{judged(before.samples[i]?.answer ?? "", expected)}</td>
                <td>{now === before ? "" : judged(answer, expected)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
