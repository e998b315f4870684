/**
 * The models in buckets of the page's server, one of which can be looked at before it is downloaded.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { byteSize } from "../figures.ts";
import type { Standing } from "../page/bucket_shelf.ts";
import type { BucketModel, BucketModelFacts } from "../protocol/models.ts";
import { ModelFactsList } from "./model_facts.tsx";
import type { ModelStoreProps } from "./model_store.tsx";
import { Problem } from "./problem.tsx";

/** How long the settings must stand before the run is planned anew, ms. */
const SETTLED_MS = 600;

const WORDS: Readonly<Record<Standing, string>> = {
  absent: "",
  begun: "partly on this device",
  here: "on this device",
  changed: "another version on this device",
};

/** Whether a run with the form's settings fits, as far as it is known. */
function Fit({ session, looked }: Pick<ModelStoreProps, "session"> & { looked: BucketModelFacts }) {
  const { plan, problem } = looked;
  if (plan) {
    const total = byteSize(plan.summary.memory.reduce((sum, { bytes }) => sum + bytes, 0));
    const limit = session.form.value("memory_limit_gb");
    return (
      <p id="bucket-model-fit">
        {typeof limit === "number"
          ? (
            <>
              <strong>Fits.</strong> A run needs {total} of the GPU's {byteSize(limit * 1e9)} of memory.
            </>
          )
          : <>A run needs {total} of GPU memory.</>}
      </p>
    );
  }
  if (problem?.name === "GpuMemoryError") {
    return (
      <p id="bucket-model-fit" class="wrong">
        <strong>Will not fit.</strong> {problem.message}
      </p>
    );
  }
  const why = problem?.message.split("\n")[0] ??
    (session.busy.value ? "a run is going on" : "the settings have mistakes");
  return <p id="bucket-model-fit" class="soft">Whether a run fits is not known yet: {why}</p>;
}

/** Says so where the browser has no room for what is to come; where it does not tell, nothing. */
function Room({ bytes }: { bytes: number }) {
  const free = useSignal(Infinity);
  useEffect(() => {
    void navigator.storage?.estimate?.().then(({ usage = 0, quota = Infinity }) =>
      free.value = quota - usage
    );
  }, [bytes]);
  if (bytes <= free.value) return null;
  return (
    <p class="wrong">
      The download needs {byteSize(bytes)}, and the browser gives this page{" "}
      {byteSize(Math.max(0, free.value))}: delete models or runs, or free disk space.
    </p>
  );
}

function Actions(
  { session, inputs, shelf, model, bytes }: ModelStoreProps & { model: BucketModel; bytes: number },
) {
  const { path, name, revision } = model, { state, kept } = shelf.standing(path, revision);
  const missing = state === "absent" ? bytes : kept?.download ? bytes - kept.download.bytes : 0;
  const isUsed = kept !== null && session.form.value("base_model") === kept.uri;
  const label = {
    absent: `Download ${byteSize(bytes)}`,
    begun: "Continue the download",
    here: "",
    changed: `Download this version, ${byteSize(bytes)}`,
  }[state];
  return (
    <>
      <Room bytes={missing} />
      <div class="actions">
        {label !== "" && (
          <button
            id="download-model"
            type="button"
            disabled={shelf.download.value !== null}
            onClick={() => void shelf.start(path, name)}
          >
            {label}
          </button>
        )}
        {kept && !kept.download && (
          <button
            id="use-model"
            type="button"
            class={state === "here" ? "" : "second quiet"}
            disabled={isUsed}
            onClick={() => void inputs.chooseModel(kept.uri)}
          >
            {isUsed ? "In use" : "Use this model"}
          </button>
        )}
      </div>
    </>
  );
}

function Look(props: ModelStoreProps & { model: BucketModel }) {
  const { session, shelf, model } = props, { value, problem, waiting } = shelf.look.value;
  const values = session.form.values.value, isBusy = session.busy.value;
  useEffect(() => {
    // what the run takes changes with its settings
    const timer = setTimeout(() => void shelf.choose(model.path), value ? SETTLED_MS : 0);
    return () => clearTimeout(timer);
  }, [shelf, model.path, values, isBusy]);
  return (
    <div id="bucket-model" class="look" aria-busy={waiting}>
      {value && <ModelFactsList id="bucket-model-facts" facts={value.facts} />}
      {value && <Fit session={session} looked={value} />}
      {waiting && !value && <p class="soft">Reading what it is.</p>}
      {problem && <Problem id="bucket-model-problem" title="This model cannot be used" problem={problem} />}
      {!problem && <Actions {...props} bytes={value?.downloadBytes ?? model.bytes} />}
    </div>
  );
}

function Offer(props: ModelStoreProps & { model: BucketModel }) {
  const { shelf, model } = props, { path, name, revision, bytes } = model;
  const isChosen = shelf.chosen.value === path, { state } = shelf.standing(path, revision);
  return (
    <li class={isChosen ? "chosen" : ""}>
      <button
        type="button"
        class="offer"
        aria-expanded={isChosen}
        onClick={() => {
          if (isChosen) void shelf.choose(null);
          else {
            shelf.look.value = { value: null, problem: null, waiting: true };
            shelf.chosen.value = path;
          }
        }}
      >
        <span class="grow">
          {name}
          <small>{path}</small>
        </span>
        <small>{[byteSize(bytes), WORDS[state]].filter(Boolean).join(" · ")}</small>
      </button>
      {isChosen && <Look {...props} />}
    </li>
  );
}

export function BucketModels(props: ModelStoreProps) {
  const { session, shelf } = props, { value, problem, waiting } = shelf.catalog.value;
  const places = session.server!.places.value;
  useEffect(() => void shelf.list(), [shelf, places]);
  return (
    <section id="bucket-models" class="sunken" aria-labelledby="bucket-models-title" aria-busy={waiting}>
      <div class="title">
        <h3 id="bucket-models-title">In the server's buckets</h3>
        <button
          type="button"
          class="second quiet small"
          disabled={waiting}
          onClick={() => void shelf.list()}
        >
          Look again
        </button>
      </div>
      {waiting && !value && <p class="soft" role="status">Asking the server.</p>}
      {value?.models.length === 0 && (
        <p class="soft">
          No model in{" "}
          {places.join(", ")}. A model is a folder with config.json and *.safetensors, or a GGUF file.
        </p>
      )}
      {value && (
        <ul class="rows">
          {value.models.map((model) => <Offer key={model.path} {...props} model={model} />)}
        </ul>
      )}
      {value?.cut.map((place) => (
        <p key={place} class="soft">
          {place} holds more files than are looked through: some models may be missing.
        </p>
      ))}
      {value?.problems.map(({ place, problem }) => (
        <Problem key={place} title={`${place} was not read`} problem={problem} />
      ))}
      {problem && <Problem title="The server was not heard" problem={problem} />}
    </section>
  );
}
