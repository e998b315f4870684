/**
 * The doctor's report as lines of text.
 *
 * @module
 */
import type { AdapterFacts, DoctorReport, EngineFacts } from "./doctor_examine.ts";
import { formatBytes, formatCount, formatFigures } from "./format.ts";
import type { Paint } from "./paint.ts";

/** Features that the engine uses where they are there. */
const USED_FEATURES: Readonly<Record<string, string>> = { "timestamp-query": "time by kernel" };

/** The report for people. Rows begin with what they are about, once. */
export function formatDoctor(report: DoctorReport, paint: Paint): string {
  const { machine, adapters, engine, problems } = report;
  const lines = [
    ...rows("lowrank", [report.lowrank]),
    ...rows("runtime", [machine.runtime]),
    ...rows("platform", [machine.platform]),
    ...rows("memory", [
      `${formatBytes(machine.memory.totalBytes)}, ${formatBytes(machine.memory.availableBytes)} available`,
    ]),
    ...rows("webgpu", [machine.webgpu ? "navigator.gpu is there" : "none"]),
    ...vulkanRows(machine),
    ...adapters.flatMap((adapter) => adapterRows(adapter, paint)),
    ...(engine ? engineRows(engine) : []),
    ...(problems.length === 0 ? rows("problems", ["none"]) : []),
    ...problems.map(({ what, cure }) => `${paint("red", "problem:")} ${what}: ${cure}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function rows(label: string, texts: readonly string[]): string[] {
  return texts.map((text, i) => `${(i === 0 ? label : "").padEnd(10)} ${text}`);
}

function vulkanRows({ os, vulkan, nvidiaVersion, deviceFiles }: DoctorReport["machine"]): string[] {
  if (os !== "linux") return [];
  const drivers = vulkan.drivers.map(({ file, library, present }) =>
    `${file}: ${library ?? "cannot be read"}${library && !present ? " (MISSING)" : ""}`
  );
  const devices = deviceFiles === null
    ? ["not looked for, as Deno shows /dev with --allow-all only"]
    : deviceFiles.length > 0
    ? [deviceFiles.join(", ")]
    : [];
  return [
    ...rows("vulkan", [`loader ${vulkan.loader ?? "not found"}`, ...drivers]),
    ...(drivers.length === 0 ? rows("", ["no driver files"]) : []),
    ...(nvidiaVersion ? rows("driver", [`NVIDIA ${nvidiaVersion}`]) : []),
    ...rows("devices", devices),
  ];
}

function adapterRows(adapter: AdapterFacts, paint: Paint): string[] {
  const { name, software, used, powerPreferences, limits, features } = adapter;
  const asked = powerPreferences.join(" and ");
  return [
    ...rows("adapter", [
      `${paint("bold", name)}, for ${asked}${used ? ", used" : ""}`,
      ...(software
        ? [paint("yellow", "!! SOFTWARE ADAPTER: this computes on the CPU, far slower than a GPU would")]
        : []),
    ]),
    ...rows(
      "limits",
      limits.map(({ name, value, webgpuDefault, reason }) => {
        const show = name.endsWith("Size") ? formatBytes : formatCount;
        return `${name} ${show(value)} (WebGPU's default ${show(webgpuDefault)}): ${reason}`;
      }),
    ),
    ...rows("features", [
      ...Object.entries(USED_FEATURES).map(([feature, use]) =>
        `${feature} ${features.includes(feature) ? "is there" : "is missing"}: ${use}`
      ),
      `not needed: ${features.filter((feature) => !USED_FEATURES[feature]).join(" ") || "none"}`,
    ]),
  ];
}

function engineRows({ variants, matmul: { size, gigaflops, worstError } }: EngineFacts): string[] {
  const { median, least, most } = gigaflops;
  return [
    ...rows("variants", [variants]),
    ...rows("matmul", [
      `${size} x ${size} x ${size} f32: ${formatFigures(median)} GFLOP/s ` +
      `(median of 5 batches, ${formatFigures(least)} to ${formatFigures(most)})`,
      `checked against f64: largest error ${worstError.toPrecision(2)} of what rounding explains`,
    ]),
  ];
}
