/**
 * What a run has made, for download: whole, in the forms that other programs read, and file by file.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { GgufModelType } from "../../src/export/gguf_model.ts";
import type { ViewProps } from "../app.tsx";
import { byteSize, percent } from "../figures.ts";
import type { RunDownloads } from "../page/run_downloads.ts";
import type { RunState } from "../page/run_state.ts";
import { Problem } from "./problem.tsx";

/** Element types of a GGUF file, the usual first. */
const GGUF_TYPES: readonly GgufModelType[] = ["F16", "Q8_0", "BF16", "F32"];

interface DownloadProps {
  readonly downloads: RunDownloads;
  readonly run: string;
  /** Of which checkpoint; null for the adapter that is saved. */
  readonly checkpoint: number | null;
}

function Downloads({ downloads, run, checkpoint }: DownloadProps) {
  const type = useSignal<GgufModelType>("F16"), disabled = downloads.making.value !== null;
  return (
    <div class="actions even">
      <button
        id="save-adapter"
        type="button"
        disabled={disabled}
        onClick={() => void downloads.adapter(run, checkpoint)}
      >
        Adapter (PEFT, zip)
      </button>
      <button
        id="save-merged"
        type="button"
        class="second"
        disabled={disabled}
        onClick={() => void downloads.merged(run, checkpoint)}
      >
        Merged model (safetensors, zip)
      </button>
      <span class="joined">
        <button
          id="save-gguf"
          type="button"
          class="second"
          disabled={disabled}
          onClick={() => void downloads.gguf(run, checkpoint, type.value)}
        >
          GGUF
        </button>
        <select
          id="gguf-type"
          aria-label="Element type of the GGUF file"
          value={type.value}
          onChange={({ currentTarget }) =>
            type.value = GGUF_TYPES.find((one) => one === currentTarget.value)!}
        >
          {GGUF_TYPES.map((one) => <option key={one} value={one}>{one}</option>)}
        </select>
      </span>
      <button
        id="save-metrics"
        type="button"
        class="second quiet"
        disabled={disabled}
        onClick={() => void downloads.metrics(run)}
      >
        Metrics (CSV)
      </button>
    </div>
  );
}

/** What is being made, or was made last. */
function Course({ downloads }: { downloads: RunDownloads }) {
  const making = downloads.making.value, made = downloads.made.value;
  if (!making) return made === "" ? null : <p id="download-made" class="soft" role="status">{made}</p>;
  const { what, progress } = making;
  return (
    <div class="making" role="status">
      <span>
        Making {what}
        {progress &&
          `: ${byteSize(progress.bytes)} of ${byteSize(progress.totalBytes)}, ${
            percent(progress.bytes / (progress.totalBytes || 1))
          }`}
      </span>
      <button type="button" class="second quiet small" onClick={() => downloads.cancel()}>Cancel</button>
    </div>
  );
}

export function RunFiles({ session: { downloads }, run }: ViewProps & { run: RunState }) {
  const { files, checkpoints, hasAdapter } = run.holdings.value;
  if (files.length === 0) return null;
  const last = checkpoints.at(-1)?.step ?? null, checkpoint = hasAdapter ? null : last;
  const problem = downloads.problem.value;
  return (
    <section id="made" class="card" aria-labelledby="made-title">
      <h2 id="made-title">Download</h2>
      <p id="verdict">
        {hasAdapter
          ? run.verdict.value
          : last !== null && `Not saved yet: these are of the checkpoint after step ${last}.`}
      </p>
      {(hasAdapter || last !== null) && (
        <Downloads downloads={downloads} run={run.name} checkpoint={checkpoint} />
      )}
      <Course downloads={downloads} />
      {problem && <Problem id="download-problem" title="The file cannot be made" problem={problem} />}
      <details>
        <summary>Single files</summary>
        <ul id="files" class="files">
          {files.map(({ path, bytes }) => (
            <li key={path}>
              <button type="button" class="link" onClick={() => void downloads.file(run.name, path)}>
                {path}
              </button>
              <span class="soft">{byteSize(bytes)}</span>
            </li>
          ))}
        </ul>
      </details>
    </section>
  );
}
