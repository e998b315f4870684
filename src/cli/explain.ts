/**
 * `lowrank explain RUN`: where the time and the memory of a run go.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { explainPage } from "../explain/page.ts";
import { readRun, type RecordedRun } from "../explain/read_run.ts";
import type { DeviceFacts, ExplainReport } from "../explain/report.ts";
import { type Gpu, openGpu, requireHardware } from "../gpu/device.ts";
import { PipelineCache } from "../gpu/pipelines.ts";
import { RUN_FILE } from "../run_files.ts";
import { fileAt, writeFile } from "../storage.ts";
import { type Machine, thisMachine } from "./doctor_machine.ts";
import { EXPLAIN_FLAGS, explainHelp } from "./explain_flags.ts";
import { type ExplainDeps, explainRun } from "./explain_measure.ts";
import { formatExplain } from "./explain_text.ts";
import { type ParsedFlags, parseFlags } from "./flags.ts";
import { isOn, textOf } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";
import { finderFor } from "./model_source.ts";
import { openFolder } from "./open_folder.ts";
import { painter, wantsColor } from "./paint.ts";
import { partsOf } from "./plugin_parts.ts";
import { loadNamedPlugins } from "./sources.ts";

/** The page in a run's folder. */
const PAGE_FILE = "explain.html";

/** What tests replace. */
export interface ExplainOutside extends Partial<Omit<ExplainDeps, "baseModel">> {
  readonly machine?: () => Machine;
}

/**
 * Writes the page and prints the head of it, or prints the data as JSON.
 *
 * @throws {ConfigError} For wrong usage.
 * @throws {StorageNotFoundError} If the folder is not a run's or its base model is gone.
 * @throws {ModelFormatError} If the run's files or the model are damaged.
 * @throws {GpuUnavailableError} @throws {GpuMemoryError} If there is no usable GPU, or the run does not fit it.
 */
export async function explain(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "stderr" | "env" | "loadPlugins">,
  outside: ExplainOutside = {},
): Promise<void> {
  const flags = parseFlags(args, EXPLAIN_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(explainHelp());
  const run = runOf(flags), files = outside.files ?? openFolder;
  const recorded = await readRun(files(run));
  // a run is planned again with the plugins that it was started with
  const { plugins, parts } = await partsOfRun(recorded, io);
  const gpu = outside.gpu ?? await openGpu({ adapter: textOf(flags, "gpu") });
  let report: ExplainReport;
  try {
    if (isOn(flags, "require_gpu")) requireHardware(gpu);
    const pipelines = outside.pipelines ?? new PipelineCache(gpu);
    const deps = {
      ...finderFor(files, io.stderr, parts.open),
      ...outside,
      gpu,
      pipelines,
      files,
      plugins,
      baseModel: textOf(flags, "base_model"),
    };
    const measured = await explainRun(recorded, deps);
    report = { ...measured, device: deviceFacts(gpu, (outside.machine ?? thisMachine)()), madeAt: now() };
  } finally {
    if (!outside.gpu) await gpu.close();
  }
  const json = isOn(flags, "json"), out = textOf(flags, "out") ?? (json ? null : `${run}/${PAGE_FILE}`);
  if (out !== null) {
    const { folder, name } = fileAt(files, out);
    await writeFile(folder, name, explainPage(report));
  }
  if (json) return io.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  const paint = painter(wantsColor(textOf(flags, "color") ?? "auto", io.env, io.stdout));
  io.stdout.write(`${formatExplain(report, paint)}\n${paint("bold", `page: ${out}`)}\n`);
}

async function partsOfRun(
  { record: { config } }: RecordedRun,
  { loadPlugins }: Pick<CliIo, "loadPlugins">,
) {
  const plugins = await loadNamedPlugins(
    { flags: {}, env: {}, file: { path: RUN_FILE, options: config } },
    loadPlugins,
  );
  return { plugins, parts: partsOf(plugins) };
}

/** The one word on the command line. @throws {ConfigError} */
function runOf({ issues, positionals: [run, ...more] }: ParsedFlags): string {
  if (issues.length > 0) throw new ConfigError(issues);
  if (run === undefined) {
    throw new ConfigError([{ path: "RUN", message: "is missing: name the folder of a run" }]);
  }
  if (more.length > 0) {
    throw new ConfigError(more.map((word) => ({
      path: `"${word}"`,
      message: "is not expected: one run is explained at a time",
    })));
  }
  return run.replace(/(?<=.)\/+$/, "");
}

function deviceFacts({ name, software }: Gpu, { runtime, platform, nvidiaVersion }: Machine): DeviceFacts {
  const driver = nvidiaVersion && /nvidia/i.test(name) ? `NVIDIA ${nvidiaVersion}` : null;
  return { name, software, runtime, platform, driver };
}

function now(): string {
  return new Date().toISOString();
}
