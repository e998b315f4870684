/**
 * The doctor's report as lines of text.
 *
 * @module
 */
import type { AdapterFacts, DoctorReport, EngineFacts } from "./doctor_examine.ts";
import type { TunedProducts } from "./doctor_tuning.ts";
import { formatBytes, formatCount, formatFigures } from "./format.ts";
import type { Paint } from "./paint.ts";

/** Features that the engine uses where they are there. */
const USED_FEATURES: Readonly<Record<string, string>> = { "timestamp-query": "time by kernel" };

/** Products whose tiles are listed, the latest first: those of two models or batch sizes. */
const SHOWN_PRODUCTS = 8;
const UNTUNED = "nothing is measured yet: a run of some length does that, or doctor --retune";

/** The report for people. Rows begin with what they are about, once. */
export function formatDoctor(report: DoctorReport, paint: Paint): string {
  const { machine, adapters, engine, problems } = report;
  const lines = [
    ...rows("lowrank", [report.lowrank]),
    ...rows("runtime", [machine.runtime]),
    ...rows("platform", [machine.platform]),
    ...rows("memory", [
      `${formatBytes(machine.memory.totalBytes)}, ${formatBytes(machine.memory.availableBytes)} available` +
      (machine.memory.limitBytes === null ? "" : " (limited by the container or control group)"),
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
  const asked = powerPreferences.length === 0 ? "by its name alone" : `for ${powerPreferences.join(" and ")}`;
  return [
    ...rows("adapter", [
      `${paint("bold", name)}, ${asked}${used ? ", used" : ""}`,
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

function engineRows({ standing, variants, others, tuned, matmul }: EngineFacts): string[] {
  const { size, gigaflops: { median, least, most }, worstError } = matmul;
  const rest = tuned.length - SHOWN_PRODUCTS;
  return [
    ...rows("variants", [`${standing}: ${variants}`, `others for --variant: ${others.join(", ") || "none"}`]),
    ...rows(
      "tuned",
      tuned.length === 0 ? [UNTUNED] : [
        ...tuned.slice(0, SHOWN_PRODUCTS).map(tunedText),
        ...(rest > 0 ? [`and ${rest} more (--json lists all)`] : []),
      ],
    ),
    ...rows("matmul", [
      `${size} x ${size} x ${size} f32: ${formatFigures(median)} GFLOP/s ` +
      `(median of 5 batches, ${formatFigures(least)} to ${formatFigures(most)})`,
      `checked against f64: largest error ${worstError.toPrecision(2)} of what rounding explains`,
    ]),
  ];
}

/** Such as `x·wᵀ 256x1536x576 and 4 more, from texture: 32x12 at 19.2 GFLOP/s (16x8 15.9), 2026-11-24`. */
function tunedText({ formula, sizes, operands, tiles, measuredAt }: TunedProducts): string {
  const [best, ...others] = tiles;
  const slower = others.map(({ name, gigaflops }) => `${name} ${gigaflops.toFixed(1)}`).join(", ");
  return `${formula} ${sizes}, from ${operands}: ${best!.name} at ${best!.gigaflops.toFixed(1)} GFLOP/s` +
    `${slower ? ` (${slower})` : ""}, ${measuredAt.slice(0, 10)}`;
}
