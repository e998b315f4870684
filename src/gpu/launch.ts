/**
 * What one launch of a kernel moves and computes, counted from its record; nothing is measured.
 *
 * @module
 */
import type { Constants, Kernel } from "./kernel.ts";
import type { CompiledKernel } from "./pipelines.ts";
import type { Dispatch } from "./program.ts";

/** A launch's sizes and work. */
export interface Launch {
  readonly kernel: string;
  /** Label of what it writes, such as `model.layers.3.mlp.up_proj.weight y`. */
  readonly output: string;
  /** Its whole-number parameters, as the kernel names them. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Tile and workgroup sizes that were baked into its text. */
  readonly constants: Constants;
  /** Where each of its operands is read from, and in which format where it is packed. */
  readonly sources: Readonly<Record<string, string>>;
  /**
   * The least that can go through memory: every bound tensor or texture once, and once more where a kernel reads what it
   * overwrites or adds to.
   */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Multiplications and additions; 0 for kernels that move more than they compute. */
  readonly flops: number;
}

/** Counts the work of a recorded launch. */
export function launchOf({ kernel, compiled, values, params, constants }: Dispatch): Launch {
  const sources: Record<string, string> = {};
  const touched: Readonly<Record<string, number | undefined>> = kernel.touched?.(params) ?? {};
  const both = readBackBy(kernel, compiled);
  let output = "", bytesRead = 0, bytesWritten = 0;
  for (const name of kernel.bindingNames) {
    const value = values[name]!;
    const { kind } = kernel.bindings[name]!;
    const bound = !("source" in value) ? value : value.source === "texture" ? value.texture : value.tensor;
    const bytes = Math.min(bound.bytes, touched[name] ?? Infinity);
    if ("source" in value) sources[name] = sourceName(value.source);
    if (kind === "read" || kind === "operand") bytesRead += bytes;
    else {
      output ||= bound.label;
      bytesWritten += bytes;
      if (both.has(name)) bytesRead += bytes;
    }
  }
  const flops = kernel.flops?.(params, constants) ?? 0;
  const sizes = Object.fromEntries(Object.entries(params).filter(([name]) => kernel.params[name] === "u32"));
  return { kernel: kernel.name, output, sizes, constants, sources, bytesRead, bytesWritten, flops };
}

function sourceName(source: string | { readonly name: string }): string {
  return typeof source === "string" ? source : source.name;
}

/** A program launches the same few kernels many times. */
const readBack = new WeakMap<CompiledKernel, ReadonlySet<string>>();

function readBackBy({ bindings, bindingNames }: Kernel, compiled: CompiledKernel): ReadonlySet<string> {
  let names = readBack.get(compiled);
  if (!names) {
    const written = bindingNames.filter((name) => bindings[name]!.kind === "write");
    names = new Set(written.filter((name) => readsBack(compiled.text, name)));
    readBack.set(compiled, names);
  }
  return names;
}

/** Whether WGSL reads elements of an array that it also writes: any use of `name[...]` other than `name[...] = `. */
export function readsBack(text: string, name: string): boolean {
  const code = text.replace(/\/\/.*$/gm, "");
  for (const { index, 0: found } of code.matchAll(new RegExp(`\\b${name}\\s*\\[`, "g"))) {
    let end = index + found.length;
    for (let depth = 1; depth > 0 && end < code.length; end++) {
      if (code[end] === "[") depth++;
      else if (code[end] === "]") depth--;
    }
    if (!/^(\.\w+)?\s*=(?!=)/.test(code.slice(end))) return true;
  }
  return false;
}
