import assert from "node:assert/strict";
import {
  defineKernel,
  foldGrid,
  kernelText,
  MAX_WORKGROUPS,
  operand,
  read,
  result,
  write,
} from "../../src/gpu/kernel.ts";

const TEXT = `
struct Params { rows: u32, scale: f32 }
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(1) fn main() { y[0] = params.scale * x[0] + f32(params.rows); }`;
const SPEC = {
  name: "probe",
  source: TEXT,
  bindings: { y: write(), x: read() },
  params: { rows: "u32", scale: "f32" },
  constants: {},
  grid: () => [1] as const,
} as const;

/** Defining the kernel with these changes fails with a TypeError that matches. */
function refused(changes: Readonly<Record<string, unknown>>, message: RegExp): void {
  assert.throws(() => defineKernel({ ...SPEC, ...changes } as unknown as typeof SPEC), (error: Error) => {
    assert.ok(error instanceof TypeError);
    assert.match(error.message, /^Kernel "probe" and its WGSL differ: /);
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("defineKernel() accepts a record that agrees with its WGSL", () => {
  assert.deepEqual(defineKernel(SPEC).bindingNames, ["y", "x"]);
});

Deno.test("defineKernel() names both sides when bindings are reordered, misspelt, missing or too many", () => {
  refused({ bindings: { x: read(), y: write() } }, /binding 0 is "y", the record says "x"/);
  refused({ bindings: { y: write(), xs: read() } }, /binding 1 is "x", the record says "xs"/);
  refused({ bindings: { y: write(), x: read(), z: read() } }, /binding 2 is "params", the record says "z"/);
  refused({ bindings: { y: write() } }, /binding 1 must be the uniform Params/);
});

Deno.test("defineKernel() names both sides when access or element type differs", () => {
  refused(
    { bindings: { y: read(), x: read() } },
    /"y" is declared <storage read_write>, the record says <storage read>/,
  );
  refused({ bindings: { y: write(), x: read("u32") } }, /"x" has type array<f32>, the record says .*u32/);
  refused(
    { bindings: { y: write("atomic"), x: read() } },
    /"y" has type array<f32>, the record says .*atomic/,
  );
});

Deno.test("defineKernel() names both sides when parameters are reordered, missing, too many or of another type", () => {
  const found = /struct Params has \{ rows: u32, scale: f32 \}, the record says /;
  refused({ params: { scale: "f32", rows: "u32" } }, found);
  refused({ params: { rows: "u32" } }, found);
  refused({ params: { rows: "u32", scale: "f32", more: "u32" } }, found);
  refused({ params: { rows: "u32", scale: "u32" } }, found);
  refused({ source: TEXT.replace("scale: f32 }", "scale: f32, shift: i32 }") }, /shift: i32/);
});

Deno.test("defineKernel() wants an operand to be loaded and to have its width", () => {
  const bindings = { y: write(), x: operand() };
  refused({ bindings }, /operand "x" needs a parameter "x_cols": "u32"/);
  refused({ bindings, params: { x_cols: "u32" } }, /operand "x" is never loaded by load_x\(\)/);
});

Deno.test("defineKernel() wants a result to be stored and to have its width", () => {
  const bindings = { y: result(), x: read() };
  refused({ bindings }, /result "y" needs a parameter "y_cols": "u32"/);
  refused({ bindings, params: { y_cols: "u32" } }, /result "y" is never stored by store_y\(\)/);
});

Deno.test("kernelText() stores a result by vectors, or value by value where its columns end within one", () => {
  const kernel = defineKernel({
    ...SPEC,
    source: "struct Params { y_cols: u32 }\n@group(0) @binding(1) var<uniform> params: Params;\n" +
      "fn f() { store_y(0u, 0u, vec4f(1.0)); }",
    bindings: { y: result() },
    params: { y_cols: "u32" },
  });
  assert.match(kernelText(kernel, { y: "vec4" }, {}), /y: array<vec4f>;/);
  assert.match(
    kernelText(kernel, { y: "scalar" }, {}),
    /y: array<f32>;[^]*if \(4u \* col4 \+ 3u < params.y_cols\)/,
  );
});

Deno.test("kernelText() bakes constants in, and differs by operand source", () => {
  const kernel = defineKernel({
    ...SPEC,
    source: "struct Params { x_cols: u32 }\n@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n" +
      "@group(0) @binding(2) var<uniform> params: Params;\nfn f() -> f32 { return load_x(0u, 0u).x; }",
    bindings: { y: write(), x: operand() },
    params: { x_cols: "u32" },
    constants: { LANES: 8 },
  });
  const texts = (["texture", "vec4", "scalar"] as const).map((x) => kernelText(kernel, { x }, { LANES: 16 }));
  assert.equal(new Set(texts).size, 3);
  assert.ok(texts.every((text) => text.includes("const LANES: u32 = 16u;")));
});

Deno.test("foldGrid() covers every count within the longest side", () => {
  for (const count of [1, MAX_WORKGROUPS, MAX_WORKGROUPS + 1, 131_071, 10_000_019]) {
    const [x, y = 1] = foldGrid(count);
    assert.ok(
      x <= MAX_WORKGROUPS && y <= MAX_WORKGROUPS && x * y >= count && x * (y - 1) < count,
      `${count}`,
    );
  }
});
