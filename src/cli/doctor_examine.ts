/**
 * What `doctor` finds: adapters, what the engine would choose on them, and what is wrong.
 *
 * @module
 */
import { chooseAdapter, describeAdapter, offeredAdapters } from "../gpu/adapters.ts";
import { LIMIT_WISHES, openGpu } from "../gpu/device.ts";
import { type AdapterKind, adapterKind, chooseVariants, variantFits, VARIANTS } from "../nn/variants.ts";
import type { Folder } from "../storage.ts";
import type { Work } from "../tuning/work.ts";
import { type MatmulRate, measureMatmul } from "../tuning/matmul_rate.ts";
import type { Machine } from "./doctor_machine.ts";
import { findProblems } from "./doctor_problems.ts";
import { retune, type TunedProducts, tunedProducts } from "./doctor_tuning.ts";

/** One adapter that WebGPU gives. */
export interface AdapterFacts {
  readonly name: string;
  /** True where it computes on the CPU. */
  readonly software: boolean;
  readonly vendor: string;
  readonly architecture: string;
  /** Whether the engine takes this one. */
  readonly used: boolean;
  /** What is asked for where it is given; none for one that is given by its name alone. */
  readonly powerPreferences: readonly GPUPowerPreference[];
  readonly limits: readonly LimitFacts[];
  readonly features: readonly string[];
}

/** A limit that the engine raises where it can. */
export interface LimitFacts {
  readonly name: string;
  readonly value: number;
  /** What every adapter grants. */
  readonly webgpuDefault: number;
  readonly reason: string;
}

/** What the engine does on the adapter that it takes. */
export interface EngineFacts {
  readonly adapter: string;
  /** The standing variant, of which runs start, and why it is. */
  readonly standing: AdapterKind;
  readonly variants: string;
  /** Other names that `--variant` takes here. */
  readonly others: readonly string[];
  /** What runs, or this command, have measured. */
  readonly tuned: readonly TunedProducts[];
  readonly matmul: MatmulRate;
  readonly timestamps: boolean;
}

/** Something to mend, and how. */
export interface Problem {
  readonly what: string;
  readonly cure: string;
}

/** All that doctor tells. */
export interface DoctorReport {
  readonly lowrank: string;
  readonly machine: Omit<Machine, "entry" | "env"> & { readonly webgpu: boolean };
  readonly adapters: readonly AdapterFacts[];
  /** Null where no adapter could be opened. */
  readonly engine: EngineFacts | null;
  readonly problems: readonly Problem[];
}

/** WebGPU's default limits, which every adapter grants. */
const WEBGPU_DEFAULTS = {
  maxBufferSize: 256 << 20,
  maxStorageBufferBindingSize: 128 << 20,
  maxTextureDimension2D: 8192,
} as const;

/** Which adapter is looked at, where its measurements are kept, and what to measure first. */
export interface TuningRequest {
  /** As `OpenGpuOptions.adapter`; default the one that runs take by themselves. */
  readonly gpu?: string | null;
  /** Null where there is none. */
  readonly folder: Folder | null;
  /** Null measures nothing. */
  readonly work: Work | null;
}

/** Looks at the machine and measures the adapter that the engine takes. Throws nothing: what fails is a problem. */
export async function examine(
  machine: Machine,
  version: string,
  tuning: TuningRequest = { folder: null, work: null },
): Promise<DoctorReport> {
  const { entry, env: _, ...told } = machine; // the environment may hold secrets
  const { gpu = null } = tuning, adapters = entry ? await findAdapters(entry, gpu) : [];
  let engine: EngineFacts | null = null, failure: Error | null = null;
  if (entry && adapters.length > 0) {
    try {
      engine = await tryEngine(entry, tuning);
    } catch (error) {
      failure = error as Error;
    }
  }
  return {
    lowrank: version,
    machine: { ...told, webgpu: entry !== undefined },
    adapters,
    engine,
    problems: findProblems(machine, adapters, failure, gpu !== null),
  };
}

/** All adapters; one that answers to several requests is one. */
async function findAdapters(entry: GPU, choice: string | null): Promise<AdapterFacts[]> {
  const found = new Map<string, AdapterFacts>();
  const used = await chooseAdapter(entry, choice ?? "high-performance").then(factsKey, () => null);
  for await (const { adapter, powerPreference } of offeredAdapters(entry)) {
    const key = factsKey(adapter), asked = found.get(key)?.powerPreferences ?? [];
    found.set(key, {
      ...factsOf(adapter),
      used: key === used,
      powerPreferences: powerPreference ? [...asked, powerPreference] : asked,
    });
  }
  return [...found.values()];
}

/** WebGPU tells no two adapters apart but by what they are. */
function factsKey(adapter: GPUAdapter): string {
  return JSON.stringify(factsOf(adapter));
}

function factsOf(adapter: GPUAdapter): Omit<AdapterFacts, "used" | "powerPreferences"> {
  const { vendor, architecture } = adapter.info;
  return {
    ...describeAdapter(adapter.info),
    vendor,
    architecture,
    limits: LIMIT_WISHES.map(({ name, reason }) => {
      return { name, value: adapter.limits[name], webgpuDefault: WEBGPU_DEFAULTS[name], reason };
    }),
    features: [...adapter.features].sort(),
  };
}

async function tryEngine(
  entry: GPU,
  { gpu: adapter = null, folder, work }: TuningRequest,
): Promise<EngineFacts> {
  const gpu = await openGpu({ entry, adapter });
  try {
    const variants = chooseVariants(gpu), standing = adapterKind(gpu);
    if (work) await retune(gpu, folder, work);
    return {
      adapter: gpu.name,
      standing,
      variants: variants.reason,
      others: Object.entries(VARIANTS).flatMap(([name, other]) =>
        name !== standing && variantFits(gpu, other) === null ? [name] : []
      ),
      tuned: await tunedProducts(gpu.name, folder),
      matmul: await measureMatmul(gpu, variants),
      timestamps: gpu.features.has("timestamp-query"),
    };
  } finally {
    gpu.close();
  }
}
