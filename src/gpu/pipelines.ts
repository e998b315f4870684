/**
 * Compiled pipelines, kept by the final shader text. All of a program's pipelines compile in parallel.
 *
 * @module
 */
import type { Gpu } from "./device.ts";
import { type Binding, type Kernel, kernelText, type OperandSource, sourceName } from "./kernel.ts";
import { SHADER_STAGE_COMPUTE } from "./usage.ts";

/** A kernel made concrete: text, layout, and the pipeline when it is ready. */
export interface CompiledKernel {
  readonly name: string;
  readonly text: string;
  readonly layout: GPUBindGroupLayout;
  readonly pipeline: Promise<GPUComputePipeline>;
}

/**
 * Compiles each distinct text once per device.
 *
 * @internal
 */
export class PipelineCache {
  readonly #gpu: Gpu;
  readonly #compiled = new Map<string, CompiledKernel>();
  readonly #forms = new WeakMap<Kernel, Map<string, CompiledKernel>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Every kernel compiled so far. */
  get all(): readonly CompiledKernel[] {
    return [...this.#compiled.values()];
  }

  /** The compiled form for these operand sources and constants; starts compiling at the first request. */
  get(
    kernel: Kernel,
    sources: Readonly<Record<string, OperandSource>>,
    constants: Readonly<Record<string, number>>,
  ): CompiledKernel {
    // the text is long and asked for at every launch that is recorded: it is written once
    const form = formOf(sources, constants);
    let forms = this.#forms.get(kernel);
    if (!forms) this.#forms.set(kernel, forms = new Map());
    let compiled = forms.get(form);
    if (!compiled) forms.set(form, compiled = this.#compile(kernel, sources, constants));
    return compiled;
  }

  #compile(
    kernel: Kernel,
    sources: Readonly<Record<string, OperandSource>>,
    constants: Readonly<Record<string, number>>,
  ): CompiledKernel {
    const text = kernelText(kernel, sources, constants);
    let compiled = this.#compiled.get(text);
    if (!compiled) {
      const layout = this.#layoutOf(kernel, sources);
      const pipeline = compile(this.#gpu.device, kernel.name, text, layout);
      pipeline.catch(() => {}); // reported to whoever awaits it, which may be later
      compiled = { name: kernel.name, text, layout, pipeline };
      this.#compiled.set(text, compiled);
    }
    return compiled;
  }

  #layoutOf(kernel: Kernel, sources: Readonly<Record<string, OperandSource>>): GPUBindGroupLayout {
    const entries = kernel.bindingNames.map((name, binding) => ({
      binding,
      visibility: SHADER_STAGE_COMPUTE,
      ...layoutEntry(kernel.bindings[name]!, sources[name]),
    }));
    if (kernel.paramNames.length > 0) {
      entries.push({
        binding: entries.length,
        visibility: SHADER_STAGE_COMPUTE,
        buffer: { type: "uniform" },
      });
    }
    const key = JSON.stringify(entries);
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#gpu.device.createBindGroupLayout({ label: kernel.name, entries });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

/** What a kernel's text follows from. */
function formOf(
  sources: Readonly<Record<string, OperandSource>>,
  constants: Readonly<Record<string, number>>,
): string {
  const named = Object.entries(sources).map(([name, source]) => `${name}=${sourceName(source)}`);
  return [...named, ...Object.entries(constants).map(([name, value]) => `${name}=${value}`)].join();
}

function layoutEntry(binding: Binding, source: OperandSource | undefined): Partial<GPUBindGroupLayoutEntry> {
  if (binding.kind === "texture") return { storageTexture: { access: "write-only", format: "rgba32float" } };
  if (binding.kind === "write") return { buffer: { type: "storage" } };
  if (source === "texture") return { texture: { sampleType: "unfilterable-float" } };
  return { buffer: { type: "read-only-storage" } };
}

async function compile(
  device: GPUDevice,
  name: string,
  code: string,
  layout: GPUBindGroupLayout,
): Promise<GPUComputePipeline> {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label: name, code });
  const [invalid, info] = await Promise.all([device.popErrorScope(), module.getCompilationInfo()]);
  const errors = info.messages.filter((message) => message.type === "error");
  if (errors.length > 0 || invalid) throw new SyntaxError(describeErrors(name, code, errors, invalid));
  try {
    return await device.createComputePipelineAsync({
      label: name,
      layout: device.createPipelineLayout({ label: name, bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    });
  } catch (error) {
    throw new SyntaxError(
      `Cannot compile kernel "${name}": ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** The compiler's messages, each with the source lines around it. */
function describeErrors(
  name: string,
  code: string,
  errors: readonly GPUCompilationMessage[],
  invalid: GPUError | null,
): string {
  const lines = code.split("\n");
  const parts = errors.map(({ lineNum, linePos, message }) => {
    const from = Math.max(0, lineNum - 2);
    const shown = lines.slice(from, lineNum + 1).map((line, i) =>
      `  ${String(from + i + 1).padStart(4)} | ${line}`
    );
    return `${lineNum}:${linePos} ${message.trim()}\n${shown.join("\n")}`;
  });
  return `Cannot compile kernel "${name}": ${parts.join("\n") || invalid?.message}`;
}
