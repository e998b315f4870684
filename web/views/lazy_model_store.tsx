/**
 * What belongs to models that are kept or can be fetched, loaded once there are any or somebody asks.
 *
 * @module
 */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { BucketShelf } from "../page/bucket_shelf.ts";
import type { JobInputs } from "../page/job_inputs.ts";
import type { PageSession } from "../page/session.ts";
import type { ModelStore } from "./model_store.tsx";

interface Loaded {
  readonly View: typeof ModelStore;
  readonly shelf: BucketShelf;
}

const loaded = signal<Loaded | null>(null);
/** Whether the models in buckets are listed. */
const isListed = signal(false);

async function load(session: PageSession, inputs: JobInputs): Promise<void> {
  const { ModelStore, BucketShelf } = await import("./model_store.tsx");
  loaded.value ??= { View: ModelStore, shelf: new BucketShelf(session, inputs) };
}

/** Shows and hides the models in buckets; nothing where the server offers no place that may be read. */
export function BucketModelsButton({ session }: { session: PageSession }) {
  if (!session.server || session.server.places.value.length === 0) return null;
  return (
    <button
      id="bucket-models-button"
      type="button"
      class="button second quiet"
      aria-expanded={isListed.value}
      onClick={() => isListed.value = !isListed.value}
    >
      From a bucket
    </button>
  );
}

export function LazyModelStore({ session, inputs }: { session: PageSession; inputs: JobInputs }) {
  const isNeeded = isListed.value || inputs.kept.value.length > 0;
  useEffect(() => {
    if (isNeeded && !loaded.value) void load(session, inputs);
  }, [isNeeded]);
  if (!isNeeded || !loaded.value) return null;
  const { View, shelf } = loaded.value;
  return <View session={session} inputs={inputs} shelf={shelf} isListed={isListed.value} />;
}
