/**
 * Numbers for people, each with its unit.
 *
 * @module
 */

/** A share: 45.2 %. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** With separators: 260,032. */
export function count(value: number): string {
  return value.toLocaleString("en");
}

/** In a few characters: 950, 1.2k, 3.4M. */
export function compactCount(value: number): string {
  return value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 }).replace("K", "k");
}

/** A count with its noun: 1 row, 2 rows. */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** In powers of ten, three digits: 1.05 MB. */
export function byteSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 ? value : value.toPrecision(3)} ${units[power]}`;
}

/** Minutes and seconds `mm:ss`, from an hour on `h:mm:ss`. */
export function clock(seconds: number): string {
  const whole = Math.round(seconds), two = (value: number) => String(value).padStart(2, "0");
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return whole < 3600 ? rest : `${Math.floor(whole / 3600)}:${rest}`;
}

/** How long ago, for the eye: `just now`, `12 min ago`, or the date. */
export function ago(date: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - date.getTime()) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return date.toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}

/** A number beside an axis, in a few characters: 0.002, 2e-4, 1500. Nothing where an axis leaves a place empty. */
export function axisNumber(value: number | null): string {
  if (value === null) return "";
  const isSmall = value !== 0 && Math.abs(value) < 0.001;
  return isSmall ? Number(value.toPrecision(2)).toExponential() : String(Number(value.toPrecision(6)));
}
