/**
 * What data files hold, as lines for the terminal.
 *
 * @module
 */
import type { TokenizedExample } from "../data/example.ts";
import { IGNORE_INDEX } from "../data/mask.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { DataCheck, ShownRow, SourceCheck } from "../data_manager.ts";
import { formatCount, formatShare } from "./format.ts";
import type { Paint } from "./paint.ts";

/** Characters of the longest bar. */
const BAR = 40;
/** Tokens of a shown row. */
const SHOWN_TOKENS = 400;

/** How the check is shown. */
export interface CheckView {
  /** Null where characters were counted. */
  readonly tokenizer: Tokenizer | null;
  readonly maxLength: number;
  readonly paint: Paint;
}

/** Counts, lengths and rows. Bad lines are told as errors. */
export function formatCheck({ train, eval: held, heldOut, leaked }: DataCheck, view: CheckView): string {
  const lines = [
    ...sourceLines(train, view),
    ...(held ? ["", ...sourceLines(held, view)] : []),
    ...(heldOut === 0 ? [] : [
      "",
      row("held out", `${formatCount(heldOut)} rows to evaluate on`),
      row("", `${formatCount(leaked)} of them are also trained on`),
    ]),
    ...sampleLines(train.samples, view),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function row(label: string, text: string): string {
  return `${label.padEnd(9)} ${text}`.trimEnd();
}

function sourceLines(source: SourceCheck, { tokenizer, maxLength, paint }: CheckView): string[] {
  const { report, blankLines, badLines, skippable, repeats, lengths, warnings } = source;
  const { file, formats, sha256, rows, kept, cut, dropped, tokens, trainedTokens, lostTokens } = report;
  const { skipped, skippedLines } = report;
  const bad = badLines === 0
    ? "none bad"
    : paint("red", `${formatCount(badLines)} bad${skipped > 0 ? ", left out" : ""}`);
  const unit = tokenizer ? "tokens" : "characters";
  const spread = `half have up to ${formatCount(lengths.quantile(0.5))}, 95 % up to ` +
    `${formatCount(lengths.quantile(0.95))}, the longest ${formatCount(lengths.longest)}`;
  return [
    row("data", paint("bold", file)),
    row("format", formats.join(", ") || "none"),
    row(
      "rows",
      `${formatCount(rows)} usable, ${bad}, ${formatCount(blankLines)} blank, ${
        formatCount(repeats)
      } repeated`,
    ),
    ...(skippable > 0 && skipped === 0
      ? [row("", `${formatCount(skippable)} of the bad ones would be left out with --on-bad-line skip`)]
      : []),
    ...(skipped > 0 ? skippedLines.map(({ line, message }) => row("", `line ${line}: ${message}`)) : []),
    row("sha256", sha256),
    ...(tokenizer
      ? [
        row("tokens", `${formatCount(tokens)} in ${formatCount(kept)} rows`),
        row("trained", `${formatCount(trainedTokens)} tokens, ${formatShare(trainedTokens, tokens)}`),
        row(
          "cut",
          `${formatCount(cut)} rows at max_length ${maxLength}, losing ${
            formatCount(lostTokens)
          } trained tokens; ${formatCount(dropped)} rows left out`,
        ),
      ]
      : []),
    ...(lengths.rows === 0 ? [] : [row("lengths", `in ${unit}: ${spread}`), ...bars(source)]),
    ...warnings.map((warning) => row(paint("yellow", "warning"), ` ${warning}`)),
  ];
}

function bars({ lengths }: SourceCheck): string[] {
  const ranges = lengths.histogram();
  const most = Math.max(...ranges.map(({ rows }) => rows));
  const labels = ranges.map(({ from, to }) => `${formatCount(from)}-${formatCount(to)}`);
  const width = Math.max(...labels.map(({ length }) => length));
  return ranges.map(({ rows }, i) =>
    row(
      "",
      `${labels[i]!.padStart(width)} ${"#".repeat(Math.ceil(BAR * rows / most)).padEnd(BAR)} ${
        formatCount(rows)
      }`,
    )
  );
}

/** Rows as the model sees them; what is trained is coloured and between « and ». */
function sampleLines(samples: readonly ShownRow[], { tokenizer, paint }: CheckView): string[] {
  if (!tokenizer || samples.length === 0) return [];
  return [
    "",
    `The first rows as they are trained: the loss counts what stands between ${paint("cyan", "«")} and ${
      paint("cyan", "»")
    }.`,
    ...samples.flatMap(({ example, length }, i) => {
      const kept = example.inputIds.length, cut = kept < length ? `, cut of ${length}` : "";
      return ["", row(`row ${i + 1}`, `${kept} tokens${cut}`), ...shown(example, tokenizer, paint)];
    }),
  ];
}

function shown({ inputIds, labels }: TokenizedExample, tokenizer: Tokenizer, paint: Paint): string[] {
  const end = Math.min(inputIds.length, SHOWN_TOKENS);
  let text = "";
  for (let start = 0; start < end;) {
    const trained = labels[start] !== IGNORE_INDEX;
    let stop = start + 1;
    while (stop < end && (labels[stop] !== IGNORE_INDEX) === trained) stop++;
    const piece = tokenizer.decode([...inputIds.subarray(start, stop)]);
    text += trained ? `«${piece}»` : piece;
    start = stop;
  }
  if (end < inputIds.length) text += ` ... ${inputIds.length - end} tokens more`;
  // a colour ends with its line, so that what is printed after never inherits it
  let inside = false;
  return text.split("\n").map((line) =>
    line.split(/(?=«)|(?<=»)/).map((piece) => {
      if (piece.startsWith("«")) inside = true;
      const painted = piece === "" ? "" : paint(inside ? "cyan" : "dim", piece);
      if (piece.endsWith("»")) inside = false;
      return painted;
    }).join("")
  );
}
