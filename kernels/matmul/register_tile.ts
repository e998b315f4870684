/**
 * Products whose operands go straight to registers. For processors that play GPU, and for GPUs with good caches.
 *
 * @module
 */
import { fetchDirectly, indented, opening, type Product, step } from "./product.ts";

/** The WGSL of a product for a `registerTile()`. */
export function registerTileText(product: Product): string {
  const { LANES, LANE_ROWS } = product.tile;
  const place = { size: `${LANES}, ${LANE_ROWS}`, row: LANE_ROWS > 1 ? "lane.y" : "", col: "lane.x" };
  const fetch = fetchDirectly("k");
  return [
    ...product.head,
    "",
    ...opening(product, place),
    ...product.terms.flatMap((term) => [
      `  for (var k = ${term.first}; k < ${term.end}; k++) {`,
      ...indented(indented(step(product, term, fetch, fetch))),
      "  }",
    ]),
    ...indented(product.store),
    "}",
  ].join("\n");
}
