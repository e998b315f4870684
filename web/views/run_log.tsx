/**
 * What a run has told so far, line by line.
 *
 * @module
 */
import type { RunState } from "../page/run_state.ts";

export function RunLog({ run }: { readonly run: RunState }) {
  return (
    <details>
      <summary>Log</summary>
      <ol id="log" tabIndex={0} aria-label="Log">
        {run.log.value.map((line, i) => <li key={i}>{line}</li>)}
      </ol>
    </details>
  );
}
