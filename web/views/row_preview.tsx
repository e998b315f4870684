/**
 * A row as the model sees it, with what is trained marked.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { DataFacts, TextPiece } from "../protocol.ts";

const tokensOf = (pieces: readonly TextPiece[]) => pieces.reduce((sum, { tokens }) => sum + tokens, 0);

export function RowPreview({ samples }: Pick<DataFacts, "samples">) {
  const chosen = useSignal(0), at = Math.min(chosen.value, samples.length - 1), row = samples[at];
  if (!row) return null;
  const go = (by: number) => chosen.value = (at + by + samples.length) % samples.length;
  return (
    <figure id="row-preview" class="row">
      <figcaption>
        <span>
          Row {at + 1} as it is trained: {tokensOf(row)} tokens, the loss counts the{" "}
          <mark>{tokensOf(row.filter(({ trained }) => trained))} marked</mark>
        </span>
        <span class="actions">
          <button type="button" class="second quiet small" aria-label="Row before" onClick={() => go(-1)}>
            ‹
          </button>
          <button type="button" class="second quiet small" aria-label="Next row" onClick={() => go(1)}>
            ›
          </button>
        </span>
      </figcaption>
      <pre
        tabIndex={0}
        aria-label="Row as it is trained"
      >{row.map(({ text, trained }, i) => trained ? <mark key={i}>{text}</mark> : <span key={i}>{text}</span>)}</pre>
    </figure>
  );
}
