import { toTexture, toTextureTransposed, transpose } from "../../kernels/stage/kernel.ts";
import * as reference from "../../kernels/stage/reference.ts";
import { defineKernel, operand, write } from "../../src/gpu/kernel.ts";
import { assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";

/** y [rows, 4 · vectors] = an operand as a product sees it, padding included. */
const readOperand = defineKernel({
  name: "read_operand",
  source: `
struct Params { x_cols: u32, vectors: u32, rows: u32 }
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {
  y[group.y * params.vectors + group.x] = load_x(group.y, group.x);
}`,
  bindings: { y: write(), x: operand() },
  params: { x_cols: "u32", vectors: "u32", rows: "u32" },
  constants: {},
  grid: ({ vectors, rows }) => [vectors, rows],
});

const SIZES = [[1, 1], [4, 8], [5, 13], [17, 67]] as const;

const STAGING = [
  ["stage_to_texture", toTexture, { WORKGROUP_SIZE: 8, DOWN: 0 }],
  ["stage_to_texture, lanes one below the other,", toTexture, { WORKGROUP_SIZE: 8, DOWN: 1 }],
  ["stage_to_texture_transposed", toTextureTransposed, { WORKGROUP_SIZE: 8 }],
] as const;

for (const [name, kernel, constants] of STAGING) {
  const transposed = kernel === toTextureTransposed;
  onEachCompiler(`${name} copies bit for bit and pads with zeros`, async (adapter) => {
    for (const [rows, cols] of SIZES) {
      const x = ramp(rows * cols);
      const [outRows, outCols] = transposed ? [cols, rows] : [rows, cols];
      const width = Math.ceil(outCols / 4), height = 4 * Math.ceil(outRows / 4);
      using run = new TestProgram(adapter);
      const texture = run.recorder.texture("staged", height, outCols);
      const bound = { staged: texture, source: run.holding(x, [rows, cols]) };
      const sizes = { rows, cols, width, height };
      if (kernel === toTexture) {
        run.recorder.dispatch(kernel, bound, sizes, constants as typeof kernel.constants);
      } else run.recorder.dispatch(toTextureTransposed, bound, sizes);
      const y = run.output([height, 4 * width]);
      const read = { y, x: { source: "texture", texture } } as const;
      run.recorder.dispatch(readOperand, read, { x_cols: outCols, vectors: width, rows: height });
      await run.run();
      const values = transposed ? reference.transpose(x, rows, cols) : x;
      assertClose(
        await run.read(y),
        reference.padded(values, { rows: outRows, cols: outCols, width, height }),
        exact(),
      );
    }
  });
}

onEachCompiler("transpose copies bit for bit, beyond one side of a grid too", async (adapter) => {
  for (const [rows, cols] of [...SIZES, [4099, 1031]] as const) {
    const x = ramp(rows * cols);
    using run = new TestProgram(adapter);
    const y = run.output([cols, rows]);
    run.recorder.dispatch(transpose, { y, source: run.holding(x, [rows, cols]) }, { rows, cols });
    await run.run();
    assertClose(await run.read(y), reference.transpose(x, rows, cols), exact());
  }
});

onEachCompiler(
  "an operand reads the same from texture, vec4 and scalar, and zeros beyond its columns",
  async (adapter) => {
    for (const [rows, cols] of SIZES) {
      const x = ramp(rows * cols), width = Math.ceil(cols / 4);
      const want = reference.padded(x, { rows, cols, width, height: rows });
      for (const source of ["texture", "vec4", "scalar"] as const) {
        if (source === "vec4" && cols % 4 !== 0) continue;
        using run = new TestProgram(adapter);
        const y = run.output([rows, 4 * width]);
        const bound = { y, x: run.operand(run.holding(x, [rows, cols]), source) };
        run.recorder.dispatch(readOperand, bound, { x_cols: cols, vectors: width, rows });
        await run.run();
        assertClose(await run.read(y), want, exact());
      }
    }
  },
);

onEachCompiler("copyToTexture() lays a matrix into a texture as the kernel does", async (adapter) => {
  const x = ramp(8 * 64);
  using run = new TestProgram(adapter);
  const texture = run.recorder.texture("staged", 8, 64);
  run.recorder.copyToTexture(run.holding(x, [8, 64]), texture);
  const y = run.output([8, 64]);
  run.recorder.dispatch(readOperand, { y, x: { source: "texture", texture } }, {
    x_cols: 64,
    vectors: 16,
    rows: 8,
  });
  await run.run();
  assertClose(await run.read(y), x, exact());
});
