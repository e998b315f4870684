/**
 * Tables of the page.
 *
 * @module
 */
import { type Content, type Markup, markup } from "./markup.ts";

/** Headings and rows. */
export interface Table {
  /** Empty for a table without a head. */
  readonly headings: readonly string[];
  readonly rows: readonly (readonly Content[])[];
  /** Columns from the left that hold texts; those after them hold numbers. Default 1. */
  readonly texts?: number;
  /** The last line, which sums up. */
  readonly foot?: readonly Content[];
}

/** A table that is scrolled by itself where it is wider than the page; the first cell of a row names it. */
export function table({ headings, rows, texts = 1, foot }: Table): Markup {
  const kind = (column: number) => column < texts ? "text" : "number";
  const line = (cells: readonly Content[]) =>
    markup`<tr>${
      cells.map((cell, i) => i === 0 ? rowName(cell) : markup`<td class="${kind(i)}">${cell}</td>`)
    }</tr>\n`;
  const head = headings.map((text, i) => markup`<th scope="col" class="${kind(i)}">${text}</th>`);
  return markup`<div class="wide"><table>
${head.length > 0 ? markup`<thead><tr>${head}</tr></thead>` : null}
<tbody>${rows.map(line)}</tbody>
${foot ? markup`<tfoot>${line(foot)}</tfoot>` : null}
</table></div>`;
}

function rowName(cell: Content): Markup {
  return markup`<th scope="row">${cell}</th>`;
}
