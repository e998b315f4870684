/**
 * A configuration file with every option: what must be given first, all else commented out with its default.
 *
 * @module
 */
import { CONFIG_FIELDS, type ConfigField, SECTIONS } from "../config.ts";
import { wrap } from "./help.ts";

const WIDTH = 100;
/** What stands where an option has no default. */
const PLACES: Readonly<Record<string, string>> = {
  base_model: "models/smollm2",
  output_model_name: "my-model",
  training_data_path: "data/train.jsonl",
  output_dir: "runs/my-model",
};

/** YAML that `--config` reads; it validates as it is. */
export function configTemplate(): string {
  const sections = SECTIONS.map((section) => {
    const fields = CONFIG_FIELDS.filter((field) => field.section === section);
    return [`# --- ${section}`, ...fields.map(entryOf)].join("\n\n");
  });
  return [
    "# Options of a fine-tuning job: lowrank train --config FILE",
    "# An option that is left out has the default that stands here.",
    "",
    sections.join("\n\n"),
    "",
  ].join("\n");
}

function entryOf(field: ConfigField): string {
  const comment = wrap(helpOf(field), WIDTH - 2).map((line) => `# ${line}`);
  const entry = `${field.wireName}: ${JSON.stringify(PLACES[field.wireName] ?? field.default ?? null)}`;
  return [...comment, field.required ? entry : `# ${entry}`].join("\n");
}

function helpOf({ help, choices, defaultText }: ConfigField): string {
  const words = choices.length > 0 ? `: ${choices.join(", ")}` : "";
  return `${help}${words}${defaultText ? ` (default ${defaultText})` : ""}`;
}
