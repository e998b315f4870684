/**
 * Numbers in Markdown tables.
 *
 * @module
 */
import { formatFigures } from "../src/cli/format.ts";
import type { Spread } from "./statistics.ts";

/** Text that stays in its cell. */
export const cell = (text: string) => text.replaceAll("|", "\\|").replace(/\s+/g, " ");

/** A table; `deno fmt` aligns its columns. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}

/** `4.84 (4.70 to 5.01)`: the median, and the range it comes from. */
export function formatSpread({ median, least, most }: Spread, scale = 1): string {
  return `${formatFigures(scale * median)} (${formatFigures(scale * least)} to ${
    formatFigures(scale * most)
  })`;
}

/** `3.2×` */
export function formatRatio(ratio: number): string {
  return `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2)}×`;
}
