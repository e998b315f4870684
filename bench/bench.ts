/**
 * Measures this machine's adapter, alone or beside other libraries:
 *
 *     ./lowrank bench [--smollm2 HF_DIR] [--only kernels,step,memory,quantization,length,generate,startup]
 *     deno task bench:peers [--smollm2 HF_DIR] [--peft VENV_DIR] [--only matmul,mlp,step,...]
 *
 * `--quantization none|8bit|4bit|all` says what the part `quantization` compares, `--gguf FILE` adds that file's own format.
 * Writes `bench/results/<adapter>-alone.md` or `-peers.md` with its drawings, when nothing was left out; prints it always.
 * `--json FILE` keeps every number, `--rounds N` sets the rounds, `--quick` only shows that everything works.
 * Exit code 1 where a part failed.
 *
 * @module
 */
import { cpus, loadavg } from "node:os";
import { BENCH_FLAGS, benchHelp } from "../src/cli/bench_flags.ts";
import { thisMachine } from "../src/cli/doctor_machine.ts";
import { parseFlags } from "../src/cli/flags.ts";
import { isOn, textOf } from "../src/cli/generate_flags.ts";
import { quietMesa } from "../src/cli/quiet_mesa.ts";
import { ConfigError } from "../src/errors.ts";
import { type Gpu, openGpu } from "../src/gpu/device.ts";
import { chooseVariants, VARIANTS } from "../src/nn/variants.ts";
import { VERSION } from "../src/version.ts";
import { generationPart } from "./generation.ts";
import { kernelsPart } from "./kernels.ts";
import { lengthPart } from "./length.ts";
import { memoryPart } from "./memory.ts";
import { mlpContest } from "./mlp/contest.ts";
import { chosenParts, chosenQuantizations } from "./options.ts";
import type { BenchDevice, BenchOptions, Part } from "./part.ts";
import { productContest } from "./products/contest.ts";
import { quantizationPart } from "./quantization.ts";
import { type BenchHeading, formatResults, type PartOutcome, resultStem } from "./report.ts";
import { stepContest } from "./smollm2/contest.ts";
import { startupPart } from "./startup.ts";

const RESULTS = decodeURIComponent(new URL("./results/", import.meta.url).pathname);
const OURS: readonly Part[] = [
  kernelsPart,
  stepContest,
  memoryPart,
  quantizationPart,
  lengthPart,
  generationPart,
  startupPart,
];
const WITH_PEERS: readonly Part[] = [productContest, mlpContest, ...OURS.slice(1)];

const flags = readFlags();

function readFlags() {
  try {
    const parsed = parseFlags(Deno.args, BENCH_FLAGS);
    if (parsed.issues.length > 0) throw new ConfigError(parsed.issues);
    if (isOn(parsed, "help")) {
      console.log(benchHelp());
      Deno.exit(0);
    }
    const [word] = parsed.positionals;
    if (word !== undefined) usage(`takes no words beside its options: current value is "${word}"`);
    return {
      peers: isOn(parsed, "peers"),
      quick: isOn(parsed, "quick"),
      quantization: textOf(parsed, "quantization") ?? "all",
      rounds: textOf(parsed, "rounds") ?? "5",
      smollm2: textOf(parsed, "smollm2"),
      gguf: textOf(parsed, "gguf"),
      peft: textOf(parsed, "peft"),
      only: textOf(parsed, "only"),
      variant: textOf(parsed, "variant"),
      json: textOf(parsed, "json"),
    };
  } catch (error) {
    if (error instanceof ConfigError) usage(error.message);
    throw error;
  }
}

function usage(problem: string): never {
  console.error(`error: ${problem}`);
  Deno.exit(2);
}

async function measure(part: Part, device: BenchDevice, options: BenchOptions): Promise<PartOutcome> {
  console.error(`${part.name} ...`);
  const started = performance.now();
  const result = await part.measure(device, options).catch((error) => {
    return { failed: error instanceof Error ? error.message : String(error) };
  });
  const { name, title } = part;
  return { name, title, seconds: (performance.now() - started) / 1000, result };
}

function headingOf({ name, software }: Gpu, variants: string): BenchHeading {
  const { vulkan, nvidiaVersion, runtime } = thisMachine();
  const libraries = vulkan.drivers.flatMap(({ library }) => library?.split("/").at(-1) ?? []);
  const processors = cpus();
  const shown = Deno.args.filter((flag) => flag !== "--peers").map((flag) => flag.replace(/.*\//, ""));
  return {
    date: new Date().toISOString().slice(0, 10),
    lowrank: VERSION,
    adapter: name,
    software,
    variants,
    drivers: [...(nvidiaVersion ? [`NVIDIA ${nvidiaVersion}`] : []), ...libraries].join(", ") || "none found",
    cpu: `${processors.length} x ${processors[0]?.model ?? "unknown"}`,
    runtime,
    load: loadavg()[0]!,
    command: ["deno task", flags.peers ? "bench:peers" : "bench", ...shown].join(" "),
  };
}

const parts = chosenParts(flags.peers ? WITH_PEERS : OURS, flags.only ?? null);
if ("problem" in parts) usage(parts.problem);
const rounds = Number(flags.rounds);
if (!(Number.isInteger(rounds) && rounds >= 1)) {
  usage(`--rounds must be a whole number from 1: current value is "${flags.rounds}"`);
}
if (flags.variant !== null && !(flags.variant in VARIANTS)) {
  usage(`--variant must be one of ${Object.keys(VARIANTS).join(", ")}: current value is "${flags.variant}"`);
}
const quantizations = chosenQuantizations(flags.quantization) ??
  usage(`--quantization must be none, 8bit, 4bit or all: current value is "${flags.quantization}"`);
const options: BenchOptions = {
  rounds,
  quick: flags.quick,
  smollm2: flags.smollm2 ?? null,
  gguf: flags.gguf ?? null,
  quantizations,
  peft: flags.peers ? flags.peft ?? null : null,
  tunes: !flags.variant && !flags.quick,
};

quietMesa();
const gpu = await openGpu();
const variants = flags.variant ? VARIANTS[flags.variant as keyof typeof VARIANTS] : chooseVariants(gpu);
const heading = headingOf(gpu, variants.reason);
const outcomes: PartOutcome[] = [];
for (const part of parts.chosen) outcomes.push(await measure(part, { gpu, variants }, options));

const stem = resultStem(gpu.name, flags.peers ? "peers" : "alone");
const report = formatResults(heading, outcomes, stem);
console.log(report);
if (flags.json) {
  await Deno.writeTextFile(
    flags.json,
    JSON.stringify({ ...heading, rounds, quick: flags.quick, parts: outcomes }, null, 2),
  );
}
if (!flags.only && !flags.quick && !flags.variant) await writeResults();
Deno.exit(outcomes.some(({ result }) => "failed" in result) ? 1 : 0);

async function writeResults(): Promise<void> {
  const path = `${RESULTS}${stem}.md`;
  await Deno.writeTextFile(path, report);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", path] }).output(); // aligns its tables
  for (const { result } of outcomes) {
    if ("failed" in result) continue;
    for (const [name, svg] of Object.entries(result.drawings ?? {})) {
      await Deno.writeTextFile(`${RESULTS}${stem}-${name}`, svg);
    }
  }
  console.error(`written: ${path}`);
}
