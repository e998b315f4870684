/**
 * `lowrank eval`: loss and exact answers of a model, before and after training.
 *
 * @module
 */
import { evaluateModel, type EvaluationEvent, type EvaluationOptions } from "../evaluation.ts";
import { isExact } from "../generate/exact_match.ts";
import { fileAt, type Folder, writeFile } from "../storage.ts";
import type { OpenStorage } from "../storage_manager.ts";
import { withBuckets } from "./bucket_folders.ts";
import { EVAL_FLAGS, evalHelp, evalRequest } from "./eval_flags.ts";
import { formatProgress, formatResult, formatSummary } from "./eval_text.ts";
import { type ParsedFlags, parseFlags } from "./flags.ts";
import { isOn, textOf } from "./generate_flags.ts";
import { dataFiles } from "./hub.ts";
import type { CliIo } from "./io.ts";
import { LiveLine } from "./live_line.ts";
import { finderFor } from "./model_source.ts";
import { openFolder } from "./open_folder.ts";
import { painter, wantsColor } from "./paint.ts";
import { partsOf } from "./plugin_parts.ts";

type FinishedEvent = Extract<EvaluationEvent, { type: "finished" }>;

/** What tests replace. */
export interface EvalOutside {
  readonly files?: (uri: string) => Folder;
  readonly open?: OpenStorage;
  readonly device?: EvaluationOptions["device"];
}

/** Lines of progress where there is no terminal: one for each of so many parts of the rows. */
const PLAIN_PARTS = 10;

/**
 * Measures and prints; writes the answers where that is asked for.
 *
 * @throws {ConfigError} For unknown flags and values that do not validate, before anything is read.
 * @throws As {@link evaluateModel}; `InterruptedError` after a signal.
 */
export async function evaluate(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "stderr" | "env" | "readTextFile" | "untilInterrupted" | "loadPlugins">,
  outside: EvalOutside = {},
): Promise<void> {
  const flags = parseFlags(args, EVAL_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(evalHelp());
  const { gpu: adapter, requireGpu, shown, ...request } = await evalRequest(flags, io);
  const files = outside.files ?? openFolder, out = textOf(flags, "out");
  const open = outside.open ?? partsOf(request.plugins).open;
  const read = { files: [request.dataPath, request.chatTemplatePath].flat(), folders: [request.adapter] };
  const readable = await withBuckets(files, read, open);
  await io.untilInterrupted(async (signal) => {
    const screen = new Screen(flags, io, shown);
    try {
      const events = evaluateModel({
        ...request,
        files: readable,
        dataFiles,
        ...finderFor(files, io.stderr, open, isOn(flags, "quiet")),
        signal,
        gpu: { adapter, requireHardware: requireGpu },
        ...(outside.device ? { device: outside.device } : {}),
      });
      for await (const event of events) {
        screen.show(event);
        if (event.type === "finished" && out !== null) await writeAnswers(event, out, files);
      }
    } finally {
      screen.close();
    }
    if (out !== null) screen.note(`answers: ${out}`);
  });
}

/** A JSON object a question: what was asked, expected and answered, and whether that is right. */
async function writeAnswers(
  { answers }: FinishedEvent,
  path: string,
  files: (uri: string) => Folder,
): Promise<void> {
  const right = (answer: string | null, expected: string) =>
    answer === null ? null : isExact(answer, expected);
  const lines = answers.map(({ row, prompt, expected, base, adapter }) =>
    JSON.stringify({
      row,
      prompt,
      expected,
      base,
      base_exact: right(base, expected),
      adapter,
      adapter_exact: right(adapter, expected),
    })
  );
  const { folder, name } = fileAt(files, path);
  await writeFile(folder, name, lines.map((line) => `${line}\n`).join(""));
}

/** Where events go for the flags given: one line of progress that is drawn again, or a few plain ones. */
class Screen {
  readonly #io: Pick<CliIo, "stdout" | "stderr">;
  readonly #line: LiveLine;
  readonly #paint: ReturnType<typeof painter>;
  readonly #json: boolean;
  readonly #quiet: boolean;
  readonly #live: boolean;
  readonly #shown: number;
  #part = "";

  constructor(flags: ParsedFlags, io: Pick<CliIo, "stdout" | "stderr" | "env">, shown: number) {
    this.#io = io;
    this.#json = isOn(flags, "json");
    this.#quiet = isOn(flags, "quiet");
    const sink = this.#json ? io.stderr : io.stdout;
    this.#line = new LiveLine((text) => sink.write(text));
    this.#live = sink.isTerminal && io.env.TERM !== "dumb";
    this.#paint = painter(wantsColor(textOf(flags, "color") ?? "auto", io.env, sink));
    this.#shown = shown;
  }

  show(event: EvaluationEvent): void {
    switch (event.type) {
      case "warning":
        return this.#line.line(`${this.#paint("yellow", "warning:")} ${event.message}`);
      case "phase":
        return this.note(event.message);
      case "started":
        if (!this.#quiet) formatSummary(event.summary, this.#paint).forEach((line) => this.#line.line(line));
        return;
      case "progress":
        if (!this.#quiet) this.#progress(event);
        return;
      case "finished":
        if (this.#json) this.#io.stdout.write(`${JSON.stringify(scoresOf(event), null, 2)}\n`);
        else formatResult(event, this.#shown, this.#paint).forEach((line) => this.#line.line(line));
    }
  }

  /** A line that --quiet leaves out. */
  note(text: string): void {
    if (!this.#quiet) this.#line.line(this.#paint("dim", text));
  }

  /** Ends an open line. */
  close(): void {
    this.#line.close();
  }

  #progress(event: Extract<EvaluationEvent, { type: "progress" }>): void {
    if (this.#live) {
      this.#line.redraw(formatProgress(event));
      return;
    }
    const part = `${event.of} ${event.metric} ${Math.floor(PLAIN_PARTS * event.done / event.total)}`;
    if (part !== this.#part) this.#line.line(formatProgress(event));
    this.#part = part;
  }
}

/** Scores without the answers, which `--out` writes. */
function scoresOf({ seconds, base, adapter, answers }: FinishedEvent) {
  return { questions: answers.length, base, adapter, seconds };
}
