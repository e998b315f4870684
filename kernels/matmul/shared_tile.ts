/**
 * Products whose operands pass through workgroup memory: a block of both is loaded once a workgroup, each vector by one
 * lane, and read by all lanes of its row or column. For GPUs.
 *
 * @module
 */
import { type Fetch, indented, opening, type Product, range, step, type Term } from "./product.ts";
import { invocationsOf, type Side, stride, tileVectors } from "./tile.ts";

/** The WGSL of a product for a `sharedTile()`. */
export function sharedTileText(product: Product): string {
  const { tile, left, right, perStep } = product;
  const { LANES, LANE_ROWS, DEPTH, HALF } = tile;
  const vectors = tileVectors(product, tile), steps = DEPTH / perStep;
  const element = HALF ? "vec4h" : "vec4f";
  const fetch = fetchFromTile(HALF === 1);
  const place = { size: `${LANES}, ${LANE_ROWS}`, row: "lane.y", col: "lane.x" };
  return [
    ...(HALF ? ["enable f16;"] : []),
    ...product.head,
    `var<workgroup> left_tile: array<${element}, ${vectors.left}>;`,
    `var<workgroup> right_tile: array<${element}, ${vectors.right}>;`,
    "",
    ...opening(product, place, ", @builtin(local_invocation_index) id: u32"),
    "  let row0 = row - lane.y;",
    "  let col0 = col - lane.x;",
    ...product.terms.flatMap((term) => [
      `  for (var first = ${term.first}; first < ${term.end}; first += ${steps}u) {`,
      ...indented(indented([
        ...fill(product, left, term, term.left, "left_tile"),
        ...fill(product, right, term, term.right, "right_tile"),
        "workgroupBarrier();",
        `for (var k = 0u; k < ${steps}u; k++) {`,
        ...indented(step(product, term, fetch, fetch)),
        "}",
        "workgroupBarrier(); // before the next block overwrites this one",
      ])),
      "  }",
    ]),
    ...indented(product.store),
    "}",
  ].join("\n");
}

/**
 * Copies a block of an operand into its tile. Neighbouring lanes take neighbouring vectors of memory. Beyond the end of the
 * sum the tile is zero.
 */
function fill(product: Product, side: Side, { end }: Term, operand: string, name: string): string[] {
  const { tile, perStep } = product;
  const width = side.count * side.lanes, depth = tile.DEPTH / perStep * side.vectors;
  const at = `${side.first}0 + i`;
  const value = side.alongSum
    ? `load_${operand}(${at}, first + d)`
    : `load_${operand}(${side.vectors}u * first + d, ${at})`;
  const vectors = width * depth, lanes = invocationsOf(tile);
  return range(Math.ceil(vectors / lanes)).flatMap((round) => {
    const e = round === 0 ? "id" : `(id + ${round * lanes}u)`;
    return [
      (round + 1) * lanes <= vectors ? "{" : `if (${e} < ${vectors}u) {`,
      side.alongSum
        ? `  let i = ${e} / ${depth}u; let d = ${e} % ${depth}u;`
        : `  let i = ${e} % ${width}u; let d = ${e} / ${width}u;`,
      "  var value = vec4f();",
      `  if (first + d / ${side.vectors}u < ${end}) { value = ${value}; }`,
      `  ${name}[d * ${stride(side)}u + i] = ${tile.HALF ? "vec4h(value)" : "value"};`,
      "}",
    ];
  });
}

/** A register from the tile, widened to f32. */
function fetchFromTile(isHalf: boolean): Fetch {
  return (side, _, index, part) => {
    const lane = side.first === "row" ? "lane.y" : "lane.x";
    const depth = side.vectors === 1 ? "k" : `(4u * k + ${part}u)`;
    const vector = `${side.first === "row" ? "left" : "right"}_tile[${depth} * ${stride(side)}u + ${lane}${
      index === 0 ? "" : ` + ${index * side.lanes}u`
    }]`;
    return isHalf ? `vec4f(${vector})` : vector;
  };
}
