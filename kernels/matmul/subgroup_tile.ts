/**
 * Products whose left operand is loaded once a subgroup: each lane loads another step of a row and all read it from there
 * by a shuffle. Lanes lie side by side, so that all lanes of a subgroup want the same rows, whatever its size.
 *
 * @module
 */
import {
  type Fetch,
  fetchDirectly,
  indented,
  load,
  opening,
  position,
  type Product,
  range,
  step,
} from "./product.ts";

/** The WGSL of a product for a `subgroupTile()`. */
export function subgroupTileText(product: Product): string {
  const { tile: { LANES }, left } = product;
  const builtins = ", @builtin(subgroup_size) subgroup_size: u32, @builtin(subgroup_invocation_id) mate: u32";
  const fromMate: Fetch = (_, operand, index) => `subgroupShuffle(own_${operand}${index}, t)`;
  return [
    "enable subgroups;",
    ...product.head,
    "",
    ...opening(product, { size: `${LANES}`, row: "", col: "lane.x" }, builtins),
    `  let mates = min(subgroup_size, ${LANES}u); // a workgroup may not fill a subgroup`,
    ...product.terms.flatMap((term) => [
      `  for (var first = ${term.first}; first < ${term.end}; first += mates) {`,
      ...range(left.count).map((i) =>
        `    let own_${term.left}${i} = ${load(left, term.left, position(left, i), "first + mate", 0)};`
      ),
      `    let steps = min(mates, ${term.end} - first);`,
      "    for (var t = 0u; t < steps; t++) {",
      "      let k = first + t;",
      ...indented(indented(indented(step(product, term, fromMate, fetchDirectly("k"))))),
      "    }",
      "  }",
    ]),
    ...indented(product.store),
    "}",
  ].join("\n");
}
