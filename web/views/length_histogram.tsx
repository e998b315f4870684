/**
 * How many rows have how many tokens, and where they are cut.
 *
 * @module
 */
import { count, counted, percent } from "../figures.ts";
import type { DataFacts } from "../protocol/data.ts";

type Bar = DataFacts["histogram"][number];

/** Height of the highest bar; each is one wide. */
const HEIGHT = 72;
/** Bars that are all named, and names below more of them. */
const FEW_BARS = 8;
const MOST_NAMES = 6;

/** Where a length stands, in bars from the left: behind those that have it. */
function placeOf(length: number, bars: readonly Bar[]): number {
  const bar = bars.findIndex(({ to }) => to >= length), { from, to } = bars[bar]!;
  return bar + (length + 1 - from) / (to + 1 - from);
}

function nameOf({ from, to }: Bar, isFew: boolean): string {
  return isFew && from !== to ? `${count(from)}–${count(to)}` : count(from);
}

function verdict({ maxLength, cut, kept, dropped, longest }: DataFacts): string {
  const all = kept + dropped;
  if (cut === 0) return `The longest of ${counted(all, "row")} has ${count(longest)} tokens: none is cut.`;
  return `${counted(cut, "row")} (${percent(cut / all)}) of ${count(all)} will be cut at ${
    count(maxLength)
  } tokens` +
    `${dropped > 0 ? `, ${count(dropped)} left out as nothing trained remains` : ""}; the longest has ${
      count(longest)
    }.`;
}

export function LengthHistogram({ facts }: { facts: DataFacts }) {
  const { histogram: bars, longest, maxLength } = facts;
  if (bars.length === 0) return null;
  const most = Math.max(...bars.map(({ rows }) => rows)), isFew = bars.length <= FEW_BARS;
  const every = isFew ? 1 : Math.ceil(bars.length / MOST_NAMES), text = verdict(facts);
  const line = longest > maxLength
    ? placeOf(Math.max(maxLength, bars[0]!.from - 1), bars) / bars.length
    : null;
  const widest = isFew ? { maxWidth: `${5 * bars.length}rem` } : {};
  const columns = { gridTemplateColumns: `repeat(${bars.length}, minmax(0, 1fr))` };
  return (
    <figure id="lengths">
      <figcaption>{text}</figcaption>
      <div class="chart" style={widest}>
        <svg
          viewBox={`0 0 ${bars.length} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`Lengths. ${text}`}
        >
          {bars.map((bar, i) => {
            const { from, to, rows } = bar, height = rows === 0 ? 0 : Math.max(1, HEIGHT * rows / most);
            return (
              <rect
                key={from}
                class={from > maxLength ? "bar beyond" : "bar"}
                x={i + 0.06}
                y={HEIGHT - height}
                width={0.88}
                height={height}
              >
                <title>{`${nameOf({ from, to, rows }, true)} tokens: ${counted(rows, "row")}`}</title>
              </rect>
            );
          })}
        </svg>
        {line !== null && (
          <div
            class={line > 0.6 ? "cut-line left" : "cut-line"}
            style={{ left: `${100 * line}%` }}
            aria-hidden="true"
          >
            <small>max length {count(maxLength)}</small>
          </div>
        )}
        <div class={isFew ? "axis few" : "axis"} style={columns} aria-hidden="true">
          {bars.map((bar, i) =>
            i % every === 0 && (
              <small
                key={bar.from}
                style={{ gridColumn: `${i + 1} / span ${Math.min(every, bars.length - i)}` }}
              >
                {nameOf(bar, isFew)}
                {i === 0 && !isFew && " tokens"}
              </small>
            )
          )}
        </div>
      </div>
    </figure>
  );
}
