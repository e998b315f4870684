/**
 * A run of the list: what it was, how it went, and what can be done with it.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { ViewProps } from "../app.tsx";
import { ago, byteSize, clock, count, counted } from "../figures.ts";
import { shortLoss } from "../loss_summary.ts";
import { titleOf, writeOption } from "../page/option_text.ts";
import type { RunEntry, RunGlance } from "../protocol/runs.ts";
import { ConfirmButton } from "./confirm_button.tsx";
import { modelName } from "./model_card.tsx";
import { Sparkline } from "./sparkline.tsx";

/** Differing settings that are named. */
const MOST_SETTINGS = 4;

/** Whether a run is among those to compare. */
interface Choice {
  readonly isChosen: boolean;
  /** Whether one more can be chosen. */
  readonly isPossible: boolean;
  readonly onChoose: (isChosen: boolean) => void;
}

interface RowProps extends ViewProps {
  readonly entry: RunEntry;
  readonly glance: RunGlance | null;
  /** Names of the settings that the listed runs differ in. */
  readonly differing: readonly string[];
  /** Null where there is nothing to compare with. */
  readonly choice: Choice | null;
}

/** An option's value as it is written in lists. */
export function settingText(value: unknown): string {
  const kind = typeof value === "object" && value !== null && !Array.isArray(value) ? "pairs" : "text";
  return writeOption({ kind }, value) || "none";
}

/** Name of the training data by its paths. */
export function dataName(path: unknown): string {
  const names = [path].flat().map((one) => String(one).slice(String(one).lastIndexOf("/") + 1));
  return names.length > 1 ? `${names[0]} and ${names.length - 1} more` : names[0]!;
}

function Settings({ config, differing }: { config: RunEntry["config"]; differing: readonly string[] }) {
  const shown = differing.slice(0, MOST_SETTINGS), more = differing.length - shown.length;
  if (shown.length === 0) return null;
  const texts = shown.map((name) => `${titleOf(name)} ${settingText(config[name])}`);
  return <small>{[...texts, ...(more > 0 ? [`${more} more differ`] : [])].join(" · ")}</small>;
}

function Outcome({ entry, glance, isRunning }: Pick<RowProps, "entry" | "glance"> & { isRunning: boolean }) {
  const { status, steps, totalSteps, evalLossBefore, evalLossAfter } = entry;
  const after = evalLossAfter ?? glance?.bestEvaluation?.loss ?? null, last = glance?.lastLoss ?? null;
  const state = isRunning
    ? "running"
    : status === "running"
    ? "interrupted"
    : status === "cancelled"
    ? "paused"
    : status;
  const took = glance && glance.seconds > 0 ? ` in ${clock(glance.seconds)}` : "";
  return (
    <div>
      <span>
        {after !== null
          ? (
            <>
              Evaluation loss <b class="number">{shortLoss(after)}</b>
            </>
          )
          : last !== null
          ? (
            <>
              Loss <b class="number">{shortLoss(last)}</b>
            </>
          )
          : "No loss yet"}
        {after !== null && evalLossBefore !== null && (
          <span class="soft">{` from ${shortLoss(evalLossBefore)}`}</span>
        )}
      </span>
      <small>
        <span class={`state ${state}`}>{state}</span> {count(steps)} of {counted(totalSteps, "step")}
        {took}
        {glance && ` · ${byteSize(glance.bytes)}`}
      </small>
    </div>
  );
}

interface RenameProps {
  readonly name: string;
  readonly onName: (name: string) => void;
  readonly onCancel: () => void;
}

function Rename({ name, onName, onCancel }: RenameProps) {
  const text = useSignal(name);
  return (
    <form
      class="one-line rename"
      onSubmit={(event) => {
        event.preventDefault();
        onName(text.value.trim());
      }}
      onKeyDown={({ key }) => key === "Escape" && onCancel()}
    >
      <input
        type="text"
        autocomplete="off"
        spellcheck={false}
        aria-label={`New name of the run ${name}`}
        ref={(input) => {
          if (input && document.activeElement !== input && text.peek() === name) input.select();
        }}
        value={text.value}
        onInput={({ currentTarget }) => text.value = currentTarget.value}
      />
      <button type="submit" class="second small" disabled={text.value.trim() === ""}>Rename</button>
      <button type="button" class="second quiet small" onClick={onCancel}>Cancel</button>
    </form>
  );
}

export function HistoryRow({ session, entry, glance, differing, choice }: RowProps) {
  const { name, startedAt, baseModel, config } = entry, renaming = useSignal(false);
  const isRunning = session.running.value?.name === name;
  return (
    <li data-run={name}>
      {choice && (
        <input
          type="checkbox"
          class="choose"
          aria-label={`Compare the run ${name}`}
          checked={choice.isChosen}
          disabled={!choice.isChosen && !choice.isPossible}
          onChange={({ currentTarget }) => choice.onChoose(currentTarget.checked)}
        />
      )}
      <div class="what">
        {renaming.value
          ? (
            <Rename
              name={name}
              onName={(next) => {
                renaming.value = false;
                void session.rename(name, next);
              }}
              onCancel={() => renaming.value = false}
            />
          )
          : <a class="run-name" href={`#/run/${encodeURIComponent(name)}`}>{name}</a>}
        <small>
          {modelName(baseModel)} · {dataName(config.training_data_path)} ·{" "}
          <time dateTime={startedAt}>{ago(new Date(startedAt), new Date())}</time>
        </small>
        <Settings config={config} differing={differing} />
      </div>
      <Sparkline values={glance?.spark ?? []} />
      <Outcome entry={entry} glance={glance} isRunning={isRunning} />
      <div class="actions">
        <button
          type="button"
          class="second quiet small"
          aria-label={`Use these settings: ${name}`}
          onClick={() => session.setUpAgain(entry)}
        >
          Use these settings
        </button>
        <button
          type="button"
          class="second quiet small"
          aria-label={`Rename ${name}`}
          disabled={isRunning || renaming.value}
          onClick={() => renaming.value = true}
        >
          Rename
        </button>
        <ConfirmButton
          isSmall
          label="Delete"
          about={name}
          question={`Delete for good${glance ? `, ${byteSize(glance.bytes)}` : ""}?`}
          disabled={isRunning}
          onConfirm={() => void session.remove(name)}
        />
      </div>
    </li>
  );
}
