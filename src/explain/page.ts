/**
 * The report as a page.
 *
 * @module
 */
import { figures, percent } from "../html/figures.ts";
import { type Content, type Markup, markup } from "../html/markup.ts";
import { card, facts, htmlPage } from "../html/page.ts";
import { memoryChart, memoryTable } from "./page_memory.ts";
import sort from "./page_sort.js" with { type: "text" };
import { kernelTable, timeBars } from "./page_times.ts";
import { optionsTable, trainingCurves } from "../logs/training_curves.ts";
import type { ExplainReport, MicroBatchTimes } from "./report.ts";

/** Writes the page. */
export function explainPage(report: ExplainReport): string {
  const { run, record, device, times } = report;
  const measured = report.madeAt.slice(0, 16).replace("T", " ");
  return htmlPage({
    title: `${run}, explained`,
    introduction: markup`${record.base_model.path} (${record.base_model.model_type}), ${record.status} after
${record.steps} of ${record.total_steps} steps. Measured ${measured} UTC on ${device.name} by Lowrank ${report.lowrank}.`,
    cards: [
      device.software ? softwareNote(device.name) : null,
      card("What ran where", whatRan(report)),
      times
        ? card("Time by kernel", [timesNote(times), timeBars(times)])
        : card("Time", noTimes(device.name)),
      card("Memory over time", [memoryChart(report.memory), memoryTable(report.memoryRows)]),
      card("Training", trainingCurves(report.metrics)),
      times ? card("Every kernel and size", [tableNote(), kernelTable(times.bySize)]) : null,
      card("Options of the run", optionsTable(record.config)),
    ],
    script: sort,
  });
}

function softwareNote(name: string): Markup {
  return markup`<p class="card warning"><strong>Software adapter.</strong> “${name}” computes on the CPU: these times say
nothing about a GPU's.</p>`;
}

function whatRan({ record, device, choices, microBatch, times }: ExplainReport): Markup {
  const { rows, length, recomputedBlocks } = microBatch;
  const { name, software } = record.adapter;
  const list: [string, Content][] = [
    ["adapter", `${device.name}${device.software ? " (software)" : ""}`],
    ["driver", device.driver ?? "not told by WebGPU"],
    ["runtime", `${device.runtime}, ${device.platform}`],
    ["the run's adapter", name === device.name ? "the same" : `${name}${software ? " (software)" : ""}`],
    ["variants", choices.join("; ")],
    [
      "parameters",
      `${record.base_model.parameters.toLocaleString("en-US")}, of which ` +
      `${record.base_model.trainable_parameters.toLocaleString("en-US")} trained`,
    ],
    [
      "micro-batch",
      `${rows} × ${length} tokens, every one trained` +
      (recomputedBlocks > 0 ? `; ${recomputedBlocks} blocks computed again in backward` : ""),
    ],
    ...(times ? timeFacts(times, rows * length) : []),
  ];
  return facts(list);
}

function timeFacts(
  { wallMs, kernelMs, roofline, roofShare }: MicroBatchTimes,
  tokens: number,
): [string, Content][] {
  const { gigaflops, matmulSize, gigabytes } = roofline;
  return [
    ["forward and backward", `${figures(wallMs)} ms, ${figures(tokens / wallMs * 1000)} tokens/s`],
    ["in kernels", `${figures(kernelMs)} ms, ${percent(roofShare)} of the roofline`],
    ["best product", `${figures(gigaflops)} GFLOP/s, f32, ${matmulSize} × ${matmulSize} × ${matmulSize}`],
    ["copy", `${figures(gigabytes)} GB/s, read and written`],
  ];
}

function timesNote({ profiles }: MicroBatchTimes): Markup {
  return markup`<p class="quiet">One micro-batch, forward and backward, by the adapter's timestamps: the median of
${profiles}, each launch in a pass of its own. Copies and the optimizer are not among them. The strong part of a bar is the
least time that the roofline allows.</p>`;
}

function tableNote(): Markup {
  return markup`<p class="quiet">The roofline is the longer of operations over the adapter's best product rate and bytes over
its copy rate, both measured before. Below its share stands which of
the two is longer. Bytes count each tensor once, so that GB/s is a lower bound. Press a heading to sort.</p>`;
}

function noTimes(name: string): Markup {
  return markup`<p>“${name}” has no timestamp queries, so that the time of a kernel cannot be told. Plan and memory below do
not need them.</p>`;
}
