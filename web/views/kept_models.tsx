/**
 * The models that are on the device, with what they take, and downloads that have not come to their end.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { byteSize } from "../figures.ts";
import { asPlain } from "../page/job_inputs.ts";
import type { KeptModel } from "../protocol/models.ts";
import type { PlainError } from "../protocol/plain_error.ts";
import { ConfirmButton } from "./confirm_button.tsx";
import { modelName } from "./model_card.tsx";
import type { ModelStoreProps } from "./model_store.tsx";
import { Problem } from "./problem.tsx";

interface RowProps extends ModelStoreProps {
  readonly model: KeptModel;
  readonly onProblem: (problem: PlainError | null) => void;
}

function Row({ session, inputs, shelf, model, onProblem }: RowProps) {
  const { uri, bytes, source, download } = model, name = modelName(uri);
  const isComing = source !== null && shelf.download.value?.path === source.path;
  const isTaken = session.busy.value && session.run.value?.config.base_model === uri;
  const isUsed = session.form.value("base_model") === uri;
  const remove = async () => {
    onProblem(null);
    await inputs.removeModel(uri).catch((error) => onProblem(asPlain(error)));
  };
  return (
    <li>
      <span class="grow">
        {name}
        <small>
          {isComing
            ? "downloading"
            : download
            ? `${byteSize(download.bytes)} of ${byteSize(download.totalBytes)} downloaded`
            : byteSize(bytes)}
          {source && ` · ${source.path}`}
        </small>
      </span>
      {download && source && session.server && !isComing && (
        <button
          type="button"
          class="second small"
          disabled={shelf.download.value !== null}
          aria-label={`Continue the download of ${name}`}
          onClick={() => void shelf.start(source.path, name)}
        >
          Continue
        </button>
      )}
      {!download && (
        <button
          type="button"
          class="second quiet small"
          disabled={isUsed}
          aria-label={isUsed ? `${name} is in use` : `Use ${name}`}
          onClick={() => void inputs.chooseModel(uri)}
        >
          {isUsed ? "In use" : "Use"}
        </button>
      )}
      <ConfirmButton
        label="Delete"
        question={`Delete ${name}?`}
        isSmall
        disabled={isComing || isTaken}
        onConfirm={() => void remove()}
      />
    </li>
  );
}

export function KeptModels(props: ModelStoreProps) {
  const problem = useSignal<PlainError | null>(null);
  return (
    <>
      <ul class="rows">
        {props.inputs.kept.value.map((model) => (
          <Row
            key={model.uri}
            {...props}
            model={model}
            onProblem={(found) => problem.value = found}
          />
        ))}
      </ul>
      {problem.value && <Problem title="The model was not deleted" problem={problem.value} />}
    </>
  );
}
