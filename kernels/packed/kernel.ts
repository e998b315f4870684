/**
 * Unpacks a whole matrix into f32, for adapters on which products read plain matrices so much faster that the detour
 * pays: w_i = scale · code_i + offset.
 *
 * @module
 */
import { defineKernel, foldGrid, read, textureWrite, write } from "../../src/gpu/kernel.ts";
import type { GroupedFormat } from "./format.ts";

export type { GroupedFormat } from "./format.ts";
export { GGUF_FORMATS } from "./gguf.ts";
export { int8Words, nf4DoubleWords, nf4Words, wordsOf } from "./layout.ts";
export { BF16, F16, INT8, NF4, NF4_DOUBLE } from "./own.ts";

/** Vectors of four values that one invocation unpacks at most. */
const MOST_VECTORS = 8;

/** How many vectors of a row of `cols` values one invocation can unpack with one scale. */
export function vectorsPerLane({ group }: GroupedFormat, cols: number): number {
  const sharing = (group === "row" ? cols : group) / 4;
  for (let vectors = MOST_VECTORS; vectors > 1; vectors /= 2) if (sharing % vectors === 0) return vectors;
  return 1;
}

const STORES = {
  texture: {
    declaration:
      "@group(0) @binding(0) var y: texture_storage_2d<rgba32float, write>;  // [rows, cols / 4] texels",
    store: (i: string, codes: string) =>
      `textureStore(y, vec2u((${i}) % cols4, (${i}) / cols4), scale.x * ${codes} + scale.y);`,
  },
  buffer: {
    declaration: "@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;  // [rows, cols]",
    store: (i: string, codes: string) => `y[${i}] = scale.x * ${codes} + scale.y;`,
  },
} as const;

function unpackText(format: GroupedFormat, target: keyof typeof STORES): string {
  const { declaration, store } = STORES[target];
  return `// y = the values of w. One invocation VECTORS vectors that share a scale.
struct Params { rows: u32, w_cols: u32 }
${declaration}
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;
${format.declare("w")}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let cols4 = params.w_cols / 4u;
  let end = params.rows * cols4;
  let first = ((group.x + group.y * groups.x) * WORKGROUP_SIZE + lane.x) * VECTORS;
  if (first >= end) { return; }
  let scale = scale_w(first);
  ${format.paired ? pairs(store) : singles(store)}
}`;
}

type Store = (i: string, codes: string) => string;

const singles = (store: Store) =>
  `for (var i = first; i < min(first + VECTORS, end); i++) { ${store("i", "codes_w(i)")} }`;

/** Reads each word once. VECTORS is even. */
const pairs = (store: Store) =>
  `for (var i = first; i < min(first + VECTORS, end); i += 2u) {
    let codes = pair_w(i);
    ${store("i", "codes[0]")}
    if (i + 1u < end) { ${store("i + 1u", "codes[1]")} }
  }`;

const params = { rows: "u32", w_cols: "u32" } as const;
const constants = { WORKGROUP_SIZE: 8, VECTORS: MOST_VECTORS };
const grid = (
  { rows, w_cols }: { rows: number; w_cols: number },
  { WORKGROUP_SIZE, VECTORS }: { WORKGROUP_SIZE: number; VECTORS: number },
) => foldGrid(Math.ceil(rows * w_cols / 4 / VECTORS / WORKGROUP_SIZE));

function unpackToTextureOf(format: GroupedFormat) {
  const source = unpackText(format, "texture"), name = `unpack_${format.name}`;
  return defineKernel({
    name,
    source,
    bindings: { y: textureWrite(), w: read("u32") },
    params,
    constants,
    grid,
  });
}

function unpackToBufferOf(format: GroupedFormat) {
  const source = unpackText(format, "buffer"), name = `unpack_${format.name}`;
  return defineKernel({ name, source, bindings: { y: write(), w: read("u32") }, params, constants, grid });
}

/** Gives each format's kernel, made at its first use. */
function perFormat<K>(make: (format: GroupedFormat) => K): (format: GroupedFormat) => K {
  const made = new Map<GroupedFormat, K>();
  return (format) => {
    let kernel = made.get(format);
    if (!kernel) made.set(format, kernel = make(format));
    return kernel;
  };
}

/** Writes [rows, cols] texels of four columns. */
export const unpackToTexture = perFormat(unpackToTextureOf);
/** Writes [rows, cols] values; columns are divisible by 4. */
export const unpackToBuffer = perFormat(unpackToBufferOf);
