/**
 * Which base model, what it is, and whether the run fits.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { JobForm } from "../page/job_form.ts";
import type { JobInputs } from "../page/job_inputs.ts";
import { pickedFiles } from "../page/picking.ts";
import type { PageSession } from "../page/session.ts";
import { isTunedOnServer, serverModelId } from "../server_model.ts";
import { BucketModelsButton, LazyModelStore } from "./lazy_model_store.tsx";
import { ModelFactsList } from "./model_facts.tsx";
import { Problem } from "./problem.tsx";

interface CardProps {
  readonly session: PageSession;
  readonly form: JobForm;
  readonly inputs: JobInputs;
}

function sourceOf(uri: string): string {
  if (isTunedOnServer(uri)) return "fine-tuned, on the server";
  if (serverModelId(uri) !== null) return "on the server";
  if (uri.startsWith("device/")) return "on this device";
  return uri.startsWith("picked/") ? "picked, for this visit" : "bundled";
}

/** The name of a model by its path, without where it lies. */
export function modelName(uri: string): string {
  return serverModelId(uri) ?? uri.replace(/^(device\/models|picked|models)\//, "");
}

function Picker({ session, inputs }: Pick<CardProps, "session" | "inputs">) {
  const keep = useSignal(false);
  const take = (input: HTMLInputElement) => {
    const picked = pickedFiles([...input.files ?? []]);
    input.value = ""; // or the same files, mended, would be no change
    if (picked) void inputs.takeModel(picked, keep.value);
  };
  return (
    <div class="actions">
      <label class="button second quiet">
        Choose a folder
        <input
          id="model-folder"
          class="unseen"
          type="file"
          multiple
          {...{ webkitdirectory: true }}
          onChange={({ currentTarget }) => take(currentTarget)}
        />
      </label>
      <label class="button second quiet">
        Choose a GGUF file
        <input
          id="model-file"
          class="unseen"
          type="file"
          accept=".gguf"
          onChange={({ currentTarget }) => take(currentTarget)}
        />
      </label>
      <BucketModelsButton session={session} />
      <label class="check">
        <input
          id="keep-model"
          type="checkbox"
          checked={keep.value}
          onChange={({ currentTarget }) => keep.value = currentTarget.checked}
        />{" "}
        keep a copy on this device
      </label>
    </div>
  );
}

export function ModelCard({ session, form, inputs }: CardProps) {
  const { value: facts, problem, waiting } = inputs.model.value, uri = String(form.value("base_model"));
  return (
    <section class="card" aria-labelledby="model-title" aria-busy={waiting}>
      <div class="title">
        <h2 id="model-title">Model</h2>
        <select
          id="model"
          class="narrow"
          aria-label="Base model"
          value={uri}
          onChange={({ currentTarget }) => void inputs.chooseModel(currentTarget.value)}
        >
          {[...new Set([...inputs.models.value, uri])].map((one) => (
            <option key={one} value={one}>{modelName(one)} ({sourceOf(one)})</option>
          ))}
        </select>
      </div>
      {facts && <ModelFactsList id="model-facts" facts={facts} />}
      {isTunedOnServer(uri) && (
        <p class="soft">
          <small>
            These are facts of its base. Going on from what the server trained is the server's alone.
          </small>
        </p>
      )}
      {waiting && !facts && <p class="soft">Reading the model.</p>}
      {problem && <Problem id="model-problem" title="This model cannot be used" problem={problem} />}
      <Picker session={session} inputs={inputs} />
      <LazyModelStore session={session} inputs={inputs} />
      <p class="soft">
        <small>
          A folder with config.json, tokenizer.json and *.safetensors, as the Hub has them, or one GGUF file.
          Files are read where they lie.
        </small>
      </p>
    </section>
  );
}
