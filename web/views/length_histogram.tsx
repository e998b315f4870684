/**
 * How many rows have how many tokens, and where they are cut.
 *
 * @module
 */
import { count, percent } from "../figures.ts";
import type { DataFacts } from "../protocol.ts";

const WIDTH = 600;
const HEIGHT = 72;

export function LengthHistogram({ facts, maxLength }: { facts: DataFacts; maxLength: number }) {
  const { histogram, cut, kept, dropped, longest } = facts, all = kept + dropped;
  if (histogram.length === 0) return null;
  const most = Math.max(...histogram.map(({ rows }) => rows)), end = histogram.at(-1)!.to + 1;
  const x = (tokens: number) => WIDTH * tokens / end, line = x(Math.min(maxLength, end));
  const text = cut === 0
    ? `The longest of ${count(all)} rows has ${count(longest)} tokens; none is cut at ${count(maxLength)}.`
    : `${count(cut)} of ${count(all)} rows (${percent(cut / all)}) are longer than ${
      count(maxLength)
    } tokens and ` +
      `will be cut; the longest has ${count(longest)}.`;
  return (
    <figure id="lengths">
      <figcaption>{text}</figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Lengths. ${text}`}
      >
        {histogram.map(({ from, to, rows }) => {
          const height = rows === 0 ? 0 : Math.max(1, HEIGHT * rows / most);
          const isCut = from >= maxLength;
          return (
            <rect
              key={from}
              class={isCut ? "bar beyond" : "bar"}
              x={x(from) + 1}
              y={HEIGHT - height}
              width={Math.max(1, x(to + 1) - x(from) - 2)}
              height={height}
            />
          );
        })}
        {maxLength < end && <line class="cut" x1={line} x2={line} y1={0} y2={HEIGHT} />}
      </svg>
      <div class="axis soft" aria-hidden="true">
        <small>0</small>
        <small>{count(end - 1)} tokens</small>
      </div>
    </figure>
  );
}
