/**
 * Kernels as typed records: WGSL text, the names and kinds of its bindings, its parameters, its constants
 * and its grid. The record is checked against the WGSL when it is defined, so that a reordered or misspelt
 * binding fails at once and by name, not as wrong numbers later.
 *
 * @module
 */
import type { ElementType, Tensor } from "../tensor.ts";

/** A storage buffer that is only read. */
export interface ReadBinding {
  readonly kind: "read";
  readonly elem: ElementType;
}
/** A storage buffer that is written, or read and written. */
export interface WriteBinding {
  readonly kind: "write";
  readonly elem: ElementType | "atomic";
  /** Written through `store_NAME` alone, see {@link result}. */
  readonly byVector?: true;
}
/**
 * A matrix that is read four columns at a time through `load_NAME(row, col4) -> vec4f`. Where it comes from, a
 * texture or a storage buffer, is decided at dispatch; the kernel's text is the same. Columns beyond the
 * matrix read as zero up to the next multiple of 4. Needs a parameter `NAME_cols: u32`.
 */
export interface OperandBinding {
  readonly kind: "operand";
}
/** A texture of four f32 that is only written: the target of staging. */
export interface TextureWriteBinding {
  readonly kind: "texture";
}
export type Binding = ReadBinding | WriteBinding | OperandBinding | TextureWriteBinding;

export const read = (elem: ElementType = "f32"): ReadBinding => ({ kind: "read", elem });
export const write = (elem: ElementType | "atomic" = "f32"): WriteBinding => ({ kind: "write", elem });
export const operand = (): OperandBinding => ({ kind: "operand" });
/**
 * A matrix that is only written, four columns at a time, through `store_NAME(row, col4, value: vec4f)`. What lies beyond
 * the last column is dropped. Needs a parameter `NAME_cols: u32`.
 */
export const result = (): WriteBinding => ({ kind: "write", elem: "f32", byVector: true });
export const textureWrite = (): TextureWriteBinding => ({ kind: "texture" });

/** A texture of rgba32float texels that holds a matrix: texel (c, r) is row r, columns 4c to 4c+3. */
export interface MatrixTexture {
  readonly label: string;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  texture: GPUTexture | null;
}

/**
 * A matrix kept in fewer bits than its values have: u32 words, and the WGSL that turns them into values. Columns must be
 * divisible by 4.
 */
export interface PackedFormat {
  /** For messages and profiles, such as `nf4`. */
  readonly name: string;
  /** Declares `fn unpack_NAME(i: u32) -> vec4f`, values 4i to 4i+3 of the matrix row by row, over `NAME: array<u32>`. */
  readonly unpack: (operand: string) => string;
}

/** How an operand's values are read. `scalar` takes any width, `vec4` needs columns divisible by 4. */
export type OperandSource = "texture" | "vec4" | "scalar" | PackedFormat;

/** A matrix bound as an operand. */
export type Operand =
  | { readonly source: "texture"; readonly texture: MatrixTexture }
  | { readonly source: "vec4" | "scalar" | PackedFormat; readonly tensor: Tensor };

/** A source's name, for people. */
export const sourceName = (source: OperandSource): string =>
  typeof source === "string" ? source : source.name;

export type ParamTypes = Readonly<Record<string, "u32" | "f32">>;
export type Constants = Readonly<Record<string, number>>;
export type ParamValues<P extends ParamTypes> = { readonly [K in keyof P]: number };
export type BoundValue<K extends Binding> = K extends OperandBinding ? Operand
  : K extends TextureWriteBinding ? MatrixTexture
  : Tensor;
export type BoundValues<B extends Readonly<Record<string, Binding>>> = {
  readonly [K in keyof B]: BoundValue<B[K]>;
};
export type Grid = readonly [number, number?, number?];

/** What {@link defineKernel} takes. Key order is binding order; parameters are the last binding. */
export interface KernelSpec<
  B extends Readonly<Record<string, Binding>>,
  P extends ParamTypes,
  C extends Constants,
> {
  readonly name: string;
  /** WGSL text, or the generator that writes it for given constants. */
  readonly source: string | ((constants: C) => string);
  /** Shared WGSL functions (`kernels/lib`) that the text uses. */
  readonly lib?: readonly string[];
  readonly bindings: B;
  /** Fields of `struct Params`, in order. */
  readonly params: P;
  /** Baked in as `const` lines; what a variant differs by. */
  readonly constants: C;
  /** Workgroups to launch. */
  readonly grid: (params: ParamValues<P>, constants: C) => Grid;
  /** Loop iterations of one invocation, summed over all its loops; see {@link LOOP_BUDGET}. */
  readonly iterations?: (params: ParamValues<P>, constants: C) => number;
  /** Floating-point operations of one launch; absent for kernels that move more than they compute. */
  readonly flops?: (params: ParamValues<P>, constants: C) => number;
  /** Bytes that a launch touches of a binding, where that may be less than the whole of it. */
  readonly touched?: (params: ParamValues<P>) => { readonly [K in keyof B]?: number };
}

export interface Kernel<
  B extends Readonly<Record<string, Binding>> = Readonly<Record<string, Binding>>,
  P extends ParamTypes = ParamTypes,
  C extends Constants = Constants,
> extends KernelSpec<B, P, C> {
  readonly bindingNames: readonly (keyof B & string)[];
  readonly paramNames: readonly (keyof P & string)[];
}

/**
 * Iterations that one invocation may run, over all loops together. Mesa 22's software rasteriser silently stops at
 * 65,535 (fixed in Mesa 25); staying below costs nothing elsewhere.
 */
export const LOOP_BUDGET = 60_000;

/** The longest side of a grid; 1-D grids beyond it are folded by {@link foldGrid}. */
export const MAX_WORKGROUPS = 65_535;

/** A 1-D grid of `count` workgroups folded into two dimensions: index = id.x + id.y * num_workgroups.x. */
export function foldGrid(count: number): Grid {
  if (count <= MAX_WORKGROUPS) return [count];
  const rows = Math.ceil(count / MAX_WORKGROUPS);
  return [Math.ceil(count / rows), rows];
}

/**
 * Defines a kernel and holds its record against its text.
 *
 * @throws {TypeError} If the WGSL declares other bindings or parameters than the record says.
 */
export function defineKernel<
  const B extends Readonly<Record<string, Binding>>,
  const P extends ParamTypes,
  C extends Constants,
>(spec: KernelSpec<B, P, C>): Kernel<B, P, C> {
  const kernel = { ...spec, bindingNames: Object.keys(spec.bindings), paramNames: Object.keys(spec.params) };
  const source = typeof spec.source === "string" ? spec.source : spec.source(spec.constants);
  const drift = findDrift(kernel as unknown as Kernel, source);
  if (drift) throw new TypeError(`Kernel "${spec.name}" and its WGSL differ: ${drift}`);
  return kernel;
}

/** The text of a kernel for given operand sources and constants: what is compiled, and the cache's key. */
export function kernelText<
  B extends Readonly<Record<string, Binding>>,
  P extends ParamTypes,
  C extends Constants,
>(kernel: Kernel<B, P, C>, sources: Readonly<Record<string, OperandSource>>, constants: C): string {
  const lines = Object.entries(constants).map(([name, value]) => `const ${name}: u32 = ${value}u;`);
  kernel.bindingNames.forEach((name, index) => {
    const binding = kernel.bindings[name]!;
    if (binding.kind === "operand") lines.push(operandPrelude(name, index, sources[name]!));
    else if (isResult(binding)) lines.push(resultPrelude(name, index, sources[name]!));
  });
  const source = typeof kernel.source === "string" ? kernel.source : kernel.source(constants);
  return enablesFirst([...lines, ...(kernel.lib ?? []), source].join("\n"));
}

/** WGSL wants its `enable` directives before every declaration. */
function enablesFirst(text: string): string {
  const enables = text.match(ENABLE);
  return enables ? [...new Set(enables), text.replaceAll(ENABLE, "")].join("\n") : text;
}

const ENABLE = /^enable .*;$/gm;

/** Declares an operand and its load function. WGSL lets module-scope names be used before they are declared. */
function operandPrelude(name: string, index: number, source: OperandSource): string {
  const at = `@group(0) @binding(${index})`;
  const head = `fn load_${name}(row: u32, col4: u32) -> vec4f {`;
  if (source === "texture") {
    return `${at} var ${name}: texture_2d<f32>;\n${head} return textureLoad(${name}, vec2u(col4, row), 0); }`;
  }
  if (source === "vec4") {
    return `${at} var<storage, read> ${name}: array<vec4f>;\n` +
      `${head} return ${name}[row * (params.${name}_cols / 4u) + col4]; }`;
  }
  if (typeof source === "object") {
    return `${at} var<storage, read> ${name}: array<u32>;\n${source.unpack(name)}\n` +
      `${head} return unpack_${name}(row * (params.${name}_cols / 4u) + col4); }`;
  }
  const element = (i: number) =>
    `select(0.0, ${name}[first + ${i}u], 4u * col4 + ${i}u < params.${name}_cols)`;
  return `${at} var<storage, read> ${name}: array<f32>;\n` +
    `${head}\n  let first = row * params.${name}_cols + 4u * col4;\n` +
    `  return vec4f(${[0, 1, 2, 3].map(element).join(",\n    ")});\n}`;
}

function isResult(binding: Binding): boolean {
  return binding.kind === "write" && binding.byVector === true;
}

/** Declares a result and its store function. */
function resultPrelude(name: string, index: number, source: OperandSource): string {
  const at = `@group(0) @binding(${index}) var<storage, read_write> ${name}`;
  const head = `fn store_${name}(row: u32, col4: u32, value: vec4f) {`;
  if (source === "vec4") {
    return `${at}: array<vec4f>;\n${head} ${name}[row * (params.${name}_cols / 4u) + col4] = value; }`;
  }
  const element = (i: number) =>
    `  if (4u * col4 + ${i}u < params.${name}_cols) { ${name}[first + ${i}u] = value[${i}]; }\n`;
  return `${at}: array<f32>;\n${head}\n  let first = row * params.${name}_cols + 4u * col4;\n` +
    `${[0, 1, 2, 3].map(element).join("")}}`;
}

const DECLARATION =
  /@group\(0\)\s*@binding\((\d+)\)\s*var(?:<(uniform|storage)(?:,\s*(read|read_write))?>)?\s+(\w+)\s*:\s*([^;]+);/g;

/** The first difference between a kernel's record and its WGSL, or null. */
function findDrift(kernel: Kernel, source: string): string | null {
  const declared = new Map<number, { name: string; space: string; type: string }>();
  for (const [, index, space, access, name, type] of source.matchAll(DECLARATION)) {
    declared.set(Number(index), {
      name: name!,
      space: [space, access].filter(Boolean).join(" "),
      type: type!,
    });
  }
  for (const [index, name] of kernel.bindingNames.entries()) {
    const binding = kernel.bindings[name]!;
    if (binding.kind === "operand" || isResult(binding)) {
      const missing = matrixDrift(kernel, name, source);
      if (missing) return missing;
      continue;
    }
    const found = declared.get(index);
    const want = wantedDeclaration(binding);
    if (!found || found.name !== name) {
      return `binding ${index} is "${found?.name ?? "missing"}", the record says "${name}"`;
    }
    if (found.space !== want.space) {
      return `"${name}" is declared <${found.space}>, the record says <${want.space}>`;
    }
    if (!want.types.test(found.type)) {
      return `"${name}" has type ${found.type}, the record says ${want.types.source}`;
    }
  }
  const last = declared.get(kernel.bindingNames.length);
  if (kernel.paramNames.length > 0 && last?.space !== "uniform") {
    return `binding ${kernel.bindingNames.length} must be the uniform Params`;
  }
  const extra = [...declared.keys()].find((index) => index > kernel.bindingNames.length);
  if (extra !== undefined) return `binding ${extra} is not in the record`;
  const fields = /struct Params\s*\{([^}]*)\}/.exec(source)?.[1] ?? "";
  const inWgsl = [...fields.matchAll(/(\w+)\s*:\s*(\w+)/g)].map(([, name, type]) => `${name}: ${type}`)
    .join(", ");
  const inRecord = kernel.paramNames.map((name) => `${name}: ${kernel.params[name]}`).join(", ");
  return inWgsl === inRecord ? null : `struct Params has { ${inWgsl} }, the record says { ${inRecord} }`;
}

/** What a matrix that the host declares lacks in the record or in the text, or null. */
function matrixDrift(kernel: Kernel, name: string, source: string): string | null {
  const what = kernel.bindings[name]!.kind === "operand" ? "operand" : "result";
  if (kernel.params[`${name}_cols`] !== "u32") {
    return `${what} "${name}" needs a parameter "${name}_cols": "u32"`;
  }
  const access = `${what === "operand" ? "load" : "store"}_${name}`;
  if (source.includes(`${access}(`)) return null;
  return `${what} "${name}" is never ${what === "operand" ? "loaded" : "stored"} by ${access}()`;
}

function wantedDeclaration(binding: Exclude<Binding, OperandBinding>): { space: string; types: RegExp } {
  if (binding.kind === "texture") return { space: "", types: /^texture_storage_2d<rgba32float, ?write>$/ };
  const types = binding.elem === "atomic"
    ? /^array<atomic<u32>>$/
    : binding.elem === "f32"
    ? /^array<(f32|vec4f)>$/
    : /^array<(u32|i32)>$/;
  return { space: binding.kind === "read" ? "storage read" : "storage read_write", types };
}
