/**
 * Which column of the data is the prompt, which the answer, where its own names do not tell.
 *
 * @module
 */
import type { JobForm } from "../page/job_form.ts";
import { titleOf } from "../page/option_text.ts";
import type { DataFacts } from "../protocol/data.ts";

/** Columns of the formats whose records are flat. */
const ROLES: Readonly<Record<string, readonly string[]>> = {
  text: ["text"],
  prompt_completion: ["prompt", "completion"],
  instruction: ["instruction", "input", "output"],
  input_output: ["input", "output"],
};

interface MappingProps {
  readonly form: JobForm;
  readonly facts: DataFacts;
}

export function ColumnMapping({ form, facts: { columns, rows } }: MappingProps) {
  if (columns.length === 0) return null;
  const format = String(form.value("data_format")), roles = ROLES[format] ?? [];
  const mapping = (form.value("column_mapping") ?? {}) as Readonly<Record<string, string>>;
  const choose = (role: string, column: string) => {
    const next = Object.fromEntries(
      Object.entries({ ...mapping, [role]: column }).filter(([, name]) => name !== ""),
    );
    form.set({ column_mapping: Object.keys(next).length === 0 ? undefined : next });
  };
  return (
    <details id="columns" class="section" open={rows === 0 || format !== "auto"}>
      <summary>Format and columns</summary>
      <div class="fields">
        <label class="field">
          <span>Format</span>
          <select
            id="data-format"
            value={format}
            onChange={({ currentTarget }) =>
              form.set({ data_format: currentTarget.value, column_mapping: undefined })}
          >
            {["auto", ...Object.keys(ROLES), "messages", "sharegpt"].map((one) => (
              <option key={one} value={one}>{one === "auto" ? "Detect" : titleOf(one)}</option>
            ))}
          </select>
          <small>Columns found: {columns.join(", ")}</small>
        </label>
        {roles.map((role) => (
          <label key={role} class="field">
            <span>{titleOf(role)}</span>
            <select
              id={`column-${role}`}
              value={mapping[role] ?? ""}
              onChange={({ currentTarget }) => choose(role, currentTarget.value)}
            >
              <option value="">{columns.includes(role) ? role : "none"}</option>
              {columns.filter((column) => column !== role).map((column) => (
                <option key={column} value={column}>{column}</option>
              ))}
            </select>
          </label>
        ))}
      </div>
    </details>
  );
}
