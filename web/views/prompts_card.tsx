/**
 * Prompts of the user's own, answered before training and after it.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import type { JobForm } from "../page/job_form.ts";

export function PromptsCard({ form }: { form: JobForm }) {
  const text = useSignal(""), prompts = form.value("sample_prompts") as readonly string[];
  const set = (next: readonly string[]) =>
    form.set({ sample_prompts: next.length === 0 ? undefined : [...next] });
  const add = () => {
    if (text.value.trim() === "") return;
    set([...prompts, text.value.trim()]);
    text.value = "";
  };
  return (
    <section class="card" aria-labelledby="prompts-title">
      <h2 id="prompts-title">Sample prompts</h2>
      {prompts.length > 0 && (
        <ul id="prompts" class="prompts">
          {prompts.map((prompt, i) => (
            <li key={i}>
              <span>{prompt}</span>
              <button
                type="button"
                class="second quiet small"
                aria-label={`Remove the prompt ${prompt}`}
                onClick={() => set(prompts.filter((_, other) => other !== i))}
              >
                Remove
              </button>
            </li>
          ))}
        </ul>
      )}
      <form
        class="one-line"
        onSubmit={(event) => {
          event.preventDefault();
          add();
        }}
      >
        <input
          id="prompt"
          type="text"
          autocomplete="off"
          aria-label="A prompt of your own"
          aria-describedby="prompt-help"
          value={text.value}
          onInput={({ currentTarget }) => text.value = currentTarget.value}
        />
        <button id="add-prompt" type="submit" class="second" disabled={text.value.trim() === ""}>Add</button>
      </form>
      <small id="prompt-help" class="soft">
        Answered before training, on the way and after it, beside the held-out ones.
      </small>
    </section>
  );
}
