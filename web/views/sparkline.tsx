/**
 * A curve as wide as a word, beside the numbers that say the same.
 *
 * @module
 */

const WIDTH = 96, HEIGHT = 28, MARGIN = 2;

export function Sparkline({ values }: { values: readonly number[] }) {
  if (values.length < 2) return <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" />;
  const low = Math.min(...values), span = Math.max(...values) - low || 1;
  const points = values.map((value, i) => {
    const x = MARGIN + i * (WIDTH - 2 * MARGIN) / (values.length - 1);
    const y = HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <polyline points={points.join(" ")} />
    </svg>
  );
}
