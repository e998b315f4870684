/**
 * Products with few outputs: several lanes share each sum, step by step in turn, and add up their parts in workgroup
 * memory, in a fixed order. For generation, where one row meets a whole weight, and for low-rank factors.
 *
 * @module
 */
import { fetchDirectly, indented, opening, type Product, step } from "./product.ts";
import { invocationsOf } from "./tile.ts";

/** The WGSL of a product for a `vectorTile()`. */
export function vectorTileText(product: Product): string {
  const { tile, accumulators, accumulatorType, terms } = product;
  const { LANES, K_LANES } = tile;
  const invocations = invocationsOf(tile);
  // neighbouring lanes read neighbouring vectors of the right operand: along the sum, or along columns
  const alongSum = product.right.alongSum;
  const [share, col] = alongSum ? ["lane.x", "lane.y"] : ["lane.y", "lane.x"];
  const size = alongSum ? `${K_LANES}, ${LANES}` : `${LANES}, ${K_LANES}`;
  const mate = alongSum ? 1 : LANES; // distance of lanes that share a sum
  const fetch = fetchDirectly("k");
  const part = (i: number) => `parts[id + ${i * invocations}u]`;
  return [
    ...product.head,
    `var<workgroup> parts: array<${accumulatorType}, ${accumulators.length * invocations}>;`,
    "",
    ...opening(product, { size, row: "", col }, ", @builtin(local_invocation_index) id: u32"),
    ...terms.flatMap((term) => [
      `  for (var k = ${term.first} + ${share}; k < ${term.end}; k += ${K_LANES}u) {`,
      ...indented(indented(step(product, term, fetch, fetch))),
      "  }",
    ]),
    ...accumulators.map((name, i) => `  ${part(i)} = ${name};`),
    "  workgroupBarrier();",
    `  for (var apart = ${K_LANES / 2}u; apart > 0u; apart /= 2u) {`,
    `    if (${share} < apart) {`,
    ...accumulators.map((_, i) => `      ${part(i)} += parts[id + ${i * invocations}u + apart * ${mate}u];`),
    "    }",
    "    workgroupBarrier();",
    "  }",
    `  if (${share} == 0u) {`,
    ...accumulators.map((name, i) => `    ${name} = ${part(i)};`),
    ...indented(indented(product.store)),
    "  }",
    "}",
  ].join("\n");
}
