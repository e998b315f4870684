/**
 * The report as one HTML file that asks for nothing from outside: style and script are in it, and its policy forbids
 * everything else.
 *
 * @module
 */
import { figures, percent } from "./figures.ts";
import { type Content, type Markup, markup, trusted } from "./markup.ts";
import { memoryChart, memoryTable } from "./page_memory.ts";
import sort from "./page_sort.js" with { type: "text" };
import style from "./page_style.css" with { type: "text" };
import { kernelTable, timeBars } from "./page_times.ts";
import { trainingCurves } from "./page_training.ts";
import type { ExplainReport, MicroBatchTimes } from "./report.ts";
import { table } from "./table.ts";

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** Writes the page. */
export function explainPage(report: ExplainReport): string {
  const { run, record, device, times } = report;
  const measured = report.madeAt.slice(0, 16).replace("T", " ");
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="color-scheme" content="light dark">
<title>${run}, explained</title>
<style>${trusted(style)}</style>
</head>
<body>
<header>
<h1>${run}, explained</h1>
<p>${record.base_model.path} (${record.base_model.model_type}), ${record.status} after
${record.steps} of ${record.total_steps} steps. Measured ${measured} UTC on ${device.name} by Lowrank ${report.lowrank}.</p>
</header>
<main>
${device.software ? softwareNote(device.name) : null}
${card("What ran where", facts(report))}
${times ? card("Time by kernel", [timesNote(times), timeBars(times)]) : card("Time", noTimes(device.name))}
${card("Memory over time", [memoryChart(report.memory), memoryTable(report.memoryRows)])}
${card("Training", trainingCurves(report.metrics))}
${times ? card("Every kernel and size", [tableNote(), kernelTable(times.bySize)]) : null}
${card("Options of the run", options(record.config))}
</main>
<script>${trusted(sort)}</script>
</body>
</html>
`;
  return page.text;
}

function card(title: string, content: Content): Markup {
  return markup`<section class="card"><h2>${title}</h2>${content}</section>`;
}

function softwareNote(name: string): Markup {
  return markup`<p class="card warning"><strong>Software adapter.</strong> “${name}” computes on the CPU: these times say
nothing about a GPU's.</p>`;
}

function facts({ record, device, choices, microBatch, times }: ExplainReport): Markup {
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
  return markup`<dl>${list.map(([term, text]) => markup`<div><dt>${term}</dt><dd>${text}</dd></div>`)}</dl>`;
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

function options(config: Readonly<Record<string, unknown>>): Markup {
  const rows = Object.entries(config).map(([name, value]) => [name, JSON.stringify(value) ?? ""]);
  return markup`<details><summary>As recorded in run.json</summary>${
    table({ headings: [], rows, texts: 2 })
  }</details>`;
}
