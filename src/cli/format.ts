/**
 * Numbers as people read them in a terminal.
 *
 * @module
 */

/** `260,032`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** Three figures that count, without exponents: `0.0512`, `4.84`, `1,234`. */
export function formatFigures(value: number): string {
  return value >= 99.95 ? formatCount(value) : value.toPrecision(3);
}

/** Three characters and a unit: `85`, `3.1k`, `12k`, `1.2M`. */
export function formatRate(perSecond: number): string {
  if (perSecond < 9.95) return perSecond.toFixed(1);
  if (perSecond < 999.5) return perSecond.toFixed(0);
  if (perSecond < 9_950) return `${(perSecond / 1e3).toFixed(1)}k`;
  return perSecond < 999_500 ? `${(perSecond / 1e3).toFixed(0)}k` : `${(perSecond / 1e6).toFixed(1)}M`;
}

/** `02:14`, `1:02:14`, or `--:--` for what is not known. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "--:--";
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return `${hours > 0 ? `${hours}:` : ""}${two(minutes)}:${two(whole % 60)}`;
}

/** In powers of 1024: `812 B`, `1.0 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB"];
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}

/** `1.8e-4`, and `0` for nothing. */
export function formatLearningRate(rate: number): string {
  return rate === 0 ? "0" : rate.toExponential(1);
}

/** `4.75 %` of the whole; small shares keep two digits that count. */
export function formatShare(part: number, whole: number): string {
  const percent = whole === 0 ? 0 : (100 * part) / whole;
  return `${percent >= 1 ? percent.toFixed(2) : Number(percent.toPrecision(2))} %`;
}

/** Lines of cells in columns as wide as their widest cell. */
export function columns(cells: readonly (readonly string[])[]): string {
  const widths = cells[0]!.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  const lines = cells.map((line) => line.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd());
  return lines.map((line) => `${line}\n`).join("");
}
