/**
 * The options of the job, made from the same declarations as flags and files.
 *
 * @module
 */
import { useSignal } from "@preact/signals";
import { CONFIG_FIELDS, type ConfigField, QUANTIZATION_WORDS, SECTIONS } from "../../src/config.ts";
import type { JobForm } from "../page/job_form.ts";
import { titleOf } from "../page/option_text.ts";
import { BASIC_OPTIONS, HIDDEN_OPTIONS, presetOf, PRESETS } from "../presets.ts";
import { OptionField } from "./option_field.tsx";

const FIELDS: ReadonlyMap<string, ConfigField> = new Map(
  CONFIG_FIELDS.map((field) => [field.wireName, field]),
);

const shownIn = (section: string) =>
  CONFIG_FIELDS.filter((field) => field.section === section && !HIDDEN_OPTIONS.has(field.wireName));

function Quantization({ form }: { form: JobForm }) {
  const words = { none: "as they are", "8bit": "8 bits", "4bit": "4 bits (QLoRA)" };
  return (
    <label class="field" for="option-quantization">
      <span>Base weights</span>
      <select
        id="option-quantization"
        value={form.quantization}
        onChange={({ currentTarget }) =>
          form.quantization = QUANTIZATION_WORDS.find((word) => word === currentTarget.value)!}
      >
        {QUANTIZATION_WORDS.map((word) => <option key={word} value={word}>{words[word]}</option>)}
      </select>
      <small>How the linear maps of the base are kept: fewer bits, less memory</small>
    </label>
  );
}

/** Whether an option's names or help hold all words. */
function matches({ wireName, help }: ConfigField, words: readonly string[]): boolean {
  const text = `${wireName} ${titleOf(wireName)} ${help}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Options beside the basic ones, by their sections; those of a search at once. */
function Sections({ form }: { form: JobForm }) {
  const search = useSignal(""), words = search.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const isSearch = words.length > 0;
  const sections = SECTIONS.map((section) => {
    const fields = shownIn(section).filter((field) =>
      !BASIC_OPTIONS.includes(field.wireName) && matches(field, words)
    );
    return { section, fields, changed: fields.filter(({ wireName }) => form.isChanged(wireName)).length };
  }).filter(({ fields }) => fields.length > 0);
  return (
    <>
      <input
        id="find-option"
        type="search"
        aria-label="Find an option"
        placeholder="Find an option"
        value={search.value}
        onInput={({ currentTarget }) => search.value = currentTarget.value}
      />
      {sections.map(({ section, fields, changed }) => (
        <details key={`${section} ${isSearch}`} class="section" open={isSearch}>
          <summary>
            {section} {changed > 0 && <small>{changed} changed</small>}
          </summary>
          <div class="fields">
            {fields.map((field) => <OptionField key={field.wireName} form={form} field={field} resettable />)}
          </div>
        </details>
      ))}
      {sections.length === 0 && <p class="soft" role="status">No option is called so.</p>}
    </>
  );
}

export function SettingsCard({ form }: { form: JobForm }) {
  const advanced = useSignal(false), preset = presetOf(form.values.value);
  return (
    <section class="card" aria-labelledby="settings-title">
      <div class="title">
        <h2 id="settings-title">Settings</h2>
        <label class="inline">
          Preset{" "}
          <select
            id="preset"
            value={preset ?? ""}
            onChange={({ currentTarget }) => form.set(PRESETS.get(currentTarget.value)?.options ?? {})}
          >
            {preset === null && <option value="">Custom</option>}
            {[...PRESETS].map(([name, { title }]) => <option key={name} value={name}>{title}</option>)}
          </select>
        </label>
        <div class="switch" role="group" aria-label="How many options are shown">
          <button type="button" aria-pressed={!advanced.value} onClick={() => advanced.value = false}>
            Basic
          </button>
          <button type="button" aria-pressed={advanced.value} onClick={() => advanced.value = true}>
            Advanced
          </button>
        </div>
      </div>
      <div class="fields">
        {BASIC_OPTIONS.map((name) => <OptionField key={name} form={form} field={FIELDS.get(name)!} />)}
        <Quantization form={form} />
      </div>
      {advanced.value && <Sections form={form} />}
    </section>
  );
}
