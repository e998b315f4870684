/**
 * Models that are on the device, on their way there, or in buckets of the page's server.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { byteSize } from "../figures.ts";
import { BucketShelf, courseOf } from "../page/bucket_shelf.ts";
import type { JobInputs } from "../page/job_inputs.ts";
import type { PageSession } from "../page/session.ts";
import { BucketModels } from "./bucket_models.tsx";
import { KeptModels } from "./kept_models.tsx";
import { Problem } from "./problem.tsx";

export { BucketShelf };

/** What a view of models needs. */
export interface ModelStoreProps {
  readonly session: PageSession;
  readonly inputs: JobInputs;
  readonly shelf: BucketShelf;
}

interface ListedProps extends ModelStoreProps {
  /** Whether the models in buckets are shown. */
  readonly isListed: boolean;
}

/** What is on its way, and what ended the last one. */
function Course({ session, inputs, shelf, isListed }: ListedProps) {
  const download = shelf.download.value, problem = shelf.problem.value;
  const arrived = inputs.kept.value.find(({ uri }) => parentOf(uri) === shelf.arrived.value);
  const isShown = isListed && shelf.chosen.value === arrived?.source?.path; // and offered there
  const isOffered = arrived !== undefined && !isShown && session.form.value("base_model") !== arrived.uri;
  return (
    <>
      {/* it stands always: a region that comes with its words is not read out */}
      <div class={download || shelf.told.value === "" ? "unseen" : "making"}>
        <span id="download-told" role="status">{shelf.told.value}</span>
        {isOffered && (
          <button
            id="use-arrived"
            type="button"
            class="small"
            onClick={() => void inputs.chooseModel(arrived.uri)}
          >
            Use it
          </button>
        )}
      </div>
      {download && (
        <div id="model-download" class="making">
          <span class="live">Downloading {download.name}: {courseOf(download)}</span>
          <button
            id="cancel-model-download"
            type="button"
            class="second quiet small"
            onClick={() => shelf.cancel()}
          >
            Cancel
          </button>
          <progress
            {...(download.progress
              ? { value: download.progress.bytes, max: download.progress.totalBytes || 1 }
              : {})}
            aria-label={`Downloaded of ${download.name}`}
          />
        </div>
      )}
      {problem && <Problem id="download-problem" title="The download has ended" problem={problem} />}
    </>
  );
}

/** The folder of a kept model, of one in a GGUF file too. */
function parentOf(uri: string): string {
  return uri.split("/").slice(0, 3).join("/");
}

export function ModelStore({ isListed, ...props }: ListedProps) {
  const kept = props.inputs.kept.value;
  const bytes = kept.reduce((sum, model) => sum + model.bytes, 0);
  const isOpen = useSignal(false), unfinished = kept.filter(({ download }) => download !== null).length;
  useEffect(() => {
    if (unfinished > 0) isOpen.value = true;
  }, [unfinished]);
  return (
    <>
      {isListed && <BucketModels {...props} />}
      <Course {...props} isListed={isListed} />
      {kept.length > 0 && (
        <details
          id="kept-models"
          open={isOpen.value}
          onToggle={({ currentTarget }) => isOpen.value = currentTarget.open}
        >
          <summary>On this device: {kept.length} ({byteSize(bytes)})</summary>
          <KeptModels {...props} />
        </details>
      )}
    </>
  );
}
