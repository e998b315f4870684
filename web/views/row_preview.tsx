/**
 * A row as the model sees it: what is trained, special tokens, and where it is cut.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { count, counted } from "../figures.ts";
import type { JobInputs } from "../page/job_inputs.ts";
import type { DataFacts, DataRow, TextPiece } from "../protocol/data.ts";

function Piece({ piece: { text, trained, special } }: { piece: TextPiece }) {
  const shown = special ? <b class="special">{text}</b> : text;
  return trained ? <mark>{shown}</mark> : <span>{shown}</span>;
}

/** What comes behind the text that is shown: tokens that are left out, here or in training. */
function End({ row: { pieces, tokens, length } }: { row: DataRow }) {
  const shown = pieces.reduce((sum, piece) => sum + piece.tokens, 0);
  return (
    <>
      {shown < tokens && <small>{` … ${counted(tokens - shown, "token")} more`}</small>}
      {tokens < length && (
        <span class="cut-here">{`cut here: ${counted(length - tokens, "token")} left out`}</span>
      )}
    </>
  );
}

interface PreviewProps {
  readonly facts: DataFacts;
  readonly inputs: JobInputs;
}

export function RowPreview({ facts, inputs }: PreviewProps) {
  const { isWhole, samples, kept } = facts, wanted = useSignal(0), fetched = useSignal<DataRow | null>(null);
  const rows = isWhole ? kept : samples.length, // until all are read there are the first ones
    at = Math.max(0, Math.min(wanted.value, rows - 1));
  useEffect(() => {
    if (at < samples.length) return;
    let isWanted = true;
    void inputs.row(at).catch(() => null).then((row) => isWanted && (fetched.value = row));
    return () => void (isWanted = false);
  }, [facts, at]);
  const row = samples[at] ?? fetched.value;
  if (!row || rows === 0) return null;
  const go = (to: number) => wanted.value = (to + rows) % rows;
  return (
    <figure id="row-preview" class="row">
      <figcaption>
        <span>
          {count(row.tokens)} tokens, of which the loss counts the <mark>{count(row.trained)} marked</mark>
          {row.pieces.some(({ special }) => special) && (
            <>
              ; <b class="special">boxed</b> ones are special
            </>
          )}
        </span>
        <span class="actions pages">
          <button type="button" class="second quiet small" aria-label="Row before" onClick={() => go(at - 1)}>
            ‹
          </button>
          <label>
            <span class="unseen">Row</span>
            <input
              id="row-number"
              type="number"
              min={1}
              max={rows}
              value={at + 1}
              onChange={({ currentTarget }) => {
                const number = Math.round(currentTarget.valueAsNumber);
                if (number >= 1 && number <= rows) wanted.value = number - 1;
                else currentTarget.value = String(at + 1);
              }}
            />
          </label>
          <small>of {count(rows)}</small>
          <button type="button" class="second quiet small" aria-label="Next row" onClick={() => go(at + 1)}>
            ›
          </button>
        </span>
      </figcaption>
      <pre tabIndex={0} aria-label={`Row ${at + 1} as it is trained`}>
        {row.pieces.map((piece, i) => <Piece key={i} piece={piece} />)}
        <End row={row} />
      </pre>
    </figure>
  );
}
