/**
 * Numbers as the page shows them.
 *
 * @module
 */

/** Three figures that count, without exponents: `0.0512`, `4.84`, `1,234`. */
export function figures(value: number): string {
  if (value === 0) return "0";
  return Math.abs(value) >= 99.95 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3);
}

/** A whole number or a tick of an axis, all its digits: `2,048`, `0.25`. */
export function plain(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 9 });
}

/** In powers of 1024: `812 B`, `1.00 MiB`. */
export function byteText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${power === 0 ? bytes : figures(bytes / 1024 ** power)} ${units[power]}`;
}

/** `4.8 %` */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Round numbers within [from, to], about `count` of them, ascending. */
export function ticksBetween(from: number, to: number, count: number): number[] {
  const span = to - from || Math.abs(to) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= span / count * (1 - 1e-9))!;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const first = Math.ceil(from / step - 1e-9), last = Math.floor(to / step + 1e-9);
  return Array.from(
    { length: Math.max(0, last - first + 1) },
    (_, i) => Number(((first + i) * step).toFixed(digits)),
  );
}
