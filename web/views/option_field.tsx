/**
 * One option as a labelled control, with its help and what is wrong with its value.
 *
 * @module
 */
import type { ConfigField } from "../../src/config.ts";
import type { JobForm } from "../page/job_form.ts";
import { readOption, titleOf, writeOption } from "../page/option_text.ts";

interface FieldProps {
  readonly form: JobForm;
  readonly field: ConfigField;
}

function Control({ form, field }: FieldProps) {
  const { wireName, kind, choices, placeholder } = field, id = `option-${wireName}`;
  const value = form.value(wireName), issue = form.issueOf(wireName);
  const described = { "aria-describedby": `${id}-help`, "aria-invalid": issue !== null };
  const set = (next: unknown) => form.set({ [wireName]: next });
  if (kind === "boolean") {
    return (
      <input
        id={id}
        type="checkbox"
        checked={value === true}
        onChange={({ currentTarget }) => set(currentTarget.checked)}
        {...described}
      />
    );
  }
  if (choices.length > 0 && kind === "text") {
    return (
      <select
        id={id}
        value={String(value)}
        onChange={({ currentTarget }) => set(currentTarget.value)}
        {...described}
      >
        {choices.map((choice) => <option key={choice} value={choice}>{choice}</option>)}
      </select>
    );
  }
  return (
    <input
      id={id}
      type="text"
      inputMode={kind === "number" ? "decimal" : "text"}
      autocomplete="off"
      spellcheck={false}
      placeholder={field.defaultText ?? placeholder ?? ""}
      value={writeOption(field, value)}
      onChange={({ currentTarget }) => set(readOption(field, currentTarget.value))}
      {...described}
    />
  );
}

export function OptionField(
  { form, field, resettable = false }: FieldProps & {
    /** Whether it offers to go back to its default. */
    readonly resettable?: boolean;
  },
) {
  const { wireName, kind, help } = field, id = `option-${wireName}`, issue = form.issueOf(wireName);
  const title = titleOf(wireName);
  return (
    <div class={kind === "boolean" ? "field tick" : "field"}>
      <label for={id} title={wireName}>
        {title}
        {resettable && form.isChanged(wireName) && (
          <button
            type="button"
            class="plain reset"
            aria-label={`Set ${title} back to its default`}
            title="Back to its default"
            onClick={() => form.set({ [wireName]: undefined })}
          >
            ↺
          </button>
        )}
      </label>
      <Control form={form} field={field} />
      <small id={`${id}-help`} class={issue === null ? "" : "wrong"}>{issue ?? help}</small>
    </div>
  );
}
