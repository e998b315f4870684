/**
 * Lines of the data that cannot be used: why, what they say, and what becomes of them.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { DatasetIssue, LineExcerpt } from "../../src/errors.ts";
import { count, counted } from "../figures.ts";
import type { JobForm } from "../page/job_form.ts";
import type { DataFacts } from "../protocol/data.ts";

/** Lines that are listed until all are asked for. */
const FIRST_LINES = 5;

/** A line's text with the place that is wrong. */
function Excerpt({ excerpt: { text, before, after, at } }: { excerpt: LineExcerpt }) {
  const left = at === undefined ? text : text.slice(0, at), wrong = at === undefined ? "" : text.slice(at);
  const [marked = ""] = wrong;
  return (
    <pre tabIndex={0} aria-label="The line">
      {before > 0 && <small>{`… ${counted(before, "character")} before `}</small>}
      {left}
      {at !== undefined && <mark class="wrong">{marked.trim() === "" ? "ends here" : marked}</mark>}
      {wrong.slice(marked.length)}
      {after > 0 && <small>{` ${counted(after, "character")} more …`}</small>}
    </pre>
  );
}

function BadLine({ issue: { line, message, excerpt } }: { issue: DatasetIssue }) {
  const text = <>{line !== undefined && <b>{`line ${count(line)}: `}</b>}{message}</>;
  if (!excerpt) return <li>{text}</li>;
  return (
    <li>
      <details>
        <summary>{text}</summary>
        <Excerpt excerpt={excerpt} />
      </details>
    </li>
  );
}

/** What is wrong, and what can be done about it. */
function Verdict({ facts }: { facts: DataFacts }) {
  const { badLines, skipped, skippable, refused } = facts, lines = counted(badLines, "line");
  if (skipped > 0 && !refused) {
    return (
      <p role="status">
        {`${counted(skipped, "line")} cannot be used and ${skipped === 1 ? "is" : "are"} skipped.`}
      </p>
    );
  }
  return (
    <p role="alert" class="wrong">
      {lines} cannot be used. Correct {badLines === 1 ? "it" : "them"} in the file and choose it again
      {skippable === badLines && facts.rows > 0 ? `, or skip ${badLines === 1 ? "it" : "them"}.` : "."}
    </p>
  );
}

export function BadLines({ form, facts }: { form: JobForm; facts: DataFacts }) {
  const { issues, badLines, skippable, rows } = facts, isWhole = useSignal(false);
  if (badLines === 0) return null;
  const shown = isWhole.value ? issues : issues.slice(0, FIRST_LINES);
  return (
    <div id="bad-lines" class="bad">
      <Verdict facts={facts} />
      <ol tabIndex={0} aria-label="Bad lines">
        {shown.map((issue, i) => <BadLine key={i} issue={issue} />)}
      </ol>
      {issues.length > FIRST_LINES && (
        <button
          id="all-bad-lines"
          type="button"
          class="second quiet small"
          aria-expanded={isWhole.value}
          onClick={() => isWhole.value = !isWhole.value}
        >
          {isWhole.value ? "Show fewer" : `Show all ${count(badLines)}`}
        </button>
      )}
      {skippable > 0 && rows > 0 && (
        <label class="check">
          <input
            id="skip-bad-lines"
            type="checkbox"
            checked={form.value("on_bad_line") === "skip"}
            onChange={({ currentTarget }) =>
              form.set({ on_bad_line: currentTarget.checked ? "skip" : undefined })}
          />{" "}
          Skip bad lines and train on the rest
        </label>
      )}
    </div>
  );
}
